"""A comparison as rows: one for each value of each run, with what is said of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from snncompress.report.comparison import Comparison, Entry

_VALUE = ("value", "unit", "mean", "std", "n")
_VERDICT = ("verdict", "against", "difference", "low", "high", "p", "pairs")


def columns_of(comparison: Comparison) -> list[str]:
    """Return the names of the columns: the run, the settings that a sweep varied, the value, the verdict, the failure."""
    settings = dict.fromkeys(path for entry in comparison.entries for path in entry.settings)
    return ["run", *settings, *_VALUE, *_VERDICT, "failed"]


def rows_of(comparison: Comparison) -> list[dict[str, Any]]:
    """Return a row for each value of each run, and one for a run that failed; what is not known is None."""
    columns = columns_of(comparison)
    found = (row for entry in comparison.entries for row in _rows(entry, comparison))
    return [{name: row.get(name) for name in columns} for row in found]


def _rows(entry: Entry, comparison: Comparison) -> Iterator[dict[str, Any]]:
    about = {"run": entry.name, **{path: _plain(value) for path, value in entry.settings.items()}}
    if entry.failed is not None:
        yield about | {"failed": entry.failed}
    for name, value in entry.values.items():
        spread = value.spread
        numbers = {"value": name, "unit": value.unit, "mean": spread.mean, "std": spread.std, "n": spread.n}
        yield about | numbers | _said(comparison, name, entry.name)


def _said(comparison: Comparison, metric: str, entry: str) -> dict[str, Any]:
    found = comparison.verdict(metric, entry)
    if found is None:
        return {}
    low, high = found.interval or (None, None)
    return {
        "verdict": found.outcome,
        "against": found.against,
        "difference": found.difference,
        "low": low,
        "high": high,
        "p": found.p,
        "pairs": found.pairs,
    }


def _plain(value: Any) -> Any:
    """Return a value that a cell can hold: lists and mappings as JSON text."""
    return json.dumps(value) if isinstance(value, list | tuple | dict) else value
