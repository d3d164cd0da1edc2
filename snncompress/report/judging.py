"""From entries to a comparison: verdicts against one of them, Pareto front, ranking under energy models, caveats."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from snncompress.errors import InputError, did_you_mean
from snncompress.record import SummaryValue
from snncompress.report.comparison import Comparison, EnergyRanking, Entry
from snncompress.report.pareto import front
from snncompress.report.statistics import MIN_PAIRS
from snncompress.report.verdicts import QUALITY, at_chance, verdict

MIN_ENTRIES = 2


def compare(entries: Sequence[Entry], *, baseline: str | None = None, cost: str | None = None) -> Comparison:
    """Compare entries with one of them.

    Args:
        entries: with names unlike each other.
        baseline: name of the entry that the others are judged against; by default the first that has values, or the first
            that is not dense where several dense networks stand there.
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
    guessing = {entry.name: seeds for entry in finished if (seeds := at_chance(entry))}
    return Comparison(
        entries=tuple(entries),
        baseline=first.name,
        shared=shared,
        missing=_missing(finished, shared),
        verdicts=tuple(verdict(entry, first, name) for entry in others for name in shared),
        quality=quality,
        cost=chosen,
        front=_front([entry for entry in finished if entry.name not in guessing], quality, chosen),
        at_chance=guessing,
        energy=tuple(found for entry in others if (found := _ranking(entry, first))),
        notes=tuple(_notes(entries, first, guessing)),
    )


def _baseline(finished: Sequence[Entry], name: str | None) -> Entry:
    if name is None:
        dense = [entry for entry in finished if entry.dense]
        return finished[0] if len(dense) < 2 else next(entry for entry in finished if not entry.dense)  # noqa: PLR2004
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


_REPEAT = "give seeds: [0, 1, 2] in place of values of seed"


def _notes(entries: Sequence[Entry], first: Entry, guessing: Mapping[str, tuple[int, ...]]) -> Iterator[str]:
    finished = [entry for entry in entries if entry.failed is None]
    yield from (f"{entry.name} failed: {entry.failed}" for entry in entries if entry.failed is not None)
    if other := [entry.name for entry in finished if entry.data != first.data]:
        yield f"measured on other data than {first.name}: {', '.join(other)}"
    if other := [entry.name for entry in finished if set(entry.seeds) != set(first.seeds)]:
        yield f"run with other seeds than {first.name}: {', '.join(other)}"
    if other := [entry.name for entry in finished if not set(entry.seeds) & set(first.seeds)]:
        yield f"no seed in common with {first.name}: {', '.join(other)}; to repeat a run, or each of a sweep, {_REPEAT}"
    if len(finished) > 1 and all(len(entry.seeds) < MIN_PAIRS for entry in finished):
        yield f"too few seeds: a verdict needs {MIN_PAIRS} or more; give seeds: [0, 1, 2]"
    for name, seeds in guessing.items():
        numbers = f"seed{'s' if len(seeds) > 1 else ''} {', '.join(map(str, seeds))}"
        yield f"{name} is at chance in {numbers}: guessing is as accurate, so none of its values is called better"
