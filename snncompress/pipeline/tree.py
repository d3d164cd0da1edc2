"""YAML nodes to plain data, and where each piece of it stands."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import yaml

from snncompress.pipeline.document import REFUSED, Flaw, is_merge

if TYPE_CHECKING:
    from snncompress.strategy import Where

_MOST_DIGITS = 18
_READERS: dict[str, Callable[[str], Any]] = {
    "null": lambda _: None,
    "bool": lambda text: text == "true",
    "int": int,
    "float": float,
}


@dataclass
class Tree:
    """Hold plain data, the mark of every piece of it by path, and the flaws."""

    data: Any = None
    marks: dict[Where, yaml.Mark] = field(default_factory=dict)
    flaws: list[Flaw] = field(default_factory=list)

    def is_text(self, path: Where) -> bool:
        """Tell whether a text stands at ``path``."""
        value = self.data
        for piece in path:
            value = value[piece]
        return isinstance(value, str)

    def hides(self, path: Where, *, missing: bool) -> bool:
        """Tell whether a problem at ``path`` only repeats a flaw."""
        return any(
            (flaw.hides == "all" and path[: len(flaw.path)] == flaw.path)
            or (flaw.hides == "missing" and missing and path[:-1] == flaw.path)
            for flaw in self.flaws
        )


def build(node: yaml.Node) -> Tree:
    """Return the data that a root node holds."""
    tree = Tree()
    tree.marks[()] = node.start_mark
    tree.data = _value(node, (), tree)
    return tree


def kind_of(value: object) -> str:
    """Name a value for an error text: ``'abc'``, ``true``, ``a list``."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, str):
        return repr(value if len(value) <= 60 else value[:57] + "...")  # noqa: PLR2004 - what fits on a line
    if isinstance(value, Mapping):
        return "a mapping"
    return "a list" if isinstance(value, list | tuple) else str(value)


def _value(node: yaml.Node, path: Where, tree: Tree) -> Any:
    if node.tag == REFUSED:
        tree.flaws.append(Flaw(node.start_mark, "", path=path, hides="all"))
        return None
    if isinstance(node, yaml.MappingNode):
        return _mapping(node, path, tree)
    if isinstance(node, yaml.SequenceNode):
        return [_item(item, (*path, index), tree) for index, item in enumerate(node.value)]
    return _scalar(node, path, tree)


def _item(node: yaml.Node, path: Where, tree: Tree) -> Any:
    tree.marks[path] = node.start_mark
    return _value(node, path, tree)


def _mapping(node: yaml.MappingNode, path: Where, tree: Tree) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in node.value:
        if flaw := _bad_key(key, path, found, tree):
            tree.flaws.append(flaw)
            continue
        here = (*path, key.value)
        tree.marks[here] = key.start_mark
        found[key.value] = _value(value, here, tree)
    return found


def _bad_key(key: yaml.Node, path: Where, found: Mapping[str, Any], tree: Tree) -> Flaw | None:
    if is_merge(key):
        return Flaw(key.start_mark, "merge key '<<' is not supported", "write the settings out", path, "missing")
    if key.tag == REFUSED:
        return Flaw(key.start_mark, "", path=path, hides="missing")
    if not key.tag.endswith(":str"):
        shown = repr(key.value) if isinstance(key, yaml.ScalarNode) else "a list or mapping"
        return Flaw(key.start_mark, f"the name of a setting must be text, not {shown}", path=path)
    if key.value in found:
        first = tree.marks[*path, key.value].line + 1
        return Flaw(key.start_mark, "given twice", f"first on line {first}", (*path, key.value))
    flaw = _bad_text(key, path)
    return flaw and replace(flaw, hides="nothing")


def _scalar(node: yaml.Node, path: Where, tree: Tree) -> Any:
    kind = node.tag.rpartition(":")[2]
    if flaw := _bad_text(node, path) if kind == "str" else _bad_number(node, path, kind):
        tree.flaws.append(flaw)
        return None
    return _READERS.get(kind, str)(node.value)


def _bad_number(node: yaml.Node, path: Where, kind: str) -> Flaw | None:
    text = str(node.value)
    if kind == "int" and len(text.lstrip("+-")) > _MOST_DIGITS:
        what = f"number is too large: it has {len(text.lstrip('+-'))} digits"
        return Flaw(node.start_mark, what, f"at most {_MOST_DIGITS}", path, "all")
    if kind == "float" and not math.isfinite(float(text.replace(".inf", "inf").replace(".nan", "nan"))):
        return Flaw(node.start_mark, f"should be a finite number, not {text}", path=path, hides="all")
    return None


def _bad_text(node: yaml.Node, path: Where) -> Flaw | None:
    if any("\ud800" <= character <= "\udfff" for character in str(node.value)):
        return Flaw(node.start_mark, "text holds half of a surrogate pair", "write the character itself", path, "all")
    return None
