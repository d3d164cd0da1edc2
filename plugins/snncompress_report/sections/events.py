"""What is not event-driven, and its share."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from snncompress import OperationCounts, Row
from snncompress_report.details import Side
from snncompress_report.document import Block, Cell, Section, Table, Words
from snncompress_report.numbers import percent, short
from snncompress_report.sections.layers import held

_TITLE = "What is not event-driven"
_FOLDING = frozenset({"synapse", "bias", "norm"})
"""Kinds of rows behind which a norm with fixed statistics is one factor and one shift of the weights before it."""


def events(after: Side) -> Section:
    """List what the final network computes other than additions triggered by spikes."""
    if after.counts is None:
        return Section("events", _TITLE, (), ("synops",))
    return Section("events", _TITLE, tuple(_blocks(after.counts)))


def _blocks(counts: OperationCounts) -> Iterator[Block]:
    multiplying = [row for row in counts.rows if row.kind in ("synapse", "attention")]
    exact = [row for row in multiplying if not row.is_event_driven]
    others = list(_no_products(counts.rows))
    yield summary(counts)
    whole = _dense(multiplying)
    if exact:
        head = ("layer", "operation", "its input holds", "dense", "share of dense")
        yield Table("Products that spikes do not trigger", head, tuple(_product(row, counts, whole) for row in exact))
    elements = _dense(row for row in counts.rows if row.kind not in ("synapse", "attention"))
    if others:
        head = ("layer", "operation", "why", "elements", "share of elements")
        rows = tuple(_other(row, why, counts, elements) for row, why in others)
        yield Table("Functions that event-driven hardware does not have", head, rows)
        words = "The share is of the elements of everything that multiplies nothing: biases, norms, neurons, pools, ..."
        yield Words(words, "quiet")
    if folded := [row for row in counts.rows if row.scale_folded]:
        yield Words(f"A declared scale of the spikes is folded into the weights of {len(folded)} layer(s).", "quiet")


def summary(counts: OperationCounts) -> Words:
    """Say in a sentence which part of the dense operations spikes do not trigger."""
    multiplying = [row for row in counts.rows if row.kind in ("synapse", "attention")]
    exact, whole = _dense(row for row in multiplying if not row.is_event_driven), _dense(multiplying)
    if not whole:
        return Words("Nothing in this network multiplies.", "quiet")
    if not exact:
        return Words("Every product of this network is triggered by spikes.")
    return Words(f"{percent(exact / whole)} of the dense operations have inputs that are no spikes.")


def _no_products(rows: tuple[Row, ...]) -> Iterator[tuple[Row, str]]:
    previous = ""
    for row in rows:
        if row.kind == "softmax":
            yield row, "an exponential and a division"
        elif row.kind == "pool" and "max" in row.operation and not row.is_event_driven:
            yield row, "a maximum, not a sum"
        elif row.kind == "norm" and (why := _unfoldable(row, previous)):
            yield row, why
        elif row.kind == "other":
            yield row, "not linear"
        previous = row.kind


def _unfoldable(row: Row, previous: str) -> str:
    if "batch" not in row.operation:
        return "its statistics are taken from the sample"
    return "" if previous in _FOLDING else "no layer before it that it could be folded into"


def _dense(rows: Iterable[Row]) -> int:
    return sum(sum(row.dense) for row in rows)


def _share(row: Row, counts: OperationCounts, whole: int) -> tuple[Cell, Cell]:
    dense = sum(row.dense)
    number, part = dense / max(1, counts.samples), dense / max(1, whole)
    return Cell(short(number), value=number), Cell(percent(part), value=part, bar=part)


def _product(row: Row, counts: OperationCounts, whole: int) -> tuple[Cell, ...]:
    told = f"{held(row)}, the network's own input" if row.is_first else held(row)
    return Cell(row.path or "(the network itself)"), Cell(row.operation), Cell(told), *_share(row, counts, whole)


def _other(row: Row, why: str, counts: OperationCounts, whole: int) -> tuple[Cell, ...]:
    return Cell(row.path or "(the network itself)"), Cell(row.operation), Cell(why), *_share(row, counts, whole)
