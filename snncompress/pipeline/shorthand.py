"""Short forms of components: ``X`` for ``{use: X}``, ``file:FOLDER`` for ``{use: file, folder: FOLDER}``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from snncompress.pipeline.model import MANY, ONE
from snncompress.strategy import Problem, Where

Catalogue = Mapping[str, Mapping[str, Any]]


def expand(data: Mapping[str, Any], catalogue: Catalogue) -> tuple[dict[str, Any], list[Problem]]:
    """Return the pipeline with every component as a mapping, and what is given twice that way."""
    problems: list[Problem] = []
    full = dict(data)
    for name, kind in ONE.items():
        if name in full:
            full[name] = _component(full[name], (name,), catalogue[kind], problems)
    for name, kind in MANY.items():
        if isinstance(full.get(name), list):
            full[name] = [
                _component(entry, (name, index), catalogue[kind], problems) for index, entry in enumerate(full[name])
            ]
    return full, problems


def _component(value: Any, where: Where, classes: Mapping[str, Any], problems: list[Problem]) -> Any:
    found = {"use": value} if isinstance(value, str) else value
    if not isinstance(found, dict) or not isinstance(found.get("use"), str):
        return found
    scheme, colon, rest = found["use"].partition(":")
    setting = getattr(classes.get(scheme), "shorthand", None)
    if not colon or setting is None or found["use"] in classes:
        return found
    if rest and setting in found:
        what = f"given twice: here as {found[setting]!r}, and behind '{scheme}:' as {rest!r}"
        problems.append(Problem((*where, setting), what, f"keep one, or write 'use: {scheme}'"))
    given = {setting: rest} if rest else {}
    return {**given, **found, "use": scheme}
