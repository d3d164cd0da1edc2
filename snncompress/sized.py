"""Architectures whose sizes the data decide: in channels, classes, image, time steps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Self

from pydantic import BeforeValidator, Field, ValidationError

from snncompress.components import Inputs
from snncompress.errors import ModelError
from snncompress.settings import Count, Settings, as_tuple

DEFAULT_TIMESTEPS = 4

ImageSize = Annotated[tuple[Count, Count], BeforeValidator(as_tuple)]
"""Height and width of an image."""


@dataclass(frozen=True)
class Sizes:
    """Hold the sizes that were open until the data were known."""

    in_channels: int
    num_classes: int
    image_size: tuple[int, int]
    timesteps: int


class SizedArchitecture(Settings):
    """Leave open what the data decide; ``resolved`` fills it in, and refuses what contradicts the data."""

    use: str
    in_channels: Count | None = Field(None, description="Channels of the input; null takes them from the data.")
    num_classes: Count | None = Field(None, description="Number of classes; null takes it from the data.")
    image_size: ImageSize | None = Field(
        None, description="Height and width of the input; null takes them from the data."
    )
    timesteps: Count | None = Field(None, description="Number of time steps; null takes the pipeline's, or else 4.")

    def resolved(self, inputs: Inputs, timesteps: int | None) -> Self:
        """Return these settings with every open size filled in from the data.

        Raises:
            ModelError: if a size given here is not that of the data, or if no such network exists for these data.
        """
        channels, height, width = inputs.image_shape
        found = {"in_channels": channels, "num_classes": inputs.num_classes, "image_size": (height, width)}
        for name, value in found.items():
            given = getattr(self, name)
            if given is not None and given != value:
                raise ModelError(
                    f"{name} of {self.use!r} is {_spoken(given)}, but the data have {_spoken(value)}; leave {name} out"
                )
        return self._with({**found, "timesteps": self._agreed_timesteps(inputs, timesteps)})

    def _agreed_timesteps(self, inputs: Inputs, timesteps: int | None) -> int:
        if None not in (self.timesteps, timesteps) and self.timesteps != timesteps:
            raise ModelError(
                f"timesteps of {self.use!r} is {self.timesteps}, but the pipeline says {timesteps}; leave one out"
            )
        of_data = inputs.shape[0] if inputs.kind == "frames" else None
        return timesteps or self.timesteps or of_data or DEFAULT_TIMESTEPS

    def _with(self, sizes: dict[str, Any]) -> Self:
        try:
            return type(self).model_validate({**self.model_dump(), **sizes})
        except ValidationError as error:
            reasons = "; ".join(problem["msg"].removeprefix("Value error, ") for problem in error.errors())
            raise ModelError(f"{self.use!r} cannot be built for these data: {reasons}") from error

    def sizes(self) -> Sizes:
        """Return the sizes; raise ModelError while one is open."""
        sizes = {name: getattr(self, name) for name in Sizes.__dataclass_fields__}
        if missing := [name for name, value in sizes.items() if value is None]:
            raise ModelError(f"{', '.join(missing)} of {self.use!r} is open; give it, or call resolved() with the data")
        return Sizes(**sizes)

    def checkpoint_path(self) -> None:
        """Return None: the libraries ship no trained weights."""


def _spoken(value: object) -> str:
    return f"[{', '.join(map(str, value))}]" if isinstance(value, tuple) else str(value)
