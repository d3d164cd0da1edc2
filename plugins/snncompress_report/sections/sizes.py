"""The three sizes together: nominal, physical, measured."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping

from snncompress_report.details import Side
from snncompress_report.document import Block, Cell, Section, Table, Words
from snncompress_report.numbers import number, percent, times

_HONEST = "A masked network is smaller on disk and sparser; on a CPU or GPU it runs no faster."
_SIZES = (
    ("parameters_nonzero", "nominal: parameters that are not zero", "parameters"),
    ("parameters", "physical: parameters stored and multiplied", "parameters"),
    ("bytes", "physical: bytes on disk", "size"),
    ("latency_ratio", "measured: time of a forward pass, baseline = 1", "latency"),
)
"""Values, what each says of the size, and the metric that yields it."""


def honest(values: Mapping[str, float | None], *, masked: bool | None) -> tuple[Words, ...]:
    """Say what masks do not bring, where a network has some.

    Records of 0.1.0 do not say whether it has; there zeros among the weights stand for masks.
    """
    if masked is None:
        stored, nonzero = values.get("parameters"), values.get("parameters_nonzero")
        has_zeros = stored is not None and nonzero is not None and nonzero < stored
        masked = bool(values.get("sparsity")) or has_zeros
    return (Words(_HONEST),) if masked else ()


def sizes(before: Side, after: Side, *, masked: bool | None = None) -> Section:
    """Show the three sizes, and what they do not say."""
    known = [(name, label) for name, label, _ in _SIZES if name in after.values]
    missing = dict.fromkeys(metric for name, _, metric in _SIZES if name not in after.values)
    head = ("size", "baseline", "final", "final / baseline")
    rows = tuple(_row(name, label, before, after) for name, label in known)
    table = Table("Sizes of baseline and final network", head, rows, "noted")
    blocks: tuple[Block, ...] = (*((table,) if known else ()), *_told(before, after, masked=masked))
    return Section("sizes", "Three sizes", blocks, tuple(missing))


def _row(name: str, label: str, before: Side, after: Side) -> tuple[Cell, ...]:
    was, now = before.value(name), after.value(name)
    under = _spread(after) if name == "latency_ratio" else ""
    ratio = now if name == "latency_ratio" else now / was if was and now is not None else None
    return Cell(label, under=under), number(was), number(now), Cell(times(ratio), value=ratio, bar=_capped(ratio))


def _spread(side: Side) -> str:
    if side.latency is None or not side.latency.ratios:
        return ""
    ratios = side.latency.ratios
    times = side.latency.milliseconds
    took = f"; median {statistics.median(times):.3g} ms" if times else ""
    return f"{min(ratios):.3g} to {max(ratios):.3g} in {len(ratios)} pairs{took}"


def _capped(ratio: float | None) -> float | None:
    return None if ratio is None else min(1.0, ratio)


def _told(before: Side, after: Side, *, masked: bool | None) -> Iterator[Words]:
    yield from honest({name: one.value for name, one in after.values.items()}, masked=masked)
    stored, nonzero, first = after.value("parameters"), after.value("parameters_nonzero"), before.value("parameters")
    if stored and nonzero is not None:
        yield Words(f"Here {percent(1 - nonzero / stored)} of the stored parameters are zero{_removed(first, stored)}.")


def _removed(first: float | None, stored: float) -> str:
    if not first:
        return ""
    if stored >= first:
        return ", and none of the baseline's was cut out"
    return f", and {percent(1 - stored / first)} of the baseline's were cut out"
