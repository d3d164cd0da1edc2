"""Which parameters of a module are synaptic weights: they multiply what a layer is given, over several indices of its fan-in.

A gain, a layer scale or the g of a weight norm has as many dimensions as a weight and multiplies one index at a time.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from math import prod

from torch import Tensor, nn
from torch.nn.utils import parametrize

from snncompress.network.leaving import evaluating, leaving_generators
from snncompress.selectors import Derived, is_weight

_CONVOLUTION = nn.modules.conv._ConvNd  # noqa: SLF001 - torch gives the base of all convolutions no public name
_OF_LAYERS: dict[type[nn.Module], str] = {
    nn.Linear: "weight",
    nn.Bilinear: "weight",
    _CONVOLUTION: "weight",
    nn.RNNBase: r"weight_(ih|hh|hr)_l\d+(_reverse)?",
    nn.RNNCellBase: "weight_(ih|hh)",
    nn.MultiheadAttention: "(in|q|k|v)_proj_weight",
}
"""What the weights of torch's own layers are called; they are weights at any size, a linear layer of one input included."""

_TABLES = (nn.Embedding, nn.EmbeddingBag)
"""Modules that look values up and multiply nothing."""


def is_synaptic(module: nn.Module, leaf: str, shape: Sequence[int]) -> bool:
    """Tell whether the parameter ``leaf`` of ``module`` is a synaptic weight, as far as its layer, name and shape say."""
    if isinstance(module, _TABLES):
        return False
    for kind, names in _OF_LAYERS.items():
        if isinstance(module, kind) and re.fullmatch(names, leaf):
            return not (isinstance(module, _CONVOLUTION) and _scales_channels(module))
    return is_weight(leaf, shape)


def fan_in_of_layer(module: nn.Module, leaf: str) -> int | None:
    """Return how many indices a weight of one of torch's layers sums over, places aside; None for any other parameter."""
    for kind, names in _OF_LAYERS.items():
        if isinstance(module, kind) and re.fullmatch(names, leaf):
            if isinstance(module, _CONVOLUTION):
                return module.in_channels // module.groups
            return module.in_features if isinstance(module, nn.Linear) else 0
    return None


def _scales_channels(conv: nn.modules.conv._ConvNd) -> bool:
    """Tell whether a convolution of kernel size 1 multiplies each channel by one number."""
    return conv.groups > 1 and conv.in_channels == conv.groups and prod(conv.kernel_size) == 1


def derived_in(root: nn.Module) -> Iterator[Derived]:
    """Yield the synaptic weights that a parametrisation of ``torch.nn.utils.parametrize`` computes from other tensors."""
    for path, module in root.named_modules():
        if not parametrize.is_parametrized(module):
            continue
        for leaf, how in module.parametrizations.items():
            with evaluating(module), leaving_generators():  # spectral norm iterates when it is trained
                value = getattr(module, leaf)
            if isinstance(value, Tensor) and is_synaptic(module, leaf, value.shape):
                place = f"{path}.parametrizations.{leaf}".removeprefix(".")
                originals = tuple(f"{place}.{name}" for name, _ in how.named_parameters(recurse=False))
                kinds = tuple(type(part).__name__.lstrip("_") for part in how)
                yield Derived(f"{path}.{leaf}".removeprefix("."), path, tuple(value.shape), originals, kinds)
