"""``--over PATH=V1,V2``: the values of a sweep, and every combination of them with a name of its own."""

from __future__ import annotations

import hashlib
import itertools
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from snncompress.errors import PipelineError
from snncompress.pipeline.document import compose
from snncompress.pipeline.overrides import Override
from snncompress.pipeline.tree import build

_MOST_LETTERS = 40
_PLAIN = re.compile(r"[A-Za-z0-9._+-]{0,39}[A-Za-z0-9_+-]")
_UNSAFE = re.compile(r"[^A-Za-z0-9._+-]+")
_EXAMPLE = "for example steps.1.fraction=0.5,0.75"


@dataclass(frozen=True)
class Axis:
    """Hold the values of one setting: its path, the text and the data of each value, and the option that gave them."""

    path: str
    texts: tuple[str, ...]
    values: tuple[Any, ...]
    option: str


@dataclass(frozen=True)
class Choice:
    """Hold one combination: its name, which is also that of its folder, its settings by path, and as overrides."""

    name: str
    settings: dict[str, Any]
    overrides: tuple[Override, ...]


def read_axes(over: Sequence[str], overrides: Sequence[str] = ()) -> tuple[Axis, ...]:
    """Read the values of ``PATH=V1,V2`` by the rules of a YAML list; raise PipelineError with every problem.

    Args:
        over: one text for each setting that is varied.
        overrides: the ``PATH=VALUE`` that are set besides, none of them at a path that is varied.
    """
    found, lines = [], list[str]()
    for text in over:
        axis = _axis(text, lines)
        if axis is not None:
            found.append(axis)
    taken = [entry.partition("=")[0] for entry in overrides]
    for index, axis in enumerate(found):
        if axis.path in [other.path for other in found[:index]]:
            lines.append(f"{axis.option}: {axis.path!r} is varied twice; give all its values in one --over")
        if axis.path in taken:
            lines.append(f"{axis.option}: {axis.path!r} is also given to --set; keep one of them")
    if lines:
        raise PipelineError(lines)
    return tuple(found)


def choices(axes: Sequence[Axis]) -> tuple[Choice, ...]:
    """Return every combination of the values, the last setting varying fastest."""
    labels = [_UNSAFE.sub("-", label) for label in _labels([axis.path for axis in axes])]
    return tuple(
        Choice(
            ",".join(
                f"{label}={_safe(axis.values[index])}" for label, axis, index in zip(labels, axes, at, strict=True)
            ),
            {axis.path: axis.values[index] for axis, index in zip(axes, at, strict=True)},
            tuple(
                Override(f"{axis.path}={axis.texts[index]}", axis.option) for axis, index in zip(axes, at, strict=True)
            ),
        )
        for at in itertools.product(*(range(len(axis.values)) for axis in axes))
    )


def _axis(text: str, lines: list[str]) -> Axis | None:
    option = f"--over {text}"
    path, equals, written = text.partition("=")
    if not path or not equals:
        lines.append(f"{option}: should be PATH=V1,V2; {_EXAMPLE}")
        return None
    node, flaws = compose(f"[{written}]", option)
    told = [f"{option}: {flaw.what}" + (f"; {flaw.hint}" if flaw.hint else "") for flaw in flaws]
    if not isinstance(node, yaml.SequenceNode):
        lines += told or [f"{option}: brackets do not match; {_EXAMPLE}"]
        return None
    tree = build(node)
    told += [f"{option}: {flaw.what}" for flaw in tree.flaws if flaw.what]
    told += [f"{option}: {value!r} is given twice" for value in _twice(tree.data)]
    if not node.value:
        told.append(f"{option}: no value is given; {_EXAMPLE}")
    lines += told
    texts = tuple(written[entry.start_mark.index - 1 : entry.end_mark.index - 1].strip() for entry in node.value)
    return None if told else Axis(path, texts, tuple(tree.data), option)


def _twice(values: Sequence[Any]) -> Iterator[Any]:
    seen: list[str] = []
    for value in values:
        told = json.dumps(value, sort_keys=True)
        if seen.count(told) == 1:
            yield value
        seen.append(told)


def _labels(paths: Sequence[str]) -> list[str]:
    """Return the shortest endings of the paths that tell them apart and are no bare number."""
    pieces = [path.split(".") for path in paths]
    for length in range(1, 1 + max(map(len, pieces), default=0)):
        labels = [".".join(part[-length:]) for part in pieces]
        if len(set(labels)) == len(labels) and not any(label.isdigit() for label in labels):
            return labels
    return list(paths)


def _safe(value: Any) -> str:
    """Return a text for a value that any file system takes: the value itself, else its letters and a hash."""
    told = value if isinstance(value, str) else json.dumps(value, sort_keys=True)
    if _PLAIN.fullmatch(told) and (not isinstance(value, str) or _is_text(value)):
        return told
    kept = _UNSAFE.sub("-", told).strip("-.")[:_MOST_LETTERS]
    digest = hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:6]
    return f"{kept}-{digest}" if kept else digest


def _is_text(value: str) -> bool:
    node, flaws = compose(value, "")
    return isinstance(node, yaml.ScalarNode) and node.tag.endswith(":str") and not flaws
