"""Whether one entry beats another in a value: a paired t-test over seeds, and what it needs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TypeGuard

from snncompress.record import Direction, Spread, SummaryValue
from snncompress.report.comparison import Entry, Outcome, Verdict
from snncompress.report.statistics import MIN_PAIRS, Paired, is_at_chance, paired

QUALITY = "accuracy"
"""The value on the upright axis of a trade-off."""

_SAMPLES = re.compile(r"[0-9] of ([0-9]+) test samples\b")
_OUTCOMES: Mapping[tuple[Direction | None, bool], Outcome] = {
    (None, True): "higher",
    (None, False): "lower",
    ("higher", True): "better",
    ("higher", False): "worse",
    ("lower", True): "worse",
    ("lower", False): "better",
}


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
        interval=found.interval if found else None,
        p=found.p if found else None,
        pairs=found.pairs if found else 0,
        points=None if difference is None or images is None else 100 * difference,
        images=None if difference is None or images is None else difference * images,
    )


def at_chance(entry: Entry) -> tuple[int, ...]:
    """Return the seeds in which an entry's network is no better than guessing; none where that is not known."""
    found = entry.values.get(QUALITY)
    samples = None if found is None else _samples(found, found)
    if found is None or samples is None or not found.chance:
        return ()
    runs = zip(entry.seeds, found.spread.values, found.chance, strict=True)
    return tuple(
        seed
        for seed, value, chance in runs
        if _is_fraction(value) and _is_fraction(chance) and is_at_chance(round(value * samples), samples, chance)
    )


def _is_fraction(value: float | None) -> TypeGuard[float]:
    """Tell whether a value lies in 0..1; a metric of someone else may give an accuracy in per cent."""
    return value is not None and 0 <= value <= 1


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
    if reason := _no_verdict(entry, against, metric):
        return "no verdict", f"no verdict: {reason}"
    if reason := _too_few(entry, against, metric, found):
        return "too few seeds", f"too few seeds: {reason}"
    assert found is not None  # noqa: S101 - three pairs or more
    if not found.differs:
        return "no difference seen", f"no difference seen: {found.reason}"
    outcome = _OUTCOMES[entry.values[metric].better, found.mean > 0]
    winner = {"better": entry, "worse": against}.get(outcome)
    if winner is not None and at_chance(winner):
        return "no verdict", f"no verdict: {winner.name} is at chance"
    return outcome, f"{outcome}: {found.reason}"


def _no_verdict(entry: Entry, against: Entry, metric: str) -> str:
    """Return the first reason for which two values cannot be judged, however many seeds there are; empty if they can."""
    value, other = entry.values[metric], against.values[metric]
    reasons = {
        "not measured": 0 in (value.spread.n, other.spread.n),
        f"in {value.unit!r} and in {other.unit!r}": value.unit != other.unit,
        "it depends on the moment it was taken": not (value.comparable and other.comparable),
        "measured on other data": entry.data != against.data,
    }
    return next((reason for reason, holds in reasons.items() if holds), "")


def _too_few(entry: Entry, against: Entry, metric: str, found: Paired | None) -> str:
    """Say why the seeds do not suffice; empty if they do."""
    value, other = entry.values[metric], against.values[metric]
    if (value.spread.n, other.spread.n) == (1, 1):
        return f"one run each, and a verdict needs {MIN_PAIRS}"
    pairs = 0 if found is None else found.pairs
    if pairs < MIN_PAIRS:
        return f"{pairs} in common, and a verdict needs {MIN_PAIRS}"
    if _repeats(value) and _repeats(other) and found is not None and found.mean:
        return f"{metric} is the same in every seed of both, so they count as one run"
    return ""


def _repeats(value: SummaryValue) -> bool:
    """Tell whether equally many test samples are right in every seed: one result that was seen several times.

    So it is where nothing draws: a trained network is pruned and not trained again. A number of parameters is the same in
    every seed too, but it is exact, and an accuracy is an estimate from a sample.
    """
    return _samples(value, value) is not None and len(set(value.spread.values)) == 1


def _samples(value: SummaryValue, other: SummaryValue) -> int | None:
    """Return how many test samples two values are fractions of, if it is known and the same."""
    found = {_num_samples(one) for one in (value, other)}
    return found.pop() if len(found) == 1 else None


def _num_samples(value: SummaryValue) -> int | None:
    """Return the number of test samples; records of 0.1.0 have it in words alone."""
    match = _SAMPLES.search(value.how)
    return int(match[1]) if value.samples is None and match else value.samples
