"""The text report."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar, Literal

from snncompress import Measurement, Record, Settings

_SMALL = 1e-3
"""Below it, four decimals would show next to nothing."""


class Text(Settings):
    """Write what was done and measured as plain text."""

    use: Literal["text"] = "text"
    file_name: ClassVar[str] = "report.txt"

    def render(self, record: Record) -> str:
        """Return the report."""
        return "\n".join(_lines(record)) + "\n"


def _lines(record: Record) -> Iterator[str]:
    yield f"{record.name}: {len(record.steps)} step(s), {sum(step.seconds for step in record.steps):.0f} s of work"
    yield ""
    yield from _table(
        ["step", "use", "seconds", "reused", *_names(record)],
        [_row(record, index) for index in range(len(record.steps))],
    )
    yield ""
    yield from _table(["value", "baseline", "final", "unit"], [_compared(name, record) for name in record.final])
    if record.budget:
        yield ""
        yield from _table(
            ["budget", "limit", "value", "met"],
            [
                [entry.metric, entry.limit, _number(entry.value), "yes" if entry.met else "NO"]
                for entry in record.budget
            ],
        )
    yield ""
    yield "A masked network is smaller on disk and sparser; on a CPU or GPU it runs no faster."
    yield f"artifact: {record.artifact}"


def _names(record: Record) -> list[str]:
    return [name for name in record.final if name in ("accuracy", "sparsity", "firing_rate")]


def _row(record: Record, index: int) -> list[str]:
    step = record.steps[index]
    measured = [_shown(step.measurements, name) for name in _names(record)]
    return [str(index + 1), step.use, f"{step.seconds:.1f}", "yes" if step.reused else "no", *measured]


def _compared(name: str, record: Record) -> list[str]:
    return [name, _shown(record.baseline, name), _shown(record.final, name), record.final[name].unit]


def _shown(values: Mapping[str, Measurement], name: str) -> str:
    return _number(values[name].value) if name in values else "-"


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.3g}" if 0 < abs(value) < _SMALL else f"{value:.4f}"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    widths = [max(len(line[column]) for line in (head, *rows)) for column in range(len(head))]
    for line in (head, ["-" * width for width in widths], *rows):
        yield "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
