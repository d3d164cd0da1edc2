"""``--set PATH=VALUE`` and the values of ``--over``: put another node into a composed pipeline."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import yaml

from snncompress.errors import did_you_mean
from snncompress.pipeline.document import Flaw, compose


@dataclass(frozen=True)
class Override:
    """Hold ``PATH=VALUE``, and the option that gave it if that is not ``--set PATH=VALUE``."""

    text: str
    option: str = ""

    @property
    def label(self) -> str:
        """What stands in the place of file and line where something is wrong with it."""
        return self.option or f"--set {self.text}"


def override(root: yaml.MappingNode, given: Override) -> list[Flaw]:
    """Replace the node that ``PATH=VALUE`` names, in place; return what is wrong with it."""
    label = given.label
    path, equals, written = given.text.partition("=")
    mark = yaml.Mark(label, 0, 0, 0, None, 0)
    if not equals or not path:
        return [Flaw(mark, "should be PATH=VALUE", "for example steps.1.rounds=3")]
    value, flaws = compose(written, label)
    if value is None:
        return flaws or [Flaw(mark, "no value is given", "write null if you mean none")]
    pieces = path.split(".")
    _make_way(root, path, value)
    try:
        _put(_section(root, pieces[:-1]), pieces[-1], value, ".".join(pieces[:-1]))
    except _WrongPathError as error:
        return [*flaws, Flaw(mark, *error.args)]
    return flaws


def _make_way(root: yaml.MappingNode, path: str, value: yaml.Node) -> None:
    """Take away the ``seed`` of the text where ``seeds`` is set, and the other way round."""
    rival = {"seed": "seeds", "seeds": "seed"}.get(path)
    if rival is not None and not value.tag.endswith(":null"):
        here = root.start_mark.name
        root.value = [pair for pair in root.value if pair[0].value != rival or pair[1].start_mark.name != here]


class _WrongPathError(Exception):
    """Say what is wrong with a path, and a hint."""


def _section(root: yaml.Node, pieces: list[str]) -> yaml.Node:
    node = root
    for depth, piece in enumerate(pieces):
        place = ".".join(pieces[:depth])
        node = _child(node, piece, place)
    return node


def _child(node: yaml.Node, piece: str, place: str) -> yaml.Node:
    if isinstance(node, yaml.SequenceNode):
        return _as_node(node.value[_index(node, piece, place)])
    names = _names(node, place)
    if piece not in names:
        raise _WrongPathError(f"no section {piece!r}{_within(place)}", did_you_mean(piece, names))
    return _as_node(node.value[names.index(piece)][1])


def _put(node: yaml.Node, piece: str, value: yaml.Node, place: str) -> None:
    if isinstance(node, yaml.SequenceNode):
        node.value[_index(node, piece, place)] = value
        return
    names = _names(node, place)
    key = yaml.ScalarNode("tag:yaml.org,2002:str", piece, value.start_mark, value.start_mark)
    if piece in names:
        node.value[names.index(piece)] = (key, value)
    else:
        node.value.append((key, value))


def _names(node: yaml.Node, place: str) -> list[str]:
    if not isinstance(node, yaml.MappingNode):
        what = f"{place!r} is the value {node.value!r}, it holds no settings"
        raise _WrongPathError(what, f"set {place!r} as a whole")
    return [str(key.value) for key, _ in node.value]


def _index(node: yaml.Node, piece: str, place: str) -> int:
    count = len(node.value)
    if not (piece.isascii() and piece.isdigit() and int(piece[:9]) < count):
        hint = f"it has {count}, counted from 0" if count else "it is empty"
        raise _WrongPathError(f"no entry {piece!r}{_within(place)}", hint)
    return int(piece)


def _within(place: str) -> str:
    return f" in {place!r}" if place else ""


def _as_node(node: Any) -> yaml.Node:
    assert isinstance(node, yaml.Node)  # noqa: S101 - composed trees hold nodes only
    return node
