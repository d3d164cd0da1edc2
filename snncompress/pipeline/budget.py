"""Budgets: limits that the measured values must keep."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator

from snncompress.settings import Number, Settings

_SLACK = 1e-9
"""Part of a value by which it may miss its limit: in binary 0.99 - 0.98 is 0.010000000000000009, and meets 0.01."""

LIMITS = ("drop_at_most", "at_most_of_baseline", "at_least", "at_most")


class Budget(Settings):
    """Limit one measured value: give ``metric`` and exactly one limit."""

    metric: str = Field(description="Name of a value that the pipeline measures.")
    drop_at_most: Annotated[Number, Field(ge=0)] | None = Field(
        None, description="Most that the baseline may exceed the final value by."
    )
    at_most_of_baseline: Annotated[Number, Field(ge=0)] | None = Field(
        None, description="Largest final value, as a part of the baseline."
    )
    at_least: Number | None = Field(None, description="Smallest final value.")
    at_most: Number | None = Field(None, description="Largest final value.")

    @model_validator(mode="after")
    def _one_limit(self) -> Self:
        given = [name for name in LIMITS if getattr(self, name) is not None]
        if len(given) != 1:
            wanted = f"exactly one of {', '.join(map(repr, LIMITS))}"
            raise ValueError(f"should give {wanted}, not {' and '.join(map(repr, given)) or 'none of them'}")
        return self

    @property
    def limit(self) -> tuple[str, float]:
        """The name and number of the limit."""
        return next((name, value) for name in LIMITS if (value := getattr(self, name)) is not None)

    def met(self, *, baseline: float, final: float) -> bool:
        """Tell whether ``final`` keeps the limit."""
        name, number = self.limit
        checks = {
            "drop_at_most": baseline - final <= number + _SLACK * max(abs(baseline), abs(final)),
            "at_most_of_baseline": final <= number * baseline + _SLACK * abs(final),
            "at_least": final >= number - _SLACK * abs(final),
            "at_most": final <= number + _SLACK * abs(final),
        }
        return checks[name]
