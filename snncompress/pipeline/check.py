"""Check expanded pipeline data against the pipeline model; return every root cause, and no cascades."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from snncompress.errors import did_you_mean, near
from snncompress.hookspecs import REGISTRATION
from snncompress.pipeline.known import fields_at, kind_at
from snncompress.pipeline.tree import kind_of
from snncompress.pipeline.wording import is_of_kind, spoken
from snncompress.strategy import Problem, Where

if TYPE_CHECKING:
    from snncompress.pipeline.model import Pipeline
    from snncompress.plugins import Host


def check(data: Mapping[str, Any], model: type[Pipeline], host: Host) -> tuple[Pipeline | None, list[Problem]]:
    """Return the pipeline if ``data`` is one, and all problems."""
    pipeline, problems = None, []
    try:
        pipeline = model.model_validate_json(json.dumps(data))
    except ValidationError as error:
        problems = list(_Translator(data, model, host).problems(error.errors(include_url=False)))
    return pipeline, problems


class _Translator:
    def __init__(self, data: Mapping[str, Any], model: type[Pipeline], host: Host) -> None:
        self._data = data
        self._model = model
        self._host = host

    def problems(self, errors: Sequence[Any]) -> Iterator[Problem]:
        """Translate pydantic's errors; members of one union that failed at one place become one problem."""
        grouped: dict[Where, list[Any]] = {}
        for error in errors:
            grouped.setdefault(self._where(error), []).append(error)
        unknown = {where for where, group in grouped.items() if group[0]["type"] == "extra_forbidden"}
        for where, group in grouped.items():
            if group[0]["type"] == "missing" and self._is_misspelt(where, unknown):
                continue
            if group[0]["type"] == "too_short" and len(_at(self._data, where)) >= group[0]["ctx"]["min_length"]:
                continue  # pydantic counts the entries that are right
            if all(map(is_of_kind, group)) and any(other[: len(where)] == where != other for other in grouped):
                continue  # another member of the union takes such a value, and says what is wrong inside
            yield self._problem(where, group)

    def _where(self, error: Mapping[str, Any]) -> Where:
        """Return the path in the data, without the tags that pydantic puts in for members of unions."""
        where: Where = ()
        value: Any = self._data
        for depth, piece in enumerate(error["loc"]):
            is_last = depth + 1 == len(error["loc"])
            is_tag = kind_at(where) is not None and _child(value, "use") == piece and error["loc"][:depth] == where
            is_missing = (is_last and error["type"] == "missing") or (not where and piece in self._model.model_fields)
            if is_tag or not (_holds(value, piece) or is_missing):
                continue
            where, value = (*where, piece), _child(value, piece)
        return where

    def _problem(self, where: Where, group: Sequence[Any]) -> Problem:
        kind = group[0]["type"]
        if kind == "missing":
            return Problem(where, "required setting is missing", self._first_sentence(where))
        if kind == "extra_forbidden":
            return Problem(where, "unknown setting", self._near_name(where))
        if kind.startswith("union_tag"):
            return self._unknown_use(where, group[0])
        if kind == "dict_type" and (component := kind_at(where)):
            return self._no_component(where, component, group[0]["input"])
        words = [spoken(error) for error in group]
        shared = f", not {kind_of(group[0]['input'])}"
        said = dict.fromkeys(what.removesuffix(shared) for what, _ in words)
        what = " or ".join(said).replace(" or should be ", " or ")
        hints = [hint for _, hint in words if hint]
        if kind == "string_pattern_mismatch":
            hints.insert(0, self._first_sentence(where) or hints[0])
        ending = shared if any(entry.endswith(shared) for entry, _ in words) else ""
        return Problem(where, what + ending, next(iter(hints), ""))

    def _unknown_use(self, where: Where, error: Mapping[str, Any]) -> Problem:
        kind = kind_at(where)
        if kind is None:  # a plugin's own union inside its settings
            return Problem(where, *spoken(error))
        names, singular = self._host.catalogue[kind], REGISTRATION[kind]
        given = error["input"]
        if "use" not in given:
            if misspelt := near("use", given, most=1):
                return Problem((*where, misspelt[0]), "unknown setting", "did you mean 'use'?")
            what = f"required setting is missing; it names the {singular}"
            return Problem((*where, "use"), what, did_you_mean("", names))
        used = given["use"]
        if not isinstance(used, str):
            return Problem((*where, "use"), f"should name the {singular}, not {kind_of(used)}", did_you_mean("", names))
        best = did_you_mean(used.partition(":")[0] if ":" in used else used, names)
        return Problem((*where, "use"), f"unknown {singular} {used!r}", best + self._host.excuse())

    def _no_component(self, where: Where, kind: str, value: Any) -> Problem:
        what = f"should name the {REGISTRATION[kind]} or be a mapping with 'use', not {kind_of(value)}"
        return Problem(where, what, did_you_mean("", self._host.catalogue[kind]))

    def _fields(self, where: Where) -> Mapping[str, Any]:
        return fields_at(self._model, where, self._data, self._host.catalogue)

    def _near_name(self, where: Where) -> str:
        name, free, every = str(where[-1]), self._free_names(where), self._fields(where[:-1])
        return did_you_mean(name, every if near(name, every) and not near(name, free) else free)

    def _free_names(self, where: Where) -> list[str]:
        """Return the settings that the mapping around ``where`` knows and does not have."""
        given = _at(self._data, where[:-1]) or ()
        fields = self._fields(where[:-1])
        return [name for name in fields if name not in given]

    def _is_misspelt(self, where: Where, unknown: Iterable[Where]) -> bool:
        siblings = [other for other in unknown if other[:-1] == where[:-1]]
        return any(near(str(other[-1]), self._free_names(other), most=1) == [where[-1]] for other in siblings)

    def _first_sentence(self, where: Where) -> str:
        known = self._fields(where[:-1]).get(str(where[-1])) if where else None
        text = known.description if known is not None and known.description else ""
        sentence = text.split(". ")[0].rstrip(".")
        return sentence[:1].lower() + sentence[1:] if sentence[1:2].islower() else sentence


def _holds(value: Any, piece: str | int) -> bool:
    if isinstance(piece, int):
        return isinstance(value, list)
    return isinstance(value, Mapping) and piece in value


def _child(value: Any, piece: str | int) -> Any:
    if isinstance(value, list):
        return value[piece] if isinstance(piece, int) and piece < len(value) else None
    return value.get(piece) if isinstance(value, Mapping) else None


def _at(data: Any, where: Where) -> Any:
    for piece in where:
        data = _child(data, piece)
    return data
