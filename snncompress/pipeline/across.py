"""Checks across the parts of a pipeline: one seed or several, nothing named twice, budgets that limit what is measured."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from snncompress.errors import did_you_mean
from snncompress.strategy import Problem, Where

if TYPE_CHECKING:
    from snncompress.plugins import Host


def check_across(data: Mapping[str, Any], host: Host) -> list[Problem]:
    """Return the problems that concern more than one entry of an expanded pipeline."""
    return [
        *_seeds(data),
        *_twice(data, "export"),
        *_twice(data, "report"),
        *_encoded(data, host),
        *_measured(data, host),
    ]


def _seeds(data: Mapping[str, Any]) -> Iterator[Problem]:
    if "seed" in data and data.get("seeds") is not None:
        yield Problem(("seeds",), "given together with 'seed'", "keep one of them")


def _entries(data: Mapping[str, Any], name: str) -> Iterator[tuple[Where, Any]]:
    found = data.get(name, [])
    yield from (((name, index), entry) for index, entry in enumerate(found if isinstance(found, list) else []))


def _twice(data: Mapping[str, Any], name: str) -> Iterator[Problem]:
    first: dict[str, Where] = {}
    for where, entry in _entries(data, name):
        use = entry.get("use") if isinstance(entry, Mapping) else None
        if isinstance(use, str) and first.setdefault(use, where) != where:
            yield Problem(where, f"{use!r} is named twice", f"first as {name}.{first[use][1]}")


def _measured(data: Mapping[str, Any], host: Host) -> Iterator[Problem]:
    values: dict[str, Where] = {}
    is_sure = isinstance(data.get("measure", []), list)
    for where, entry in _entries(data, "measure"):
        metric = _component(entry, "metrics", host)
        names = None if metric is None else tuple(metric.yields())
        inner = list(_inside(metric, where, host))
        yield from inner
        is_sure = is_sure and names is not None and not inner
        again = [name for name in names or () if values.setdefault(name, where) != where]
        if again:
            yield Problem(where, f"measures {again[0]!r} twice", f"first as measure.{values[again[0]][1]}")
    if is_sure:  # a wrong metric is the root cause; what budgets say of its values would only repeat it
        yield from _limits(data, values)


def _encoded(data: Mapping[str, Any], host: Host) -> Iterator[Problem]:
    """Yield the problem of an encoder that takes pixels for probabilities or times, and data that are normalised."""
    encoder = _component(data.get("encode"), "encoders", host)
    samples = _component(data.get("data"), "datasets", host)
    if getattr(encoder, "needs_unit_interval", False) and getattr(samples, "leaves_unit_interval", False):
        what = f"{encoder.use!r} needs pixels in 0..1, and the data's mean and std take them out of it"
        yield Problem(("encode",), what, "remove mean and std from the data, or use 'direct'")


def _component(entry: Any, kind: str, host: Host) -> Any:
    use = entry.get("use") if isinstance(entry, Mapping) else None
    found = host.catalogue[kind].get(use) if isinstance(use, str) else None
    if found is None:
        return None
    try:
        return found.model_validate_json(json.dumps(entry))
    except ValidationError:
        return None


def _inside(metric: Any, where: Where, host: Host) -> Iterator[Problem]:
    for problem in metric.problems(host) if hasattr(metric, "problems") else ():
        yield replace(problem, where=(*where, *problem.where))


def _limits(data: Mapping[str, Any], values: Mapping[str, Where]) -> Iterator[Problem]:
    for where, entry in _entries(data, "budget"):
        name = entry.get("metric") if isinstance(entry, Mapping) else None
        if isinstance(name, str) and name not in values:
            hint = did_you_mean(name, values) if values else "'measure' is empty"
            yield Problem((*where, "metric"), f"{name!r} is not among the values that 'measure' yields", hint)
