"""How numbers are written."""

from __future__ import annotations

import math

from snncompress_report.document import Cell

_SMALL, _MEDIUM, _LARGE = 0.1, 10, 1e3
"""Below the first, four decimals would show too few digits; above the others, they are noise."""
TIMES = "\N{MULTIPLICATION SIGN}"
_PREFIXES = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))
_NEARLY_NONE, _NEARLY_ALL = 1e-3, 0.9995


def shown(value: float | None) -> str:
    """Write a number in full; whole numbers keep every digit."""
    if value is None:
        return "-"
    if isinstance(value, int):
        return f"{value:,}"
    size = abs(value)
    if size < _SMALL:  # zero is a bare 0
        return f"{value:.3g}"
    if size >= _MEDIUM and value.is_integer():
        return f"{value:,.0f}"
    return f"{value:,.{4 if size < _MEDIUM else 2 if size < _LARGE else 1}f}"


def short(value: float) -> str:
    """Write a count with three digits: 1,234,567 is ``1.23 M``."""
    for size, prefix in _PREFIXES:
        if abs(value) >= size * 0.9995:
            return f"{value / size:.{_decimals(value / size)}f} {prefix}"
    return f"{value:.3g}"


def _decimals(value: float) -> int:
    return max(0, 2 - max(0, math.floor(math.log10(abs(value) * 1.0005))))


def percent(part: float) -> str:
    """Write a part as per cent; nothing that is not whole is rounded to 0 or 100 %."""
    if part in (0.0, 1.0):
        return f"{100 * part:.0f} %"
    if abs(part) < _NEARLY_NONE:
        return f"{100 * part:.2g} %"
    return f"{100 * part:.{1 if abs(part) < _NEARLY_ALL else 4}f} %"


def spread(mean: float | None, deviation: float | None, count: int) -> str:
    """Write a mean over seeds with its spread and their number."""
    if mean is None:
        return "-"
    return f"{shown(float(mean))} ± {shown(float(deviation)) if deviation is not None else '-'} (n={count})"


def change(before: float | None, after: float | None, unit: str) -> str:
    """Say how a value changed: a difference for parts of one, a factor for anything else."""
    if before is None or after is None:
        return "-"
    if before == after:
        return "same"
    if unit == "1":
        return f"{after - before:+.4f}"
    return times(after / before) if before else "-"


def times(ratio: float | None) -> str:
    """Write a factor with three digits, without an exponent where it can be."""
    if ratio is None:
        return "-"
    return TIMES + (f"{ratio:.3g}" if abs(ratio) < _LARGE else f"{ratio:,.0f}")


def number(value: float | None, text: str | None = None) -> Cell:
    """Return a cell that keeps the exact number."""
    return Cell(shown(value) if text is None else text, value=value)
