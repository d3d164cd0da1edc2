"""Single layers, and what two peers count for them (all samples together)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

SPIKES = ((0, 1), (0, 3), (1, 0))
"""Where x_BI [2, 4] is not zero: three spikes."""


@dataclass(frozen=True)
class Layer:
    """A layer, its input, and the columns of the table.

    Attributes:
        name: of the case.
        module: the layer, its weights all different and not zero unless the case says so.
        x: its input.
        jelly: SpikingJelly's synaptic operations and multiply-accumulates.
        bench: NeuroBench's effective accumulates and multiply-accumulates.
        dense: every product, padding included.
    """

    name: str
    module: nn.Module
    x: Tensor
    jelly: tuple[int, int]
    bench: tuple[int, int]
    dense: int


def linear_cases() -> list[Layer]:
    """Return the cases of Linear(4, 3) on two samples."""
    return [
        Layer("binary", linear(), at(1, 1, 1), (9, 0), (9, 0), 24),
        Layer("real", linear(), at(0.3, 0.7, 0.2), (0, 24), (0, 9), 24),
        Layer("half", linear(), at(0.5, 0.5, 0.5), (0, 24), (0, 9), 24),
        Layer("ternary", linear(), at(-1, 1, 1), (0, 24), (9, 0), 24),
        Layer("zero_one_two", linear(), at(2, 1, 1), (0, 24), (0, 9), 24),
        Layer("pruned", linear(keep=((0, 1), (2, 0))), at(1, 1, 1), (9, 0), (2, 0), 24),
        Layer("silent", linear(), at(0, 0, 0), (0, 0), (0, 0), 24),
    ]


def convolution_cases() -> list[Layer]:
    """Return the cases of one spike on two channels of 5 by 5, seen by 3 by 3 kernels with padding 1."""
    return [
        Layer("corner", convolution(), spike(0, 0), (8, 0), (8, 0), 900),
        Layer("centre", convolution(), spike(2, 2), (18, 0), (18, 0), 900),
        Layer("stride_at_the_corner", convolution(stride=2), spike(0, 0), (2, 0), (2, 0), 324),
        Layer("stride_next_to_it", convolution(stride=2), spike(1, 1), (8, 0), (8, 0), 324),
        Layer("depthwise", convolution(groups=2), spike(2, 2), (9, 0), (9, 0), 450),
    ]


def at(*values: float) -> Tensor:
    """Return x_BI [2, 4] with three entries."""
    x_BI = torch.zeros(2, 4)
    for place, value in zip(SPIKES, values, strict=True):
        x_BI[place] = value
    return x_BI


def spike(row: int, column: int) -> Tensor:
    """Return x_BCHW [1, 2, 5, 5] with one spike in its first channel."""
    x_BCHW = torch.zeros(1, 2, 5, 5)
    x_BCHW[0, 0, row, column] = 1
    return x_BCHW


def linear(keep: tuple[tuple[int, int], ...] | None = None) -> nn.Module:
    """Return Linear(4, 3), with all weights or only those at ``keep``."""
    layer = filled(nn.Linear(4, 3))
    if keep is not None:
        kept = torch.zeros(3, 4)
        for place in keep:
            kept[place] = layer.weight[place].item()
        with torch.no_grad():
            layer.weight.copy_(kept)
    return layer


def convolution(stride: int = 1, groups: int = 1) -> nn.Module:
    """Return a convolution of two channels onto two."""
    return filled(nn.Conv2d(2, 2, 3, stride=stride, padding=1, groups=groups))


def filled(layer: nn.Module) -> nn.Module:
    """Set a layer's weights to numbers between 0.1 and 0.2: SpikingJelly takes weights of nothing but 0 and 1 for spikes."""
    with torch.no_grad():
        values = 0.1 + 0.1 * torch.arange(layer.weight.numel()) / layer.weight.numel()
        layer.weight.copy_(values.view_as(layer.weight))
    return layer


LAYERS = (*linear_cases(), *convolution_cases())
