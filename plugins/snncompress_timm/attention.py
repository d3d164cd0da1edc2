"""timm's attention with widths of its own: the library's forward takes query, key and value for equally wide.

Each class takes over the parts of the module that it replaces, under the same names, and computes the same with them. The
scale of the softmax stays that of the uncut head; the library's fused path would read it from what is left.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from snncompress import TakeOver


class _Cut(nn.Module):
    """Attention whose inner widths may shrink: ``qk_width`` and ``v_width`` are those of one head."""

    parts: tuple[str, ...] = ()
    """Names of the modules and parameters that it takes over."""

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any: ...  # what it takes over is set by name

    def __init__(self, old: Any) -> None:
        super().__init__()
        whole = old.qkv.out_features // 3 // old.num_heads
        self.num_heads: int = old.num_heads
        self.qk_width: int = getattr(old, "qk_width", whole)
        self.v_width: int = getattr(old, "v_width", whole)
        self.scale: float = old.scale
        self.fused_attn: bool = old.fused_attn
        for name in self.parts:
            setattr(self, name, getattr(old, name, None))  # an earlier timm has no gate

    def extra_repr(self) -> str:
        """Say the sizes."""
        return f"num_heads={self.num_heads}, qk_width={self.qk_width}, v_width={self.v_width}"

    def _heads(self, x_BNC: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return query, key and value, each [B, heads, N, width]."""
        widths = (self.qk_width, self.qk_width, self.v_width)
        parts = torch.split(self.qkv(x_BNC), [self.num_heads * width for width in widths], dim=-1)
        q, k, v = (torch.unflatten(part, -1, (self.num_heads, -1)).transpose(1, 2) for part in parts)
        return q, k, v

    def _mixed(self, q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None) -> Tensor:
        """Return softmax(Q Kᵀ · scale + bias) V, [B, N, C]."""
        if self.fused_attn:
            dropout = self.attn_drop.p if self.training else 0.0
            mixed = functional.scaled_dot_product_attention(
                q, k, v, attn_mask=bias, dropout_p=dropout, scale=self.scale
            )
        else:
            scores = (q * self.scale) @ k.transpose(-2, -1)
            scores = scores if bias is None else scores + bias
            mixed = self.attn_drop(scores.softmax(dim=-1)) @ v
        return mixed.transpose(1, 2).flatten(2)


class CutAttention(_Cut):
    """Attention of ViT; x_BNC to values_BNC."""

    parts = ("qkv", "q_norm", "k_norm", "attn_drop", "norm", "gate", "proj", "proj_drop")

    def forward(self, x_BNC: Tensor, attn_mask: Tensor | None = None, is_causal: bool = False) -> Tensor:  # noqa: FBT001, FBT002 - the library's signature
        """Return the values of the projection."""
        q, k, v = self._heads(x_BNC)
        mixed = self._mixed(self.q_norm(q), self.k_norm(k), v, _bias(q, attn_mask, is_causal=is_causal))
        mixed = self.norm(mixed)
        if self.gate is not None:
            mixed = mixed * self.gate(x_BNC).sigmoid()
        values: Tensor = self.proj_drop(self.proj(mixed))
        return values


class CutWindowAttention(_Cut):
    """Attention of Swin within windows, a bias for each relative position; x_BNC to values_BNC, B of windows."""

    parts = ("qkv", "attn_drop", "proj", "proj_drop", "relative_position_bias_table")

    def __init__(self, old: Any) -> None:
        super().__init__(old)
        self.register_buffer("relative_position_index", old.relative_position_index, persistent=False)

    def forward(self, x_BNC: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return the values of the projection; ``mask`` [W, N, N] parts what only the shift brought into one window."""
        q, k, v = self._heads(x_BNC)
        bias_HNN = self.relative_position_bias_table[self.relative_position_index].permute(2, 0, 1)
        bias = bias_HNN[None] if mask is None else self._masked(bias_HNN, mask, len(x_BNC))
        values: Tensor = self.proj_drop(self.proj(self._mixed(q, k, v, bias)))
        return values

    @staticmethod
    def _masked(bias_HNN: Tensor, mask_WNN: Tensor, count: int) -> Tensor:
        """Return bias and mask of each of ``count`` windows, those of one image behind each other; [B, heads, N, N]."""
        return (bias_HNN[None] + mask_WNN[:, None]).repeat(count // len(mask_WNN), 1, 1, 1)


def _bias(q: Tensor, attn_mask: Tensor | None, *, is_causal: bool) -> Tensor | None:
    """Return what a mask adds to the scores; a causal one goes before any other, as in the library."""
    if is_causal:
        length = q.shape[-2]
        return q.new_full((length, length), float("-inf")).triu(1)
    if attn_mask is None or attn_mask.dtype is not torch.bool:
        return attn_mask
    return torch.zeros_like(attn_mask, dtype=q.dtype).masked_fill(~attn_mask, float("-inf"))


class AttentionBuilder(TakeOver):
    """Attention of ViT."""

    kind = CutAttention


class WindowAttentionBuilder(TakeOver):
    """Attention of Swin."""

    kind = CutWindowAttention
