"""Pipeline text to YAML nodes: PyYAML with scalar rules that hold no surprises.

Whole numbers and reals are what JSON and common sense call so (``1e-3`` is one), only ``true`` and ``false`` are
booleans, ``null``, ``~`` and nothing are null; ``no``, ``on``, ``3:20`` and dates are text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import yaml

if TYPE_CHECKING:
    from snncompress.strategy import Where

REFUSED = "refused"
"""Tag of a node whose value cannot be known, such as an alias."""

_PREFIX = "tag:yaml.org,2002:"
_MOST_LEVELS = 40
_RESOLVERS: tuple[tuple[str, str, str], ...] = (
    ("null", r"~|null|", "~n"),
    ("bool", r"true|false", "tf"),
    ("int", r"[-+]?(0|[1-9][0-9]*)", "-+0123456789"),
    (
        "float",
        r"[-+]?([0-9]+\.[0-9]*([eE][-+]?[0-9]+)?|\.[0-9]+([eE][-+]?[0-9]+)?|[0-9]+[eE][-+]?[0-9]+)|[-+]?\.inf|\.nan",
        "-+.0123456789",
    ),
)


@dataclass(frozen=True)
class Flaw:
    """Say what is wrong with the text itself, and which later problems would only repeat it.

    ``hides`` everything at and below ``path``, only settings that are missing there, or nothing.
    """

    mark: yaml.Mark
    what: str
    hint: str = ""
    path: Where = ()
    hides: Literal["nothing", "missing", "all"] = "nothing"


def _resolvers() -> dict[Any, list[tuple[str, re.Pattern[str]]]]:
    found: dict[Any, list[tuple[str, re.Pattern[str]]]] = {"": [(f"{_PREFIX}null", re.compile("^$"))]}
    for kind, pattern, firsts in _RESOLVERS:
        for first in firsts:
            found.setdefault(first, []).append((_PREFIX + kind, re.compile(f"^(?:{pattern})$")))
    return found


class _Loader(yaml.SafeLoader):
    yaml_implicit_resolvers: ClassVar[Any] = _resolvers()  # type: ignore[misc]

    def __init__(self, text: str, name: str) -> None:
        super().__init__(text)
        self.name = name
        self.flaws: list[Flaw] = []
        self._level = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        event = self.peek_event()  # type: ignore[no-untyped-call]
        if self._level > _MOST_LEVELS:
            raise yaml.composer.ComposerError(None, None, f"nested deeper than {_MOST_LEVELS} levels", event.start_mark)
        if isinstance(event, yaml.AliasEvent):
            return self._alias(self.get_event(), index)  # type: ignore[no-untyped-call]
        self._refuse_anchor(event)
        tag, event.tag = event.tag, None
        if isinstance(event, yaml.ScalarEvent) and tag:
            event.implicit = (True, False)
        self._level += 1
        node = super().compose_node(parent, index)
        self._level -= 1
        if tag is not None and node is not None:
            what = f"tag {tag.replace(_PREFIX, '!!')!r} is not supported"
            self.flaws.append(Flaw(event.start_mark, what, "write the value without it"))
            node.tag = REFUSED
        return node

    def _alias(self, event: Any, index: Any) -> yaml.Node:
        if not is_merge(index):
            self.flaws.append(
                Flaw(event.start_mark, f"alias '*{event.anchor}' is not supported", "write the value out")
            )
        return yaml.ScalarNode(REFUSED, event.anchor, event.start_mark, event.end_mark)

    def _refuse_anchor(self, event: Any) -> None:
        if event.anchor is not None:
            self.flaws.append(Flaw(event.start_mark, f"anchor '&{event.anchor}' is not supported", "take it away"))
            event.anchor = None


class _Dumper(yaml.SafeDumper):
    yaml_implicit_resolvers: ClassVar[Any] = _resolvers()  # type: ignore[misc]

    def ignore_aliases(self, data: Any) -> bool:
        del data
        return True


def is_merge(key: Any) -> bool:
    """Tell whether a node is the merge key ``<<``."""
    return isinstance(key, yaml.ScalarNode) and key.value == "<<" and key.style is None


def compose(text: str, name: str) -> tuple[yaml.Node | None, list[Flaw]]:
    """Return the root node, none if the text is broken or empty, and the flaws found on the way."""
    try:
        loader = _Loader(text, name)
    except yaml.reader.ReaderError as error:
        return None, [Flaw(_mark(text, error.position, name), f"character U+{_ordinal(error):04X} is not allowed")]
    try:
        node = loader.get_single_node()
    except yaml.MarkedYAMLError as error:
        return None, [*loader.flaws, _broken(error, loader)]
    except (ValueError, OverflowError):  # PyYAML hands the number behind \U to chr() unchecked
        return None, [*loader.flaws, Flaw(_here(loader), "the escape in this text names no character")]
    finally:
        loader.dispose()
    return node, loader.flaws


def serialize(node: yaml.Node) -> str:
    """Return a node as YAML text that ``compose`` reads as the same node."""
    return str(yaml.serialize(node, Dumper=_Dumper, allow_unicode=True, width=120))


def dump(data: Any) -> str:
    """Return plain data as YAML text."""
    return str(yaml.dump(data, Dumper=_Dumper, allow_unicode=True, width=120, sort_keys=False))


def _ordinal(error: yaml.reader.ReaderError) -> int:
    return error.character if isinstance(error.character, int) else ord(error.character)


def _mark(text: str, index: int, name: str) -> yaml.Mark:
    before = text[:index].splitlines(keepends=True) or [""]
    ended = before[-1].endswith(("\n", "\r"))
    line, column = (len(before), 0) if ended else (len(before) - 1, len(before[-1]))
    return yaml.Mark(name, index, line, column, None, 0)


def _here(loader: _Loader) -> yaml.Mark:
    return loader.get_mark()


def _broken(error: yaml.MarkedYAMLError, loader: _Loader) -> Flaw:
    mark = error.problem_mark or error.context_mark or _here(loader)
    problem = error.problem or error.context or "cannot be read"
    if "'\\t'" in problem:
        return Flaw(mark, "a tab stands where only spaces may", "indent with spaces")
    if error.context == "expected a single document in the stream":
        return Flaw(mark, "a second document starts here", "put each pipeline into a file of its own")
    if isinstance(error, yaml.composer.ComposerError):
        return Flaw(mark, problem)
    context = f" {error.context}" if error.context else ""
    return Flaw(mark, f"invalid YAML: {problem}{context}")
