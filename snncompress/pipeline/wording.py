"""pydantic's problems in plain words: what each means, and how to mend it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from snncompress.errors import near
from snncompress.pipeline.tree import kind_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Words = tuple[str, str]
"""What is wrong, and a hint, which may be empty."""


def spoken(error: Mapping[str, Any]) -> Words:
    """Return the words for one pydantic error, except for those that concern names of settings and components."""
    kind, value, context = error["type"], error["input"], error.get("ctx", {})
    if kind in _SHOULD_BE:
        return f"should be {_SHOULD_BE[kind]}, not {kind_of(value)}", _mend(kind, value)
    if kind in _BOUNDS:
        phrase, name = _BOUNDS[kind]
        return f"should be {phrase} {_plain(context[name])}, not {kind_of(value)}", ""
    if kind in _SPECIAL:
        return _SPECIAL[kind](value, context)
    text = str(error["msg"]).removeprefix("Input ").rstrip(".")
    return f"{text[:1].lower()}{text[1:]}, not {kind_of(value)}", ""


def is_of_kind(error: Mapping[str, Any]) -> bool:
    """Tell whether a value is refused for what it is, a mapping where a number should be, and not for what it holds."""
    return error["type"] in _SHOULD_BE


_WHOLE, _REAL, _BOOLEAN = "a whole number", "a number", "true or false"
_LIST, _MAPPING = "a list", "a mapping of settings"
_SHOULD_BE = {
    **dict.fromkeys(("int_type", "int_from_float", "int_parsing"), _WHOLE),
    **dict.fromkeys(("float_type", "float_parsing"), _REAL),
    "finite_number": "a finite number",
    **dict.fromkeys(("bool_type", "bool_parsing"), _BOOLEAN),
    "string_type": "text",
    **dict.fromkeys(("list_type", "tuple_type", "set_type", "frozen_set_type", "iterable_type"), _LIST),
    **dict.fromkeys(("dict_type", "mapping_type", "model_type", "model_attributes_type", "dataclass_type"), _MAPPING),
    "none_required": "null",
}
_BOUNDS = {
    "greater_than": ("more than", "gt"),
    "greater_than_equal": ("at least", "ge"),
    "less_than": ("less than", "lt"),
    "less_than_equal": ("at most", "le"),
    "multiple_of": ("a multiple of", "multiple_of"),
}


def _plain(bound: Any) -> str:
    return f"{bound:g}" if isinstance(bound, float) else str(bound)


def _mend(kind: str, value: Any) -> str:
    scalar = isinstance(value, str | int | float) and not isinstance(value, bool)
    if _SHOULD_BE[kind] == _LIST and scalar:
        return f"write [{value}]"
    if _SHOULD_BE[kind] == "text" and (scalar or isinstance(value, bool)):
        return f"put it in quotes: '{kind_of(value)}'"
    if isinstance(value, str) and _SHOULD_BE[kind] == _BOOLEAN:
        meant = {"true": "true", "yes": "true", "on": "true", "false": "false", "no": "false", "off": "false"}
        return f"write {meant[value.lower()]}" if value.lower() in meant else ""
    return "take the quotes away" if isinstance(value, str) and _fits(_SHOULD_BE[kind], value) else ""


def _fits(wanted: str, value: str) -> bool:
    pattern = {_WHOLE: r"-?[0-9]+", _REAL: r"-?[0-9]+(\.[0-9]*)?([eE][-+]?[0-9]+)?"}.get(wanted)
    return pattern is not None and re.fullmatch(pattern, value) is not None


def _choices(value: Any, context: Mapping[str, Any]) -> Words:
    best = near(value, re.findall(r"'([^']*)'", context["expected"]), most=1) if isinstance(value, str) else []
    return f"should be {context['expected']}, not {kind_of(value)}", f"did you mean {best[0]!r}?" if best else ""


def _too_short(value: Any, context: Mapping[str, Any]) -> Words:
    least = context["min_length"]
    return f"should hold at least {_counted(least)}, not {len(value)}", ""


def _too_long(value: Any, context: Mapping[str, Any]) -> Words:
    return f"should hold at most {_counted(context['max_length'])}, not {len(value)}", ""


def _counted(number: int) -> str:
    return "one entry" if number == 1 else f"{number} entries"


def _short_text(value: Any, context: Mapping[str, Any]) -> Words:
    return f"should have at least {context['min_length']} characters, not {len(value)}", ""


def _long_text(value: Any, context: Mapping[str, Any]) -> Words:
    return f"should have at most {context['max_length']} characters, not {len(value)}", ""


def _pattern(value: Any, context: Mapping[str, Any]) -> Words:
    return f"{value!r} does not have the form that is wanted", f"it must match {context['pattern']}"


def _own_words(value: Any, context: Mapping[str, Any]) -> Words:
    del value
    what, _, hint = str(context["error"]).partition("; ")
    return what, hint


_SPECIAL: dict[str, Callable[[Any, Mapping[str, Any]], Words]] = {
    "literal_error": _choices,
    "enum": _choices,
    "too_short": _too_short,
    "too_long": _too_long,
    "string_too_short": _short_text,
    "string_too_long": _long_text,
    "string_pattern_mismatch": _pattern,
    "value_error": _own_words,
    "assertion_error": _own_words,
}
