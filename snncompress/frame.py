"""Results as rows of a table, for pandas and for CSV files: one row for each value of each run."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from snncompress.errors import InputError

if TYPE_CHECKING:
    from pandas import DataFrame

Rows = Sequence[Mapping[str, Any]]
"""Rows that all have the same columns, in the same order."""


def frame(rows: Rows, columns: Sequence[str]) -> DataFrame:
    """Return rows as a pandas table; raise InputError where pandas is not installed."""
    try:
        import pandas as pd
    except ImportError as error:
        raise InputError("pandas is not installed; run: pip install 'snncompress[pandas]'") from error
    return pd.DataFrame(rows, columns=list(columns))


def write_csv(rows: Rows, columns: Sequence[str], file: Path) -> None:
    """Write rows as a CSV file with a line of names; what is not known stays empty."""
    with file.open("w", encoding="utf-8", newline="") as opened:
        writer = csv.DictWriter(opened, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
