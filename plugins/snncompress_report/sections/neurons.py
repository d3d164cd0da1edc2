"""What training did to the neurons themselves, from what the steps noted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from snncompress import Record
from snncompress_report.document import Cell, Fold, Section, Table
from snncompress_report.numbers import shown

_SPREAD = ("min", "median", "max")


def neurons(record: Record) -> Section | None:
    """Show thresholds and leaks before and after each training; None where no neuron trained any."""
    rows = tuple(_rows(record))
    if not rows:
        return None
    head = ("training", "layer", "value", "before", "after")
    caption = "Smallest, median and largest value of each layer; the leak is the part of the membrane lost in a step"
    table = Table(caption, head, rows)
    return Section("neurons", "Trained neurons", (Fold(f"{len(rows)} trained values of neurons", (table,)),))


def _rows(record: Record) -> Iterator[tuple[Cell, ...]]:
    for place, step in enumerate(record.steps, start=1):
        known = step.notes.get("training")
        for label, kept in known.items() if isinstance(known, Mapping) else ():
            for row in kept.get("neurons", ()) if isinstance(kept, Mapping) else ():
                if isinstance(row, Mapping) and {"layer", "value", "before", "after"} <= set(row):
                    named = Cell(f"{place}. {step.use}, {label}")
                    yield named, Cell(row["layer"]), Cell(row["value"]), _spread(row["before"]), _spread(row["after"])


def _spread(values: Mapping[str, Any]) -> Cell:
    return Cell(" / ".join(shown(values.get(name)) for name in _SPREAD), value=values.get("median"))
