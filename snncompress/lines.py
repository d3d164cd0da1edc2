"""What `print` shows of results: a few lines."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from snncompress.record import BudgetRecord, Measurement, Record, Spread, Summary, SummaryValue
    from snncompress.report import Comparison, Entry

_MOST_VALUES, _MOST_ENTRIES = 8, 12
_LARGE = 1000


def number(value: float | None) -> str:
    """Write a number: counts in full, others with four digits or so."""
    if value is None:
        return "-"
    return f"{value:,}" if isinstance(value, int) else f"{value:,.1f}" if abs(value) >= _LARGE else f"{value:.4g}"


def spread(found: Spread) -> str:
    """Write a mean with its spread."""
    return number(found.mean) + ("" if found.std is None else f" ± {number(found.std)}")


def of_record(record: Record) -> str:
    """Say what a run did and came to."""
    steps = ", ".join(step.use for step in record.steps)
    return "\n".join([f"{record.name}, seed {record.seed}: {steps}", *_values(record), *_budgets(record.budget)])


def of_summary(summary: Summary) -> str:
    """Say what several seeds came to."""
    seeds = ", ".join(map(str, summary.seeds))
    return "\n".join([f"{summary.name}, seeds {seeds}", *_values(summary), *_budgets(summary.budget)])


def of_comparison(found: Comparison) -> str:
    """Say what several runs came to, and what is said of them."""
    heads = [name for name in (found.quality, found.cost) if name]
    rows = [(entry.name, *_cells(entry, heads), _said(found, entry)) for entry in found.entries[:_MOST_ENTRIES]]
    first = f"{len(found.entries)} runs, compared with {found.baseline!r}"
    return "\n".join([first, *_aligned(rows), *_more(len(found.entries), _MOST_ENTRIES)])


def _cells(entry: Entry, heads: Sequence[str]) -> Iterator[str]:
    for name in heads:
        yield f"{name} {spread(entry.values[name].spread)}" if name in entry.values else ""


def _said(found: Comparison, entry: Entry) -> str:
    if entry.failed is not None:
        return f"failed: {entry.failed}"
    verdict = found.verdict(found.quality, entry.name) if found.quality else None
    return verdict.outcome if verdict else ""


def _values(found: Record | Summary) -> Iterator[str]:
    before: Mapping[str, Measurement | SummaryValue] = found.baseline
    after: Mapping[str, Measurement | SummaryValue] = found.final
    rows = [
        (
            name,
            f"{_told(before[name])} ->" if name in before else "",
            f"{_told(value)} {value.unit.removesuffix('1')}".rstrip(),
        )
        for name, value in list(after.items())[:_MOST_VALUES]
    ]
    yield from _aligned(rows)
    yield from _more(len(after), _MOST_VALUES)


def _told(value: Measurement | SummaryValue) -> str:
    measured = getattr(value, "spread", None)
    return number(getattr(value, "value", None)) if measured is None else spread(measured)


def _budgets(budget: Sequence[BudgetRecord]) -> Iterator[str]:
    missed = [f"{entry.metric} is {number(entry.value)}, limit {entry.limit}" for entry in budget if not entry.met]
    if budget:
        yield f"budgets met: {len(budget) - len(missed)} of {len(budget)}" + "".join(f"; {one}" for one in missed)


def _more(count: int, most: int) -> Iterator[str]:
    if count > most:
        yield f"  and {count - most} more"


def _aligned(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  " + "  ".join(f"{text:{width}}" for text, width in zip(row, widths, strict=True)).rstrip()
