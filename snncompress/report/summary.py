"""From the records of several seeds to one summary."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from snncompress.record import Measurement, Record, Summary, SummaryBudget, SummaryValue
from snncompress.report.statistics import spread

Met = Callable[[int, float, float], bool]
"""Tells whether the budget of an index is met, from the means of baseline and final value."""

_NUMBER = re.compile(r"-?[0-9][0-9,._]*(e[-+]?[0-9]+)?")


def summarise(records: Sequence[Record], runs: Sequence[str], *, pipeline: Mapping[str, Any], met: Met) -> Summary:
    """Return the summary of the records of one pipeline, one for each seed.

    Args:
        records: at least one.
        runs: the folder of each record, relative to that of the summary.
        pipeline: the whole pipeline, with its seeds.
        met: judges a budget on the means.
    """
    seeds = tuple(record.seed for record in records)
    baseline = _values([record.baseline for record in records])
    final = _values([record.final for record in records])
    budget = tuple(_judged(records, index, seeds, baseline, final, met) for index in range(len(records[0].budget)))
    return Summary(
        name=records[0].name,
        pipeline=dict(pipeline),
        environment=records[0].environment,
        seeds=seeds,
        runs=tuple(runs),
        baseline=baseline,
        final=final,
        budget=budget,
        masked=_any([record.masked for record in records]),
    )


def _any(known: Sequence[bool | None]) -> bool | None:
    return None if None in known else any(known)


def summarised(found: Sequence[Measurement | None]) -> SummaryValue:
    """Return one value over several runs; None stands for a run that has not measured it."""
    present = [one for one in found if one is not None]
    return SummaryValue(
        spread=spread([None if one is None else one.value for one in found]),
        unit=present[0].unit,
        how=shared_words([one.how for one in present]),
        better=present[0].better,
        comparable=all(one.comparable for one in present),
        samples=_shared([one.samples for one in present]),
        chance=_chances(found),
    )


def _chances(found: Sequence[Measurement | None]) -> tuple[float | None, ...]:
    chances = tuple(None if one is None else one.chance for one in found)
    return () if all(one is None for one in chances) else chances


def _shared(numbers: Sequence[int | None]) -> int | None:
    return numbers[0] if len(set(numbers)) == 1 else None


def shared_words(texts: Sequence[str]) -> str:
    """Return texts that differ in numbers alone as one text (``490, 492, 490 of 500``), others each once."""
    distinct = list(dict.fromkeys(texts))
    words = [text.split(" ") for text in texts]
    if len(distinct) == 1 or len({len(one) for one in words}) > 1:
        return "; ".join(distinct)
    columns = [column[:1] if len(set(column)) == 1 else column for column in zip(*words, strict=True)]
    if any(len(column) > 1 and not all(_NUMBER.fullmatch(word) for word in column) for column in columns):
        return "; ".join(distinct)
    return " ".join(", ".join(column) for column in columns)


def _values(found: Sequence[Mapping[str, Measurement]]) -> dict[str, SummaryValue]:
    names = dict.fromkeys(name for values in found for name in values)
    return {name: summarised([values.get(name) for values in found]) for name in names}


def _judged(
    records: Sequence[Record],
    index: int,
    seeds: Sequence[int],
    baseline: Mapping[str, SummaryValue],
    final: Mapping[str, SummaryValue],
    met: Met,
) -> SummaryBudget:
    entries = [record.budget[index] for record in records]
    metric = entries[0].metric
    before, after = baseline[metric].spread, final[metric].spread
    is_known = before.n == after.n == len(records)
    return SummaryBudget(
        metric=metric,
        limit=entries[0].limit,
        value=after.mean,
        met=is_known and before.mean is not None and after.mean is not None and met(index, before.mean, after.mean),
        missed_by=tuple(seed for seed, entry in zip(seeds, entries, strict=True) if not entry.met),
    )
