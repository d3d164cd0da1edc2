"""Before and after: the numbers to see first, and every value."""

from __future__ import annotations

from snncompress_report.details import Side
from snncompress_report.document import Cell, Fact, Section, Table, Words
from snncompress_report.numbers import change, number

_FIRST = ("accuracy", "parameters_nonzero", "synops", "energy", "bytes", "latency_ratio")
"""Values that are shown first, where they were measured."""


def facts(before: Side, after: Side) -> tuple[Fact, ...]:
    """Return the numbers to see first."""
    return tuple(_fact(name, before, after) for name in _FIRST if after.value(name) is not None)


def _fact(name: str, before: Side, after: Side) -> Fact:
    unit = after.values[name].unit
    was, now = before.value(name), after.value(name)
    label = name.replace("_", " ")
    told = label if unit == "1" or unit in label else f"{label}, {unit}"
    return Fact(told, number(now), number(was) if name in before.values else None, change(was, now, unit))


def values(before: Side, after: Side) -> Section:
    """Compare each value of the baseline with the final one."""
    names = [*after.values, *(name for name in before.values if name not in after.values)]
    if not names:
        words = Words("Nothing was measured; name metrics under `measure:`.", "quiet")
        return Section("values", "Before and after", (words,))
    words = Words(
        "The baseline is the network before the first step that compresses, or before the first step if none does.",
        "quiet",
    )
    rows = tuple(_compared(name, before, after) for name in names)
    return Section(
        "values", "Before and after", (words, Table("Values, and how they were counted", _HEAD, rows, "noted"))
    )


_HEAD = ("value", "baseline", "final", "change", "unit")


def _compared(name: str, before: Side, after: Side) -> tuple[Cell, ...]:
    known = after.values.get(name) or before.values[name]
    was, now = before.value(name), after.value(name)
    changed = Cell(change(was, now, known.unit))
    return Cell(name, under=known.how), number(was), number(now), changed, Cell(known.unit)
