"""What all networks of timm share: sizes that the data decide, and no time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, Self

from pydantic import Field

from snncompress import Inputs, Number, SizedArchitecture, Sizes

if TYPE_CHECKING:
    from torch import nn

    from snncompress import Time


class StillNetwork(SizedArchitecture):
    """Hold the settings of a vision Transformer of timm, an ANN: x_BCHW in, logits [B, C] out."""

    timesteps: Literal[1] | None = Field(None, description="An ANN takes one time step; leave this out.")
    mlp_ratio: Annotated[Number, Field(gt=0)] = Field(
        4.0, description="Hidden width of an MLP over the width of its tokens."
    )
    drop_path_rate: Annotated[Number, Field(ge=0, lt=1)] = Field(
        0.0,
        description="How often training leaves out what the last block adds; earlier blocks less (stochastic depth).",
    )

    needs_code: ClassVar[bool] = False
    builds_on_meta: ClassVar[bool] = True

    def resolved(self, inputs: Inputs, timesteps: int | None) -> Self:
        """Return these settings with every open size filled in from the data; an ANN does not take the pipeline's time steps."""
        del timesteps
        return super().resolved(inputs, 1)

    def build(self) -> tuple[nn.Module, Time]:
        """Return a freshly initialised module and its time, of which there is none.

        Raises:
            ModelError: while a size is open.
        """
        from snncompress import Time

        return self._module(self.sizes()), Time("none", 1, input="static", output="averaged")

    def _module(self, sizes: Sizes) -> nn.Module:
        raise TypeError(f"{type(self).__name__} must define _module() for {sizes}")

    def _require_patches(self, patch_size: int) -> None:
        if self.image_size and any(side % patch_size for side in self.image_size):
            raise ValueError(f"image_size {list(self.image_size)} is not divisible by patch_size {patch_size}")

    def _require_widths(self, widths: Sequence[int], num_heads: Sequence[int]) -> None:
        for width, heads in zip(widths, num_heads, strict=True):
            if width % heads:
                raise ValueError(f"a width of {width} (embed_dim) is not divisible by {heads} heads (num_heads)")
            if not int(width * self.mlp_ratio):
                raise ValueError(f"mlp_ratio {self.mlp_ratio} leaves nothing of a width of {width} (embed_dim)")
