"""The snnTorch network that a pipeline can name; importing this module imports no torch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from snncompress import Count, Number, SizedArchitecture, as_tuple

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import nn

    from snncompress import Time

Channels = Annotated[tuple[Count, ...], BeforeValidator(as_tuple), Field(min_length=1)]


class ConvNet(SizedArchitecture):
    """The convolutional network of snnTorch's tutorials: convolution, max-pooling, Leaky, twice; then Linear, Leaky.

    It takes one step at a time; spikes and membranes of the last layer, [T, B, C] each, are recorded.
    """

    use: Literal["snntorch.convnet"] = "snntorch.convnet"
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

    def build(self) -> tuple[nn.Module, Time]:
        """Return a freshly initialised module that takes one step at a time, and its time.

        Raises:
            ModelError: while a size is open.
        """
        from snncompress import Time
        from snncompress_snntorch.networks import convnet

        sizes = self.sizes()
        module = convnet(
            (sizes.in_channels, *self.channels),
            kernel_size=self.kernel_size,
            padding=self.kernel_size // 2 if self.padding == "same" else 0,
            map_size=self.map_size(sizes.image_size),
            num_classes=sizes.num_classes,
            beta=self.beta,
            learn_beta=self.learn_beta,
            threshold=self.threshold,
            surrogate=self.surrogate,
        )
        return module, Time("per_step", T=sizes.timesteps, records=("output", "membranes"))

    def roles(self) -> Mapping[str, Sequence[str]]:
        """Return globs over module paths by role."""
        return {"stem": ("conv1",), "head": ("head",)}


ARCHITECTURES = (ConvNet,)
