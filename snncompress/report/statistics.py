"""Means, spreads, and the rule by which one number beats another."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from snncompress.record import Spread

Values = Sequence[float | int | None]

MIN_PAIRS = 2
"""Below so many pairs there is no standard error, and nothing is judged."""


def spread(values: Values) -> Spread:
    """Return the mean and the sample standard deviation; runs without a value are left out of both."""
    present = [value for value in values if value is not None]
    return Spread(
        mean=float(statistics.mean(present)) if present else None,
        std=float(statistics.stdev(present)) if len(present) >= MIN_PAIRS else None,
        n=len(present),
        values=tuple(values),
    )


@dataclass(frozen=True)
class Paired:
    """Hold the differences of paired values: how many, their mean, its standard error (std / sqrt n), their signs."""

    pairs: int
    mean: float
    standard_error: float | None
    agree: bool

    @property
    def differs(self) -> bool:
        """Whether every pair agrees in sign and the mean exceeds its standard error."""
        return self.agree and self.standard_error is not None and abs(self.mean) > self.standard_error

    @property
    def doubt(self) -> str:
        """Say in words why there is no difference to be seen."""
        if self.mean == 0 == self.standard_error:
            return f"equal in all {self.pairs} seeds"
        return "the mean is within its standard error" if self.agree else f"the {self.pairs} seeds do not agree in sign"


def paired(values: Sequence[float], others: Sequence[float]) -> Paired | None:
    """Compare values with others that were measured in the same circumstances (seed, data); None without pairs."""
    differences = [value - other for value, other in zip(values, others, strict=True)]
    if not differences:
        return None
    found = spread(differences)
    error = None if found.std is None else found.std / math.sqrt(found.n)
    agree = all(one > 0 for one in differences) or all(one < 0 for one in differences)
    return Paired(len(differences), statistics.fmean(differences), error, agree)
