"""Settings: the strict, frozen pydantic model behind every entry of a pipeline."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field


class Settings(BaseModel):
    """Hold settings that are strict, frozen, and know no unknown names."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, protected_namespaces=())

    def canonical(self) -> dict[str, Any]:
        """Return the settings as plain JSON data, defaults filled in."""
        return self.model_dump(mode="json")


def as_tuple(value: object) -> object:
    """Take the lists of JSON and YAML for tuples."""
    return tuple(value) if isinstance(value, list) else value


def _one_or_many(value: object) -> object:
    return (value,) if isinstance(value, str) else as_tuple(value)


def _unique(values: tuple[Any, ...]) -> tuple[Any, ...]:
    if twice := [value for index, value in enumerate(values) if value in values[:index]]:
        raise ValueError(f"names {twice[0]!r} twice")
    return values


Number = Annotated[float, Field(allow_inf_nan=False)]
"""A finite real number; whole numbers are taken, booleans and strings are not."""

Fraction = Annotated[Number, Field(ge=0.0, le=1.0)]
"""The part *removed*, 0..1."""

Count = Annotated[int, Field(ge=1)]
"""A whole number of at least 1."""

Counts = Annotated[tuple[int, ...], BeforeValidator(as_tuple), AfterValidator(_unique)]
"""A list of distinct whole numbers."""

Seeds = Annotated[
    tuple[Annotated[int, Field(ge=0)], ...], BeforeValidator(as_tuple), AfterValidator(_unique), Field(min_length=1)
]
"""A list of distinct seeds, at least one."""

Names = Annotated[
    tuple[str, ...],
    BeforeValidator(_one_or_many, json_schema_input_type=str | tuple[str, ...]),
    AfterValidator(_unique),
]
"""One name, or a list of distinct names."""
