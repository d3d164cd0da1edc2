"""The networks of timm that a pipeline can name; importing this module imports no torch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from snncompress import Count, as_tuple
from snncompress_timm.sizes import StillNetwork

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import nn

    from snncompress import Sizes

Stages = Annotated[tuple[Count, ...], BeforeValidator(as_tuple), Field(min_length=1)]
"""One whole number for each stage."""


class VisionTransformer(StillNetwork):
    """ViT (Dosovitskiy et al., ICLR 2021), an ANN: attention over patches, a class token; returns [B, C]."""

    use: Literal["timm.vision_transformer"] = "timm.vision_transformer"
    embed_dim: Count = Field(64, description="Width of the tokens.")
    depth: Count = Field(2, description="Number of Transformer blocks.")
    num_heads: Count = Field(4, description="Attention heads; they divide embed_dim.")
    patch_size: Count = Field(4, description="Side of a patch, in pixels; it divides the image.")

    @model_validator(mode="after")
    def _fits(self) -> Self:
        self._require_widths((self.embed_dim,), (self.num_heads,))
        self._require_patches(self.patch_size)
        return self

    def roles(self) -> Mapping[str, Sequence[str]]:
        """Return globs over module paths by role; query, key and value are one fused layer."""
        return {"stem": ("patch_embed",), "head": ("head",), "attention": ("blocks.*.attn",), "mlp": ("blocks.*.mlp",)}

    def _module(self, sizes: Sizes) -> nn.Module:
        from timm.models import vision_transformer

        return vision_transformer.VisionTransformer(
            img_size=sizes.image_size,
            patch_size=self.patch_size,
            in_chans=sizes.in_channels,
            num_classes=sizes.num_classes,
            embed_dim=self.embed_dim,
            depth=self.depth,
            num_heads=self.num_heads,
            mlp_ratio=self.mlp_ratio,
            drop_path_rate=self.drop_path_rate,
        )


class SwinTransformer(StillNetwork):
    """Swin (Liu et al., ICCV 2021), an ANN: attention in shifted windows, stages that halve the grid; returns [B, C]."""

    use: Literal["timm.swin_transformer"] = "timm.swin_transformer"
    embed_dim: Count = Field(32, description="Width of the tokens in the first stage; each further one has twice that.")
    depths: Stages = Field((2, 2), description="Blocks in each stage; every second one shifts its windows.")
    num_heads: Stages = Field((2, 4), description="Attention heads in each stage; they divide its width.")
    patch_size: Count = Field(2, description="Side of a patch, in pixels; it divides the image.")
    window_size: Count = Field(
        4,
        description="Side of a window, in patches; a stage whose grid is no larger is one window. Where windows do not fit, "
        "the library pads the grid with zeros.",
    )

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if len(self.depths) != len(self.num_heads):
            raise ValueError(f"depths name {len(self.depths)} stages and num_heads {len(self.num_heads)}")
        self._require_widths([self.embed_dim * 2**stage for stage in range(len(self.depths))], self.num_heads)
        self._require_patches(self.patch_size)
        return self

    def roles(self) -> Mapping[str, Sequence[str]]:
        """Return globs over module paths by role; query, key and value are one fused layer."""
        return {
            "stem": ("patch_embed",),
            "head": ("head",),
            "attention": ("layers.*.blocks.*.attn",),
            "mlp": ("layers.*.blocks.*.mlp",),
        }

    def _module(self, sizes: Sizes) -> nn.Module:
        from timm.models import swin_transformer

        return swin_transformer.SwinTransformer(
            img_size=sizes.image_size,
            patch_size=self.patch_size,
            in_chans=sizes.in_channels,
            num_classes=sizes.num_classes,
            embed_dim=self.embed_dim,
            depths=self.depths,
            num_heads=self.num_heads,
            window_size=self.window_size,
            mlp_ratio=self.mlp_ratio,
            drop_path_rate=self.drop_path_rate,
        )


ARCHITECTURES = (VisionTransformer, SwinTransformer)
