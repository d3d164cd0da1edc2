"""From entries to a comparison: verdicts against one of them, Pareto front, ranking under energy models, caveats."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from snncompress.errors import InputError, did_you_mean
from snncompress.record import Direction, Spread, SummaryValue
from snncompress.report.comparison import Comparison, EnergyRanking, Entry, Outcome, Verdict
from snncompress.report.pareto import front
from snncompress.report.statistics import MIN_PAIRS, Paired, paired

QUALITY = "accuracy"
"""The value on the upright axis of a trade-off."""

MIN_ENTRIES = 2
_SAMPLES = re.compile(r"[0-9] of ([0-9]+) test samples\b")
_OUTCOMES: Mapping[tuple[Direction | None, bool], Outcome] = {
    (None, True): "higher",
    (None, False): "lower",
    ("higher", True): "better",
    ("higher", False): "worse",
    ("lower", True): "worse",
    ("lower", False): "better",
}


def compare(entries: Sequence[Entry], *, baseline: str | None = None, cost: str | None = None) -> Comparison:
    """Compare entries with one of them.

    Args:
        entries: with names unlike each other.
        baseline: name of the entry that the others are judged against; the first that has values by default.
        cost: the value to set against accuracy; by default the first one that all have, is better when lower, and differs.

    Raises:
        InputError: if there is no such baseline or cost, or nothing has values.
    """
    finished = [entry for entry in entries if entry.failed is None]
    if not finished:
        raise InputError("none of these runs has values to compare")
    first = _baseline(finished, baseline)
    shared = tuple(name for name in first.values if all(name in entry.values for entry in finished))
    chosen = _cost(finished, shared, cost)
    quality = QUALITY if QUALITY in shared and chosen != QUALITY else None
    others = [entry for entry in finished if entry is not first]
    return Comparison(
        entries=tuple(entries),
        baseline=first.name,
        shared=shared,
        missing=_missing(finished, shared),
        verdicts=tuple(verdict(entry, first, name) for entry in others for name in shared),
        quality=quality,
        cost=chosen,
        front=_front(finished, quality, chosen),
        energy=tuple(found for entry in others if (found := _ranking(entry, first))),
        notes=tuple(_notes(entries, first)),
    )


def verdict(entry: Entry, against: Entry, metric: str) -> Verdict:
    """Judge one value of an entry against the same value of another."""
    value, other = entry.values[metric], against.values[metric]
    ours, theirs = _pairs(entry, against, metric)
    found = paired(ours, theirs)
    difference = _difference(found, value.spread, other.spread)
    outcome, why = _judged(entry, against, metric, found)
    images = _samples(value, other)
    return Verdict(
        metric=metric,
        entry=entry.name,
        against=against.name,
        outcome=outcome,
        why=why,
        difference=difference,
        standard_error=found.standard_error if found else None,
        pairs=found.pairs if found else 0,
        points=None if difference is None or images is None else 100 * difference,
        images=None if difference is None or images is None else difference * images,
    )


def _pairs(entry: Entry, against: Entry, metric: str) -> tuple[list[float], list[float]]:
    ours = dict(zip(entry.seeds, entry.values[metric].spread.values, strict=True))
    theirs = dict(zip(against.seeds, against.values[metric].spread.values, strict=True))
    both = [(ours[seed], theirs[seed]) for seed in ours if seed in theirs]
    known = [(one, other) for one, other in both if one is not None and other is not None]
    return [one for one, _ in known], [other for _, other in known]


def _difference(found: Paired | None, ours: Spread, theirs: Spread) -> float | None:
    if found is not None:
        return found.mean
    return None if ours.mean is None or theirs.mean is None else ours.mean - theirs.mean


def _judged(entry: Entry, against: Entry, metric: str, found: Paired | None) -> tuple[Outcome, str]:
    if reason := _no_verdict(entry, against, metric, found):
        return "no verdict", f"no verdict: {reason}"
    assert found is not None  # noqa: S101 - two pairs or more
    if not found.differs:
        return "no difference seen", f"no difference seen: {found.doubt}"
    outcome = _OUTCOMES[entry.values[metric].better, found.mean > 0]
    return outcome, f"{outcome}: all {found.pairs} seeds agree, and the mean exceeds its standard error"


def _no_verdict(entry: Entry, against: Entry, metric: str, found: Paired | None) -> str:
    """Return the first reason for which two values cannot be judged; empty if they can."""
    value, other = entry.values[metric], against.values[metric]
    runs = value.spread.n, other.spread.n
    reasons = {
        "not measured": 0 in runs,
        f"in {value.unit!r} and in {other.unit!r}": value.unit != other.unit,
        "it depends on the moment it was taken": not (value.comparable and other.comparable),
        "measured on other data": entry.data != against.data,
        "one run each": runs == (1, 1),
        "fewer than two seeds in common": found is None or found.pairs < MIN_PAIRS,
    }
    return next((reason for reason, holds in reasons.items() if holds), "")


def _samples(value: SummaryValue, other: SummaryValue) -> int | None:
    """Return how many test samples a value is a part of, if its way of counting says so for both."""
    found = [_SAMPLES.search(one.how) for one in (value, other)]
    numbers = {int(match[1]) for match in found if match}
    return numbers.pop() if all(found) and len(numbers) == 1 else None


def _baseline(finished: Sequence[Entry], name: str | None) -> Entry:
    if name is None:
        return finished[0]
    chosen = next((entry for entry in finished if name in (entry.name, entry.folder)), None)
    if chosen is None:
        raise InputError(
            f"baseline {name!r} is none of the runs that have values; {did_you_mean(name, [one.name for one in finished])}"
        )
    return chosen


def _cost(finished: Sequence[Entry], shared: Sequence[str], name: str | None) -> str | None:
    if name is not None:
        if name not in shared:
            raise InputError(f"cost {name!r} is no value that all runs have; {did_you_mean(name, shared)}")
        return name
    means = {value: {entry.values[value].spread.mean for entry in finished} for value in shared}
    lower = [value for value in shared if _is_cost(finished[0].values[value]) and None not in means[value]]
    return next((value for value in lower if len(means[value]) > 1), next(iter(lower), None))


def _is_cost(value: SummaryValue) -> bool:
    return value.better == "lower" and value.comparable


def _missing(finished: Sequence[Entry], shared: Sequence[str]) -> dict[str, tuple[str, ...]]:
    names = dict.fromkeys(name for entry in finished for name in entry.values if name not in shared)
    return {name: tuple(entry.name for entry in finished if name not in entry.values) for name in names}


def _front(finished: Sequence[Entry], quality: str | None, cost: str | None) -> tuple[str, ...]:
    if quality is None or cost is None:
        return ()
    means = [(entry, entry.values[quality].spread.mean, entry.values[cost].spread.mean) for entry in finished]
    known = [(entry, high, low) for entry, high, low in means if high is not None and low is not None]
    return tuple(known[index][0].name for index in front([(high, low) for _, high, low in known]))


def _ranking(entry: Entry, against: Entry) -> EnergyRanking | None:
    ratios: dict[str, float] = {}
    for name, found in entry.energies.items():
        ours, theirs = found.mean, against.energies[name].mean if name in against.energies else None
        if ours is not None and theirs:
            ratios[name] = ours / theirs
    if not ratios:
        return None
    agree = len({(ratio > 1) - (ratio < 1) for ratio in ratios.values()}) == 1
    return EnergyRanking(entry=entry.name, against=against.name, ratios=ratios, agree=agree)


def _notes(entries: Sequence[Entry], first: Entry) -> Iterator[str]:
    finished = [entry for entry in entries if entry.failed is None]
    yield from (f"{entry.name} failed: {entry.failed}" for entry in entries if entry.failed is not None)
    if other := [entry.name for entry in finished if entry.data != first.data]:
        yield f"measured on other data than {first.name}: {', '.join(other)}"
    if other := [entry.name for entry in finished if set(entry.seeds) != set(first.seeds)]:
        yield f"run with other seeds than {first.name}: {', '.join(other)}"
    if all(len(entry.seeds) == 1 for entry in finished):
        yield "one run each: no difference between them is a verdict; give seeds: [0, 1, 2]"
