"""What all SpikingJelly networks share: sizes that the data decide, and the settings of their neurons."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

from pydantic import BeforeValidator, Field, ValidationError

from snncompress import Count, ModelError, Number, Settings

if TYPE_CHECKING:
    from torch import nn

    from snncompress import Inputs, Time

DEFAULT_TIMESTEPS = 4


def as_tuple(value: object) -> object:
    """Take the lists of JSON and YAML for tuples."""
    return tuple(value) if isinstance(value, list) else value


ImageSize = Annotated[tuple[Count, Count], BeforeValidator(as_tuple)]
"""Height and width of an image."""

Stages = Annotated[tuple[Count, Count, Count], BeforeValidator(as_tuple)]
"""One whole number for each of three stages."""


@dataclass(frozen=True)
class Sizes:
    """Hold the sizes that were open until the data were known."""

    in_channels: int
    num_classes: int
    image_size: tuple[int, int]
    timesteps: int


class MultiStepNetwork(Settings):
    """Hold the settings of a SpikingJelly network in step mode ``m``: x_TBCHW in, [T, B, C] or [B, C] out."""

    use: str
    in_channels: Count | None = Field(None, description="Channels of the input; null takes them from the data.")
    num_classes: Count | None = Field(None, description="Number of classes; null takes it from the data.")
    image_size: ImageSize | None = Field(
        None, description="Height and width of the input; null takes them from the data."
    )
    timesteps: Count | None = Field(None, description="Number of time steps; null takes the pipeline's, or else 4.")
    tau: Annotated[Number, Field(gt=1)] = Field(
        2.0, description="Membrane time constant of every neuron, in time steps."
    )
    threshold: Annotated[Number, Field(gt=0)] = Field(
        1.0, description="Firing threshold of every neuron; attention neurons fire at half of it, as in the library."
    )
    surrogate: Literal["sigmoid", "atan"] = Field(
        "sigmoid", description="Surrogate gradient, as steep as the library has it."
    )
    detach_reset: bool = Field(default=True, description="Whether the gradient is cut through the reset.")

    needs_code: ClassVar[bool] = False
    builds_on_meta: ClassVar[bool] = True
    averaged: ClassVar[bool] = False
    """Whether the network itself returns the mean over time."""

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

    def build(self) -> tuple[nn.Module, Time]:
        """Return a freshly initialised module in step mode ``m`` and its time.

        Raises:
            ModelError: while a size is open.
        """
        from snncompress import Time
        from snncompress_spikingjelly.tuning import tune

        sizes = self._sizes()
        module = tune(
            self._module(sizes),
            tau=self.tau,
            threshold=self.threshold,
            surrogate=self.surrogate,
            detach_reset=self.detach_reset,
        )
        return module, Time("multi_step", T=sizes.timesteps, output="averaged" if self.averaged else "per_step")

    def _sizes(self) -> Sizes:
        sizes = {name: getattr(self, name) for name in Sizes.__dataclass_fields__}
        if missing := [name for name, value in sizes.items() if value is None]:
            raise ModelError(f"{', '.join(missing)} of {self.use!r} is open; give it, or call resolved() with the data")
        return Sizes(**sizes)

    def checkpoint_path(self) -> None:
        """Return None: SpikingJelly ships no trained weights."""

    def _module(self, sizes: Sizes) -> nn.Module:
        raise TypeError(f"{type(self).__name__} must define _module() for {sizes}")


def _spoken(value: object) -> str:
    return f"[{', '.join(map(str, value))}]" if isinstance(value, tuple) else str(value)
