"""SpikingJelly's attention with widths of its own: the library's forward reads them from the embedding, which is not cut.

Each class takes over the parts of the module that it replaces, under the same names, and computes the same with them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from snncompress import TakeOver


class _Cut(nn.Module):
    """Attention whose inner widths may shrink; ``parts`` are the names of what it takes over."""

    parts: tuple[str, ...] = ()

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any: ...  # what it takes over is set by name

    def __init__(self, old: Any) -> None:
        super().__init__()
        self.dim: int = old.dim if hasattr(old, "dim") else old.proj[1].num_features
        self.num_heads: int = old.num_heads
        for name in self.parts:
            setattr(self, name, getattr(old, name))

    def extra_repr(self) -> str:
        """Say the sizes."""
        return f"dim={self.dim}, num_heads={self.num_heads}"


class _CutProducts(_Cut):
    """Attention by products: ``qk_width`` and ``v_width`` are those of one head, ``qkv_width`` what one tensor holds."""

    def __init__(self, old: Any) -> None:
        super().__init__(old)
        self.qk_width: int = getattr(old, "qk_width", self.dim // self.num_heads)
        self.v_width: int = getattr(old, "v_width", self.dim // self.num_heads)

    def _heads(self, qkv_TBCN: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return query, key and value, each [T, B, heads, width, N]."""
        widths = (self.qk_width, self.qk_width, self.v_width)
        parts = torch.split(qkv_TBCN, [self.num_heads * width for width in widths], dim=2)
        q, k, v = (torch.unflatten(part, 2, (self.num_heads, -1)) for part in parts)
        return q, k, v

    def extra_repr(self) -> str:
        """Say the sizes."""
        return f"{super().extra_repr()}, qk_width={self.qk_width}, v_width={self.v_width}"


class CutSelfAttention(_CutProducts):
    """Spikformer's attention, (V Kᵀ) Q · 0.125; x_TBCN to spikes_TBCN."""

    parts = ("qkv_conv_bn", "qkv_lif", "attn_lif", "proj_conv_bn", "proj_lif")

    def __init__(self, old: Any) -> None:
        super().__init__(old)
        self.scale: float = old.scale

    def forward(self, x_TBCN: Tensor) -> Tensor:
        """Return the spikes of the projection."""
        q, k, v = self._heads(self.qkv_lif(self.qkv_conv_bn(x_TBCN)))
        mixed = (v @ k.transpose(-2, -1)) @ q * self.scale
        spikes: Tensor = self.proj_lif(self.proj_conv_bn(self.attn_lif(mixed).flatten(2, 3)))
        return spikes


class CutMaxFormerAttention(_CutProducts):
    """Attention of Max-Former's variant for small images, Q (Kᵀ V) · 0.125; x_TBCN to values_TBCN."""

    parts = ("input_lif", "qkv", "qkv_lif", "attn_lif", "proj")

    def forward(self, x_TBCN: Tensor) -> Tensor:
        """Return the values of the projection."""
        heads = self._heads(self.qkv_lif(self.qkv(self.input_lif(x_TBCN))))
        q, k, v = (part.transpose(-2, -1) for part in heads)
        mixed = (q @ (k.transpose(-2, -1) @ v)) * 0.125
        values: Tensor = self.proj(self.attn_lif(mixed.transpose(3, 4).flatten(2, 3)))
        return values


class CutQKAttention(_Cut):
    """QKFormer's attention: queries summed over channels or tokens mask the keys; ``q_width``, ``k_width`` of one head."""

    parts = ("qk_conv_bn", "qk_lif", "attn_lif", "proj_conv_bn", "proj_lif")

    def __init__(self, old: Any) -> None:
        super().__init__(old)
        self.qka_type: str = old.qka_type
        self.q_width: int = getattr(old, "q_width", self.dim // self.num_heads)
        self.k_width: int = getattr(old, "k_width", self.dim // self.num_heads)

    def forward(self, x_TBCN: Tensor) -> Tensor:
        """Return the spikes of the projection."""
        qk = self.qk_lif(self.qk_conv_bn(x_TBCN))
        q, k = torch.split(qk, [self.num_heads * self.q_width, self.num_heads * self.k_width], dim=2)
        q, k = (torch.unflatten(part, 2, (self.num_heads, -1)) for part in (q, k))
        summed = q.sum(dim=3 if self.qka_type == "token" else 4, keepdim=True)
        spikes: Tensor = self.proj_lif(self.proj_conv_bn((self.attn_lif(summed) * k).flatten(2, 3)))
        return spikes

    def extra_repr(self) -> str:
        """Say the sizes."""
        return f"{super().extra_repr()}, {self.qka_type}, q_width={self.q_width}, k_width={self.k_width}"


class CutSpikeDrivenAttention(_Cut):
    """The Spike-driven Transformer's attention, Q ⊙ spikes(Σ K ⊙ V): element-wise, so heads change nothing in it."""

    parts = (
        "shortcut_lif",
        *(f"{one}_{part}" for one in "qkv" for part in ("conv", "bn", "lif")),
        "attn_lif",
        "proj_conv",
        "proj_bn",
    )

    def forward(self, x_TBCHW: Tensor) -> Tensor:
        """Return the residual stream with the attention added."""
        spikes = self.shortcut_lif(x_TBCHW)
        q, k, v = (
            getattr(self, f"{one}_lif")(getattr(self, f"{one}_bn")(getattr(self, f"{one}_conv")(spikes)))
            for one in "qkv"
        )
        summed = (k * v).flatten(3).sum(-1)
        mask = self.attn_lif(torch.unflatten(summed, 2, (self.num_heads, 1, -1))).flatten(2)
        values: Tensor = self.proj_bn(self.proj_conv(q * mask[..., None, None]))
        return values + x_TBCHW


class SelfAttentionBuilder(TakeOver):
    """Spikformer's attention."""

    kind = CutSelfAttention


class MaxFormerAttentionBuilder(TakeOver):
    """Max-Former's attention for small images."""

    kind = CutMaxFormerAttention


class QKAttentionBuilder(TakeOver):
    """QKFormer's attention."""

    kind = CutQKAttention


class SpikeDrivenAttentionBuilder(TakeOver):
    """The Spike-driven Transformer's attention."""

    kind = CutSpikeDrivenAttention
