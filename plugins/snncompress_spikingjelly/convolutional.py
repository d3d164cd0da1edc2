"""SpikingJelly's convolutional networks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from snncompress import Count, as_tuple
from snncompress_spikingjelly.sizes import MultiStepNetwork

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import nn

    from snncompress import Sizes

VGG_DEPTH = 11
VGG_POOLS = 5

Channels = Annotated[tuple[Count | Literal["M"], ...], BeforeValidator(as_tuple), Field(min_length=1)]
Widths = Annotated[tuple[Count, ...], BeforeValidator(as_tuple)]


class SEWResNet(MultiStepNetwork):
    """SEW-ResNet (Fang et al., NeurIPS 2021): residual blocks that join spikes; returns [T, B, C]."""

    use: Literal["spikingjelly.sew_resnet"] = "spikingjelly.sew_resnet"
    layers: Literal[18, 34, 50] = Field(18, description="Number of layers.")
    cnf: Literal["ADD", "AND", "IAND"] = Field(
        "ADD", description="How a block joins its spikes with those that skip it."
    )
    width: Count = Field(64, description="Channels of the first stage; the later ones have 2, 4 and 8 times as many.")

    def roles(self) -> Mapping[str, Sequence[str]]:
        """Return globs over module paths by role."""
        return {"stem": ("conv1", "bn1", "sn1"), "head": ("fc",)}

    def _module(self, sizes: Sizes) -> nn.Module:
        from snncompress_spikingjelly.networks import sew_resnet

        return sew_resnet(
            self.layers, self.cnf, self.width, in_channels=sizes.in_channels, num_classes=sizes.num_classes
        )


class SpikingVGG(MultiStepNetwork):
    """Spiking VGG; ``depth`` builds the library's own, ``channels`` and ``hidden`` a small one; returns [T, B, C]."""

    use: Literal["spikingjelly.spiking_vgg"] = "spikingjelly.spiking_vgg"
    depth: Literal[11, 13, 16, 19] | None = Field(
        None,
        description="Layers of the library's VGG (129 million parameters and more); 11 if channels is null too.",
    )
    channels: Channels | None = Field(
        None, description="A small VGG instead: output channels of each convolution, `M` where the image is halved."
    )
    hidden: Widths = Field((), description="Widths of the hidden layers of a small VGG's classifier.")
    batch_norm: bool = Field(
        default=True, description="Whether a norm follows each convolution, and each hidden layer of a small VGG."
    )

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        if self.depth and self.channels:
            raise ValueError("depth names a VGG of the library and channels a small one: give one of them")
        if self.hidden and not self.channels:
            raise ValueError("hidden needs channels: the library's VGG has a fixed classifier")
        if self.channels and self.channels[0] == "M":
            raise ValueError("channels must begin with a convolution, not with 'M'")
        return self

    @model_validator(mode="after")
    def _fits(self) -> Self:
        pools = self.channels.count("M") if self.channels else VGG_POOLS
        if self.image_size and min(self.image_size) < 2**pools:
            raise ValueError(f"image_size {list(self.image_size)} is too small to be halved {pools} times")
        return self

    def roles(self) -> Mapping[str, Sequence[str]]:
        """Return globs over module paths by role."""
        last = (3 if self.batch_norm else 2) * len(self.hidden) if self.channels else 6
        return {"stem": ("features.0",), "head": (f"classifier.{last}",)}

    def _module(self, sizes: Sizes) -> nn.Module:
        from snncompress_spikingjelly import networks

        if self.channels is None:
            return networks.spiking_vgg(
                self.depth or VGG_DEPTH,
                batch_norm=self.batch_norm,
                in_channels=sizes.in_channels,
                num_classes=sizes.num_classes,
            )
        return networks.CompactVGG(
            self.channels,
            self.hidden,
            in_channels=sizes.in_channels,
            num_classes=sizes.num_classes,
            image_size=sizes.image_size,
            batch_norm=self.batch_norm,
        )


class ParametricLIFNet(MultiStepNetwork):
    """Nets with learnable time constants (Fang et al., ICCV 2021), one for each data set; returns [T, B, C]."""

    use: Literal["spikingjelly.parametric_lif_net"] = "spikingjelly.parametric_lif_net"
    variant: Literal["mnist", "fashion_mnist", "nmnist", "cifar10", "cifar10_dvs", "dvs_gesture"] = Field(
        "mnist", description="The data set whose network to build; it fixes channels, image size and classes."
    )
    channels: Count = Field(128, description="Output channels of every convolution.")

    SIZES: ClassVar[Mapping[str, tuple[int, int, int]]] = {
        "mnist": (1, 28, 10),
        "fashion_mnist": (1, 28, 10),
        "nmnist": (2, 34, 10),
        "cifar10": (3, 32, 10),
        "cifar10_dvs": (2, 128, 10),
        "dvs_gesture": (2, 128, 11),
    }
    """Channels, side of the image and classes of each variant."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        channels, side, classes = self.SIZES[self.variant]
        fixed = {"in_channels": channels, "image_size": (side, side), "num_classes": classes}
        for name, value in fixed.items():
            given = getattr(self, name)
            if given is not None and given != value:
                raise ValueError(f"{name} of the variant {self.variant!r} is {value}, not {given}")
        return self

    def roles(self) -> Mapping[str, Sequence[str]]:
        """Return globs over module paths by role; the head votes over ten outputs for each class."""
        before = {"cifar10": 20, "cifar10_dvs": 16, "dvs_gesture": 20}.get(self.variant, 8)
        return {
            "stem": ("conv_fc.0",),
            "head": (f"conv_fc.{before + 5}", f"conv_fc.{before + 6}", f"conv_fc.{before + 7}"),
        }

    def _module(self, sizes: Sizes) -> nn.Module:
        from snncompress_spikingjelly.networks import parametric_lif_net

        del sizes  # the variant fixes them
        return parametric_lif_net(self.variant, self.channels, self.tau)
