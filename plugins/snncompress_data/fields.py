"""Types of settings that several data sets share."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from snncompress import Count, DataError, Number, as_tuple


def _as_height_and_width(value: object) -> object:
    return (value, value) if type(value) is int else as_tuple(value)


def _count_or_fraction(value: object) -> object:
    if (type(value) is int and value >= 1) or (isinstance(value, float) and 0 < value < 1):
        return value
    raise ValueError("should be a count (1, 2, ...) or a fraction between 0 and 1")


Size = Annotated[tuple[Count, Count], BeforeValidator(_as_height_and_width, json_schema_input_type=int | list[int])]
"""Height and width of an image; one number stands for both."""

Shape = Annotated[tuple[Count, ...], BeforeValidator(as_tuple, json_schema_input_type=list[int])]
"""The shape of one sample."""

Values = Annotated[tuple[Number, ...], BeforeValidator(as_tuple, json_schema_input_type=list[float])]
"""One real number per channel."""

PositiveValues = Annotated[
    tuple[Annotated[Number, Field(gt=0)], ...],
    BeforeValidator(as_tuple, json_schema_input_type=list[float]),
]
"""One positive number per channel."""

HeldOut = Annotated[Any, BeforeValidator(_count_or_fraction, json_schema_input_type=int | float)]
"""How much is held out of the training rows: a count, or a fraction between 0 and 1."""


def num_held_out(held_out: float, num_rows: int, where: str) -> int:
    """Return how many of ``num_rows`` a count or fraction holds out; raise DataError unless both parts have rows."""
    count = held_out if isinstance(held_out, int) else round(held_out * num_rows)
    if 0 < count < num_rows:
        return count
    raise DataError(
        f"{where}: 'validation: {held_out}' takes {count} of {num_rows} training rows, and both parts need at least one"
    )
