"""The snnTorch network that a pipeline can name; importing this module imports no torch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

from pydantic import BeforeValidator, Field, ValidationError, model_validator

from snncompress import Count, ModelError, Number, Settings

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import nn

    from snncompress import Inputs, Time

DEFAULT_TIMESTEPS = 4


def _as_tuple(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value


ImageSize = Annotated[tuple[Count, Count], BeforeValidator(_as_tuple)]
"""Height and width of an image."""

Channels = Annotated[tuple[Count, ...], BeforeValidator(_as_tuple), Field(min_length=1)]


class ConvNet(Settings):
    """The convolutional network of snnTorch's tutorials: convolution, max-pooling, Leaky, twice; then Linear, Leaky.

    It takes one step at a time; spikes and membranes of the last layer, [T, B, C] each, are recorded.
    """

    use: Literal["snntorch.convnet"] = "snntorch.convnet"
    in_channels: Count | None = Field(None, description="Channels of the input; null takes them from the data.")
    num_classes: Count | None = Field(None, description="Number of classes; null takes it from the data.")
    image_size: ImageSize | None = Field(
        None, description="Height and width of the input; null takes them from the data."
    )
    timesteps: Count | None = Field(None, description="Number of time steps; null takes the pipeline's, or else 4.")
    channels: Channels = Field((12, 64), description="Output channels of each convolution.")
    kernel_size: Count = Field(5, description="Side of the kernels; an odd number where padding is `same`.")
    padding: Literal["same", "valid"] = Field(
        "same", description="Whether convolutions keep the size of the image (`same`) or not, as in the tutorials."
    )
    beta: Annotated[Number, Field(ge=0, le=1)] = Field(0.9, description="Part of the membrane that stays at each step.")
    learn_beta: bool = Field(default=False, description="Whether beta is trained, one value for each layer.")
    threshold: Annotated[Number, Field(gt=0)] = Field(1.0, description="Firing threshold of every neuron.")
    surrogate: Literal["atan", "fast_sigmoid"] = Field(
        "atan", description="Surrogate gradient: the library's default, or the tutorials' fast sigmoid of slope 25."
    )

    needs_code: ClassVar[bool] = False
    builds_on_meta: ClassVar[bool] = False

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.padding == "same" and self.kernel_size % 2 == 0:
            raise ValueError(f"kernel_size {self.kernel_size} is even, which padding 'same' does not allow")
        if self.image_size and min(self.map_size(self.image_size)) < 1:
            raise ValueError(
                f"image_size {list(self.image_size)} is too small for {len(self.channels)} convolutions of "
                f"kernel_size {self.kernel_size} with padding {self.padding!r}"
            )
        return self

    def map_size(self, image_size: tuple[int, int]) -> tuple[int, int]:
        """Return height and width of what the last pooling leaves of an image; zero or less if nothing is left."""
        height, width = image_size
        lost = 0 if self.padding == "same" else self.kernel_size - 1
        for _ in self.channels:
            height, width = (height - lost) // 2, (width - lost) // 2
        return height, width

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
        """Return a freshly initialised module that takes one step at a time, and its time.

        Raises:
            ModelError: while a size is open.
        """
        from snncompress import Time
        from snncompress_snntorch.networks import convnet

        if self.in_channels is None or self.num_classes is None or self.image_size is None or self.timesteps is None:
            raise ModelError(f"{self.use!r} has sizes that are open; call resolved() with the data")
        module = convnet(
            (self.in_channels, *self.channels),
            kernel_size=self.kernel_size,
            padding=self.kernel_size // 2 if self.padding == "same" else 0,
            map_size=self.map_size(self.image_size),
            num_classes=self.num_classes,
            beta=self.beta,
            learn_beta=self.learn_beta,
            threshold=self.threshold,
            surrogate=self.surrogate,
        )
        return module, Time("per_step", T=self.timesteps, records=("output", "membranes"))

    def roles(self) -> Mapping[str, Sequence[str]]:
        """Return globs over module paths by role."""
        return {"stem": ("conv1",), "head": ("head",)}

    def checkpoint_path(self) -> None:
        """Return None: the tutorials ship no trained weights."""


def _spoken(value: object) -> str:
    return f"[{', '.join(map(str, value))}]" if isinstance(value, tuple) else str(value)


ARCHITECTURES = (ConvNet,)
