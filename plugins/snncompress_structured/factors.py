"""Two thin layers in the place of one: the builder of ``structured.factors``, and the arithmetic of its values."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from snncompress_structured.sides import is_product


class Factors:
    """Build a layer's two factors, ``first`` [rank, in] without and ``second`` [out, rank] with the bias."""

    def build(self, old: Any, arguments: Mapping[str, Any]) -> nn.Module:
        """Return two layers of the old one's class, step mode, device and type, with fresh values."""
        num_out, num_in = old.weight.shape[:2]
        rank = int(arguments["rank"])
        first = _like(old, num_in, rank, bias=False)
        second: Any = _like(old, rank, num_out, bias=old.bias is not None)
        if old.bias is not None:
            second.bias.requires_grad_(old.bias.requires_grad)
        return nn.Sequential(OrderedDict(first=first, second=second))

    def transfer(self, old: Any, new: Any) -> None:
        """Set the factors so that their product is the best approximation of that rank; the bias goes to the second."""
        first, second = split(old.weight.detach(), rank=new.first.weight.shape[0])
        with torch.no_grad():
            new.first.weight.copy_(first.reshape(new.first.weight.shape))
            new.second.weight.copy_(second.reshape(new.second.weight.shape))
            if old.bias is not None:
                new.second.bias.copy_(old.bias)


def fault_of(layer: nn.Module) -> str:
    """Return why a layer cannot be run as two factors, or an empty text."""
    if not is_product(layer):
        return f"{type(layer).__name__} is a class of its own, of which more may be expected than a product"
    if isinstance(layer, (nn.Conv1d, nn.Conv2d)) and not _is_pointwise(layer):
        return "it is no convolution of kernel size 1 and stride 1 without groups and padding"
    return ""


def singular_values(weight: Tensor) -> list[float]:
    """Return the singular values of a weight [out, in, 1...] in float64, the largest first."""
    found: list[float] = torch.linalg.svdvals(_matrix(weight)).tolist()
    return found


def split(weight: Tensor, rank: int) -> tuple[Tensor, Tensor]:
    """Return first_RI and second_OR in float64, whose product is the best approximation of a weight [out, in, 1...].

    Both take the root of each singular value, so that one learning rate suits both.
    """
    u_OR, values_R, v_RI = torch.linalg.svd(_matrix(weight), full_matrices=False)
    roots_R = values_R[:rank].sqrt()
    return roots_R[:, None] * v_RI[:rank], u_OR[:, :rank] * roots_R


def _matrix(weight: Tensor) -> Tensor:
    return weight.detach().double().flatten(1)


def _is_pointwise(conv: nn.Conv1d | nn.Conv2d) -> bool:
    each = {*conv.kernel_size, *conv.stride, conv.groups}
    return each == {1} and (conv.padding in ("same", "valid") or not any(conv.padding))


def _like(old: Any, num_in: int, num_out: int, *, bias: bool) -> nn.Module:
    kernel = () if isinstance(old, nn.Linear) else (1,)
    mode = {"step_mode": old.step_mode} if hasattr(old, "step_mode") else {}
    made: nn.Module = type(old)(num_in, num_out, *kernel, bias=bias, **mode)
    return made.to(old.weight).requires_grad_(old.weight.requires_grad)
