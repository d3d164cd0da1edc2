"""What training did to the neurons themselves, from what the steps noted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from snncompress import Record
from snncompress_report.document import Cell, Fold, Section, Table, Words
from snncompress_report.numbers import shown

_SPREAD = ("min", "median", "max")
_NAMES = {"layer", "value", "before", "after"}

Row = Mapping[str, Any]


def neurons(record: Record) -> Section | None:
    """Show thresholds and leaks before and after each training; None where no neuron trained any."""
    found = [row for row in _noted(record) if _is_row(row)]
    if not found:
        return None
    head = ("training", "layer", "value", "before", "after")
    caption = "Smallest, median and largest value of each layer; the leak is the part of the membrane lost in a step"
    table = Table(caption, head, tuple(map(_cells, found)))
    words = Words("Over all layers, " + "; ".join(_ranges(found)) + ".")
    return Section("neurons", "Trained neurons", (words, Fold("Each layer before and after training", (table,))))


def _noted(record: Record) -> Iterator[Row]:
    """Yield what each training noted of its neurons, with its name."""
    for place, step in enumerate(record.steps, start=1):
        known = step.notes.get("training")
        for label, kept in known.items() if isinstance(known, Mapping) else ():
            rows = kept.get("neurons") if isinstance(kept, Mapping) else None
            for row in rows if isinstance(rows, list) else ():
                yield {"training": f"{place}. {step.use}, {label}", **row} if isinstance(row, Mapping) else {}


def _is_row(row: Row) -> bool:
    """Tell whether an entry is one of the training loop's; a plugin may note anything under that name."""
    return set(row) >= _NAMES and all(_is_spread(row[name]) for name in ("before", "after"))


def _is_spread(values: Any) -> bool:
    return isinstance(values, Mapping) and all(isinstance(values.get(name), int | float) for name in _SPREAD)


def _ranges(rows: list[Row]) -> Iterator[str]:
    """Say of each value between what it lay before the first training that moved it, and behind the last."""
    for name in dict.fromkeys(row["value"] for row in rows):
        own = [row for row in rows if row["value"] == name]
        first, last = ([row for row in own if row["training"] == own[place]["training"]] for place in (0, -1))
        yield f"{name}s lay between {_range(first, 'before')} before training and between {_range(last, 'after')} behind it"


def _range(rows: list[Row], when: str) -> str:
    return f"{shown(min(row[when]['min'] for row in rows))} and {shown(max(row[when]['max'] for row in rows))}"


def _cells(row: Row) -> tuple[Cell, ...]:
    return Cell(row["training"]), Cell(row["layer"]), Cell(row["value"]), _spread(row["before"]), _spread(row["after"])


def _spread(values: Row) -> Cell:
    return Cell(" / ".join(shown(values.get(name)) for name in _SPREAD), value=values.get("median"))
