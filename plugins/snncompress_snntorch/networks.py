"""Building the network of snnTorch's tutorials."""

from __future__ import annotations

from collections import OrderedDict
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal

import snntorch
from snntorch import surrogate as surrogates
from torch import nn

if TYPE_CHECKING:
    from collections.abc import Sequence

_SLOPE_OF_TUTORIALS = 25


def convnet(
    channels: Sequence[int],
    *,
    kernel_size: int,
    padding: int,
    map_size: tuple[int, int],
    num_classes: int,
    beta: float,
    learn_beta: bool,
    threshold: float,
    surrogate: Literal["atan", "fast_sigmoid"],
) -> nn.Sequential:
    """Return convolutions, pooling and Leaky neurons that keep their state, x_BCHW to (spikes_BC, membranes_BC).

    ``channels`` are those of the input and of each convolution's output, ``map_size`` is [H, W] after the last pooling.
    """
    settings: dict[str, Any] = {"beta": beta, "learn_beta": learn_beta, "threshold": threshold, "init_hidden": True}
    parts: OrderedDict[str, nn.Module] = OrderedDict()
    for stage, (before, after) in enumerate(pairwise(channels), start=1):
        parts[f"conv{stage}"] = nn.Conv2d(before, after, kernel_size, padding=padding)
        parts[f"pool{stage}"] = nn.MaxPool2d(2)
        parts[f"neuron{stage}"] = snntorch.Leaky(spike_grad=_gradient(surrogate), **settings)
    parts["flatten"] = nn.Flatten()
    parts["head"] = nn.Linear(channels[-1] * map_size[0] * map_size[1], num_classes)
    parts["readout"] = snntorch.Leaky(spike_grad=_gradient(surrogate), output=True, **settings)
    return nn.Sequential(parts)


def _gradient(surrogate: Literal["atan", "fast_sigmoid"]) -> Any:
    return surrogates.fast_sigmoid(slope=_SLOPE_OF_TUTORIALS) if surrogate == "fast_sigmoid" else surrogates.atan()
