"""The layers that multiply: weights, density, activity of the input, operations, share of the energy."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from snncompress import OperationCounts, Row
from snncompress_report.details import Energy, Side
from snncompress_report.document import Cell, Section, Table, Words
from snncompress_report.numbers import TIMES, percent, short

Place = tuple[str, str]
"""Module path and operation."""

_TITLE = "Layers"
_HOLDS = {
    "spikes": "spikes",
    "scaled_spikes": "scaled spikes",
    "spike_counts": "counts of spikes",
    "integers": "whole numbers",
    "real": "real numbers",
}
_HEAD = ("layer", "weights left", "density", "input not zero", "dense", "fan-out", "done")
_EXPLAINED = (
    "Bars: the final network in colour, the baseline in grey behind it; small print is the baseline.",
    (
        "Dense: multiply-accumulates if nothing were sparse. Fan-out: spikes times fan-out, zero weights included. Done: "
        "pairs of a spike and a weight that are both not zero (synops), the same for inputs that are no spikes (MACs), "
        "and products of two activations that are both not zero (attention). Energy: the whole module's, in its first row."
    ),
)


class Amounts(NamedTuple):
    """What one row comes to for one sample."""

    weights: float | None = None
    density: float | None = None
    inputs: tuple[float, ...] = ()
    dense: float | None = None
    fanout: float | None = None
    done: float | None = None


def layers(before: Side, after: Side) -> Section:
    """Show every layer that multiplies, in the order of the pass, baseline against final."""
    if after.counts is None:
        return Section("layers", _TITLE, (), ("synops",))
    was, now = placed(before.counts), placed(after.counts)
    places = list(dict.fromkeys([*now, *was]))
    model = next((one for one in after.energies if one.layers and one.mj), None)
    shares = _shares(model, places) if model else {}
    head = (*_HEAD, f"energy, {model.name}") if model else _HEAD
    ours = {place: _amounts(now.get(place), after.counts) for place in places}
    theirs = {place: _amounts(was.get(place), before.counts) for place in places}
    largest = max((one.done or 0 for one in (*ours.values(), *theirs.values())), default=0)
    rows = tuple(
        (
            _named(place, was.get(place), now.get(place), is_compared=before.counts is not None),
            *_row(now.get(place) or was[place], ours[place], theirs[place], largest),
            *((shares[place],) if model else ()),
        )
        for place in places
    )
    table = Table("Operations of one sample, over all time steps", head, rows, "sortable")
    return Section("layers", _TITLE, (*(Words(text, "quiet") for text in _EXPLAINED), table))


def placed(counts: OperationCounts | None) -> dict[Place, Row]:
    """Return the rows that multiply by module and operation, each under a name of its own."""
    found: dict[Place, Row] = {}
    for row in (row for row in counts.rows if row.kind in ("synapse", "attention")) if counts else ():
        place, again = (row.path, row.operation), 2
        while place in found:
            place, again = (row.path, f"{row.operation} {again}"), again + 1
        found[place] = row
    return found


def held(row: Row) -> str:
    """Say what the operands of a row hold."""
    return f" {TIMES} ".join(_HOLDS[operand] for operand in row.operands)


def _amounts(row: Row | None, counts: OperationCounts | None) -> Amounts:
    if row is None or counts is None:
        return Amounts()
    samples = max(1, counts.samples)
    return Amounts(
        weights=row.weights_nonzero if row.weights else None,
        density=row.weights_nonzero / row.weights if row.weights else None,
        inputs=row.densities,
        dense=sum(row.dense) / samples,
        fanout=sum(row.fanout) / samples if row.kind == "synapse" and row.is_event_driven else None,
        done=sum(row.pairs) / samples,
    )


def _named(place: Place, was: Row | None, now: Row | None, *, is_compared: bool) -> Cell:
    row = now or was
    holds = held(row) if row else ""
    news = "" if now else "; gone from the final network"
    news += "; not in the baseline" if is_compared and was is None else ""
    return Cell(place[0] or "(the network itself)", under=f"{place[1]}, {holds}{news}")


def _row(row: Row, ours: Amounts, theirs: Amounts, largest: float) -> tuple[Cell, ...]:
    return (
        _count(ours.weights, theirs.weights),
        _part(ours.density, theirs.density),
        _inputs(ours.inputs, theirs.inputs),
        _count(ours.dense, theirs.dense),
        _count(ours.fanout, theirs.fanout),
        _done(row, ours.done, theirs.done, largest),
    )


def _count(now: float | None, was: float | None, word: str = "") -> Cell:
    text = "-" if now is None else f"{short(now)} {word}".rstrip()
    return Cell(text, value=now, under=_was(was, now, short))


def _part(now: float | None, was: float | None) -> Cell:
    text = "-" if now is None else percent(now)
    return Cell(text, value=now, under=_was(was, now, percent), bar=now, bar_before=was)


def _inputs(now: tuple[float, ...], was: tuple[float, ...]) -> Cell:
    if len(now) <= 1 and len(was) <= 1:
        return _part(now[0] if now else None, was[0] if was else None)
    text, before = (f" {TIMES} ".join(percent(part) for part in parts) or "-" for parts in (now, was))
    return Cell(text, under=f"was {before}" if was and was != now else "")


def _done(row: Row, now: float | None, was: float | None, largest: float) -> Cell:
    word = "attention" if row.kind == "attention" else "synops" if row.is_event_driven else "MACs"
    cell = _count(now, was, word)
    bars = [None if one is None or not largest else one / largest for one in (now, was)]
    return Cell(cell.text, cell.value, cell.under, bar=bars[0], bar_before=bars[1])


def _shares(model: Energy, places: list[Place]) -> dict[Place, Cell]:
    """Return each module's part of the energy, in the row of its first operation."""
    seen: set[str] = set()
    found: dict[Place, Cell] = {}
    for place in places:
        value = model.layers.get(place[0])
        part = None if value is None or place[0] in seen else value / model.mj
        found[place] = Cell("-") if part is None else Cell(percent(part), value=part, bar=part)
        seen.add(place[0])
    return found


def _was(was: float | None, now: float | None, write: Callable[[float], str]) -> str:
    return "" if was is None or was == now else f"was {write(was)}"
