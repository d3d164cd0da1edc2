"""Convolutions and linear layers in the form that is fastest on a CPU, the norm behind them folded in in evaluation."""

from __future__ import annotations

from typing import Any, TypeGuard

import torch
from torch import Tensor, nn
from torch.nn import functional

from snncompress.speed.structure import is_watched_between

_POINTWISE = ((1,), (1,), (0,), (1,), 1)
"""Kernel size, stride, padding, dilation and groups of a `Conv1d` that is a linear map of channels."""

_WORTHWHILE, _WIDE = 2**25, 64
"""Multiplications and outputs from which a linear layer runs sooner as a convolution."""


def convolved(conv: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Return what a `Conv1d` or `Conv2d` without special padding makes of x_BC..., channels last where it has two axes."""
    if (conv.kernel_size, conv.stride, conv.padding, conv.dilation, conv.groups) == _POINTWISE:
        return _mapped(x.unsqueeze(2), weight.unsqueeze(3), bias).squeeze(2)
    if isinstance(conv, nn.Conv2d):
        x = x.contiguous(memory_format=torch.channels_last)
        weight = weight.contiguous(memory_format=torch.channels_last)
    found: Tensor = type(conv)._conv_forward(conv, x, weight, bias)  # noqa: SLF001 - set aside on the instance
    return found


def _mapped(image_BCHW: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Return a linear map of channels as a convolution: on some processors torch's matrix products take twice as long."""
    return functional.conv2d(image_BCHW.contiguous(memory_format=torch.channels_last), weight, bias)


def is_plain_linear(module: nn.Module) -> TypeGuard[nn.Linear]:
    """Tell whether a module computes what torch's linear layer does, by the same forward."""
    return isinstance(module, nn.Linear) and type(module).forward is nn.Linear.forward and "forward" not in vars(module)


def linear(layer: nn.Linear, x: Tensor) -> Tensor:
    """Return what a linear layer makes of [..., D]: as a convolution of one column of places, where there is enough to do."""
    work = x.numel() * layer.out_features
    if x.dim() < 2 or layer.out_features < _WIDE or work < _WORTHWHILE:  # noqa: PLR2004 - one sample has no rows
        return functional.linear(x, layer.weight, layer.bias)
    rows = x.reshape(1, -1, 1, layer.in_features).permute(0, 3, 1, 2)
    found = _mapped(rows, layer.weight[:, :, None, None], layer.bias)
    return found.permute(0, 2, 3, 1).reshape(*x.shape[:-1], layer.out_features)


def folds(conv: nn.Module, norm: Any) -> bool:
    """Tell whether a convolution computes what the norm behind it, if there is one, makes of its output."""
    if norm is None or norm.training or not (norm.track_running_stats and norm.affine):
        return False
    return not is_watched_between(conv, norm)


def folded(norm: Any, weight: Tensor, bias: Tensor | None) -> tuple[Tensor, Tensor]:
    """Return weight and bias of a convolution with the affine norm behind it, as it is in evaluation."""
    scale = torch.rsqrt(norm.running_var + norm.eps) * norm.weight
    shift = -norm.running_mean if bias is None else bias - norm.running_mean
    shift = shift * scale + norm.bias
    return weight * scale.reshape(-1, *[1] * (weight.dim() - 1)), shift
