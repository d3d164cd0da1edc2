"""Means, spreads, and the rule by which one number beats another."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from snncompress.record import Spread

Values = Sequence[float | int | None]

MIN_PAIRS = 3
"""Nothing is judged with fewer pairs: the signs of two agree by chance in one case of two."""

LEVEL = 0.05
"""The p below which a difference is seen; its interval holds 1 - LEVEL."""

_ROUNDING = 1e-12
"""A fraction of the values by which they may differ through rounding alone."""


def spread(values: Values) -> Spread:
    """Return the mean and the sample standard deviation; runs without a finite value have none, and are left out of both."""
    known = [value if value is not None and math.isfinite(value) else None for value in values]
    present = [value for value in known if value is not None]
    return Spread(
        mean=float(statistics.mean(present)) if present else None,
        std=float(statistics.stdev(present)) if len(present) > 1 else None,
        n=len(present),
        values=tuple(known),
    )


@dataclass(frozen=True)
class Paired:
    """The differences of paired values.

    Attributes:
        pairs: how many there are.
        mean: of the differences.
        standard_error: of that mean, std / sqrt n; None below two pairs.
        interval: the 95 % interval of the mean; None below three pairs.
        p: of a paired t-test; None below three pairs.
        constant: whether all differences are the same.
    """

    pairs: int
    mean: float
    standard_error: float | None = None
    interval: tuple[float, float] | None = None
    p: float | None = None
    constant: bool = False

    @property
    def differs(self) -> bool:
        """Whether the paired t-test sees a difference."""
        return self.p is not None and self.p < LEVEL

    @property
    def reason(self) -> str:
        """What the test goes by, in words."""
        if self.constant:
            return f"equal in all {self.pairs} seeds" if self.mean == 0 else f"the same in all {self.pairs} seeds"
        return f"{shown_p(self.p)}, {self.pairs} pairs"


def shown_p(p: float | None) -> str:
    """Write a p with three digits, as ``p = 0.0276``, and a very small one as ``p < 0.001``."""
    return "" if p is None else "p < 0.001" if p < 0.001 else f"p = {p:.3g}"  # noqa: PLR2004 - as papers write it


def paired(values: Sequence[float], others: Sequence[float]) -> Paired | None:
    """Compare values with others that were measured in the same circumstances (seed, data); None without pairs."""
    differences = [_difference(value, other) for value, other in zip(values, others, strict=True)]
    if not differences:
        return None
    num, mean = len(differences), statistics.fmean(differences)
    if num == 1:
        return Paired(1, mean)
    size = max(map(abs, (*values, *others)))
    if max(differences) - min(differences) <= _ROUNDING * size:
        return _constant(num, mean)
    error = statistics.stdev(differences) / math.sqrt(num)
    if num < MIN_PAIRS:
        return Paired(num, mean, error)
    return _tested(differences, mean, error)


def is_at_chance(right: int, samples: int, chance: float) -> bool:
    """Tell whether guessing gives so many right answers or more in one case of twenty: a one-sided binomial test."""
    from scipy.stats import binomtest

    return float(binomtest(right, samples, chance, alternative="greater").pvalue) >= LEVEL


def _difference(value: float, other: float) -> float:
    """Return the difference, exactly zero where it is one of rounding."""
    return 0.0 if math.isclose(value, other, rel_tol=_ROUNDING) else value - other


def _constant(num: int, mean: float) -> Paired:
    """Judge differences that do not vary: the t-test divides by zero, and the difference is certain, whatever it is.

    That is so for what settings alone decide, such as parameters and bytes.
    """
    if num < MIN_PAIRS:
        return Paired(num, mean, 0.0, constant=True)
    return Paired(num, mean, 0.0, (mean, mean), float(mean == 0), constant=True)


def _tested(differences: Sequence[float], mean: float, error: float) -> Paired:
    from scipy.stats import ttest_1samp

    found = ttest_1samp(differences, 0.0)
    low, high = found.confidence_interval(1 - LEVEL)
    return Paired(len(differences), mean, error, (float(low), float(high)), float(found.pvalue))
