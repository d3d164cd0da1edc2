"""SpikingJelly's spiking Transformers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from snncompress import Count, Number
from snncompress_spikingjelly.sizes import MultiStepNetwork, Stages

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import nn

    from snncompress import Sizes

EmbedDims = Annotated[int, Field(ge=8)]
MlpRatio = Annotated[Number, Field(gt=0)]


class Spikformer(MultiStepNetwork):
    """Spikformer (Zhou et al., ICLR 2023): spiking self-attention over patches; returns [T, B, C]."""

    use: Literal["spikingjelly.spikformer"] = "spikingjelly.spikformer"
    embed_dims: EmbedDims = Field(64, description="Width of the tokens.")
    depths: Count = Field(2, description="Number of Transformer blocks.")
    num_heads: Count = Field(4, description="Attention heads; they divide embed_dims.")
    mlp_ratio: MlpRatio = Field(4.0, description="Hidden width of the MLP over embed_dims.")
    patch_size: Literal[4, 16] = Field(4, description="Side of a patch, in pixels.")

    @model_validator(mode="after")
    def _fits(self) -> Self:
        _require_heads(self.embed_dims, self.num_heads)
        if self.image_size and any(side % self.patch_size for side in self.image_size):
            raise ValueError(f"image_size {list(self.image_size)} is not divisible by patch_size {self.patch_size}")
        return self

    def roles(self) -> Mapping[str, Sequence[str]]:
        """Return globs over module paths by role; query, key and value are one fused convolution."""
        return {"stem": ("patch_embed",), "head": ("head",), "attention": ("blocks.*.attn",), "mlp": ("blocks.*.mlp",)}

    def _module(self, sizes: Sizes) -> nn.Module:
        from spikingjelly.activation_based.model import spikformer

        return spikformer.Spikformer(  # type: ignore[no-any-return] # the library is untyped
            T=sizes.timesteps,
            in_channels=sizes.in_channels,
            img_size_h=sizes.image_size[0],
            img_size_w=sizes.image_size[1],
            patch_size=self.patch_size,
            num_classes=sizes.num_classes,
            embed_dims=self.embed_dims,
            num_heads=self.num_heads,
            mlp_ratio=self.mlp_ratio,
            depths=self.depths,
        )


class QKFormer(MultiStepNetwork):
    """QKFormer (Zhou et al., NeurIPS 2024): Q-K attention in two of three stages; any image; [B, C]."""

    use: Literal["spikingjelly.qkformer"] = "spikingjelly.qkformer"
    embed_dims: EmbedDims = Field(
        64, multiple_of=4, description="Width of the last stage; the others have a quarter and a half."
    )
    depths: Stages = Field((1, 1, 1), description="Blocks in each of the three stages.")
    num_heads: Stages = Field((1, 2, 4), description="Attention heads in each of the three stages.")
    mlp_ratio: MlpRatio = Field(4.0, description="Hidden width of the MLP over the width of its stage.")
    attention: Literal["token", "channel"] = Field("token", description="Axis that Q-K attention sums over.")

    averaged: ClassVar[bool] = True

    @model_validator(mode="after")
    def _fits(self) -> Self:
        for width, heads in zip(_stage_widths(self.embed_dims), self.num_heads, strict=True):
            _require_heads(width, heads)
        return self

    def roles(self) -> Mapping[str, Sequence[str]]:
        """Return globs over module paths by role."""
        return {
            "stem": ("patch_embed1",),
            "head": ("head",),
            "attention": ("stage?.*.attn",),
            "mlp": ("stage?.*.mlp",),
        }

    def _module(self, sizes: Sizes) -> nn.Module:
        from spikingjelly.activation_based.model import qkformer

        return qkformer.QKFormer(  # type: ignore[no-any-return] # the library is untyped
            T=sizes.timesteps,
            in_channels=sizes.in_channels,
            num_classes=sizes.num_classes,
            embed_dims=self.embed_dims,
            num_heads=self.num_heads,
            depths=self.depths,
            mlp_ratio=self.mlp_ratio,
            qka_type=self.attention,
        )


class MaxFormer(MultiStepNetwork):
    """Max-Former (Fang et al., NeurIPS 2025): attention in the last of three stages; any image; [B, C]."""

    use: Literal["spikingjelly.maxformer"] = "spikingjelly.maxformer"
    embed_dims: EmbedDims = Field(
        64, multiple_of=8, description="Width of the last stage; the others have a quarter and a half."
    )
    depths: Stages = Field((1, 1, 1), description="Blocks in each of the three stages.")
    mlp_ratio: MlpRatio = Field(4.0, description="Hidden width of the MLP over the width of its stage.")
    cifar: bool = Field(default=True, description="Whether to build the variant for small images.")

    averaged: ClassVar[bool] = True

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if not self.cifar:  # the library gives attention one head for each 64 channels
            _require_heads(self.embed_dims, max(1, self.embed_dims // 64))
        return self

    def roles(self) -> Mapping[str, Sequence[str]]:
        """Return globs over module paths by role; in the variant for small images the first stage is MLPs alone."""
        mlp = ("stage1.*", "stage?.*.mlp") if self.cifar else ("stage?.*.mlp",)
        return {"stem": ("patch_embed1",), "head": ("head",), "attention": ("stage3.*.attn",), "mlp": mlp}

    def _module(self, sizes: Sizes) -> nn.Module:
        from spikingjelly.activation_based.model import maxformer

        return maxformer.MaxFormer(  # type: ignore[no-any-return] # the library is untyped
            T=sizes.timesteps,
            in_channels=sizes.in_channels,
            num_classes=sizes.num_classes,
            embed_dims=self.embed_dims,
            depths=self.depths,
            mlp_ratio=self.mlp_ratio,
            cifar=self.cifar,
        )


class SpikeDrivenTransformer(MultiStepNetwork):
    """Spike-driven Transformer (Yao et al., NeurIPS 2023): masks and sums, no products; any image; [B, C]."""

    use: Literal["spikingjelly.spike_driven_transformer"] = "spikingjelly.spike_driven_transformer"
    embed_dims: EmbedDims = Field(64, description="Width of the tokens.")
    depths: Count = Field(2, description="Number of Transformer blocks.")
    num_heads: Count = Field(4, description="Attention heads; they divide embed_dims.")
    mlp_ratio: MlpRatio = Field(4.0, description="Hidden width of the MLP over embed_dims.")
    pooling: Annotated[str, Field(pattern="^[01]{4}$")] = Field(
        "0011", description="Which of the four stages of the stem halve the image."
    )

    averaged: ClassVar[bool] = True

    @model_validator(mode="after")
    def _fits(self) -> Self:
        _require_heads(self.embed_dims, self.num_heads)
        return self

    def roles(self) -> Mapping[str, Sequence[str]]:
        """Return globs over module paths by role."""
        return {
            "stem": ("patch_embed",),
            "head": ("head",),
            "attention": ("blocks.*.attn",),
            "attention.qk": ("blocks.*.attn.[qk]_*",),
            "attention.v": ("blocks.*.attn.v_*",),
            "mlp": ("blocks.*.mlp",),
        }

    def _module(self, sizes: Sizes) -> nn.Module:
        from spikingjelly.activation_based.model import spike_driven_transformer

        return spike_driven_transformer.SpikeDrivenTransformer(  # type: ignore[no-any-return] # the library is untyped
            T=sizes.timesteps,
            in_channels=sizes.in_channels,
            num_classes=sizes.num_classes,
            embed_dims=self.embed_dims,
            num_heads=self.num_heads,
            depths=self.depths,
            mlp_ratio=self.mlp_ratio,
            pooling_stat=self.pooling,
        )


def _stage_widths(embed_dims: int) -> tuple[int, int, int]:
    return embed_dims // 4, embed_dims // 2, embed_dims


def _require_heads(width: int, heads: int) -> None:
    if width % heads:
        raise ValueError(f"a width of {width} (embed_dims) is not divisible by {heads} heads (num_heads)")
