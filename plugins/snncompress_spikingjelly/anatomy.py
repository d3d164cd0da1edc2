"""The blocks of SpikingJelly's spiking Transformers, and which tensors share which inner dimension."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from spikingjelly.activation_based.layer import attention
from spikingjelly.activation_based.model import maxformer, qkformer, spike_driven_transformer, spikformer
from torch import nn

from snncompress import Block, Dimension, Firing, Place, Preparation, Width
from snncompress_spikingjelly import attention as cut

if TYPE_CHECKING:
    from torch import Tensor

    from snncompress import Network


class SpikingJellyAnatomy:
    """Knows Spikformer, QKFormer, Max-Former and the Spike-driven Transformer, cut ones too."""

    def blocks(self, network: Network, x: Tensor) -> Iterable[Block]:
        """Yield attention and MLP of every Transformer block."""
        del x
        for path, module in network.module.named_modules():
            if describe := _KNOWN.get(type(module)):
                with suppress(_OtherLayerError):
                    yield describe(_Part(path, module))


class _OtherLayerError(Exception):
    """Tell that a part holds a layer of which its anatomy knows nothing."""


@dataclass
class _Part:
    """One module, and what of it lies along a dimension that is being put together."""

    path: str
    module: Any
    weights: list[Place] = field(default_factory=list)
    others: list[Place] = field(default_factory=list)
    spikes: list[Firing] = field(default_factory=list)
    widths: list[Width] = field(default_factory=list)

    def at(self, name: str) -> str:
        return f"{self.path}.{name}"

    def written(self, conv: str, norm: str, neuron: str, start: int = 0) -> None:
        """Add the rows of a layer, of its norm and of the neuron behind, from ``start`` on; spikes have channels last but one."""
        conv, layer = self.layer(conv, last=True)
        weight = layer.weight
        self.weights.append(Place(self.at(f"{conv}.weight"), 0, start))
        self.widths.append(Width(self.at(conv), "out_channels", self.at(f"{conv}.weight"), 0))
        if hasattr(self.module.get_submodule(norm), "num_features"):  # not where the norm is folded into the layer
            self.widths.append(Width(self.at(norm), "num_features", self.at(f"{conv}.weight"), 0))
        self.others += [
            Place(self.at(f"{part}.{name}"), 0, start)
            for part in (conv, norm, neuron)
            for name, value in _tensors(self.module.get_submodule(part))
            if value.dim() and len(value) == len(weight) and (part, name) != (conv, "weight")
        ]
        self.spikes.append(Firing(self.at(neuron), 1 - weight.dim(), len(weight), start=start))

    def passed(self, neuron: str, axis: int, size: int, joined: int) -> None:
        """Add a neuron behind no layer, where ``joined`` axes of its spikes from ``axis`` on, and the first of its tensors, are one."""
        self.spikes.append(Firing(self.at(neuron), axis, size, joined))
        self.others += [
            Place(self.at(f"{neuron}.{name}"), joined=joined)
            for name, value in _tensors(self.module.get_submodule(neuron))
            if value.dim() >= joined and math.prod(value.shape[:joined]) == size
        ]

    def read(self, conv: str) -> None:
        """Add the columns of a layer."""
        conv, _ = self.layer(conv, last=False)
        self.weights.append(Place(self.at(f"{conv}.weight"), 1))
        self.widths.append(Width(self.at(conv), "in_channels", self.at(f"{conv}.weight"), 1))

    def layer(self, name: str, *, last: bool) -> tuple[str, Any]:
        """Return the name of a layer and itself; of layers in a row that have taken its place, the last one or the first."""
        found = self.module.get_submodule(name)
        while isinstance(found, nn.Sequential):
            child, found = list(found.named_children())[-1 if last else 0]
            name = f"{name}.{child}"
        if not isinstance(found, (nn.Conv1d, nn.Conv2d)):
            raise _OtherLayerError
        return name, found

    def dimension(self, name: str, parts: tuple[str, ...], size: int, heads: int = 1) -> Dimension:
        """Return what was put together, and begin anew."""
        found = Dimension(
            f"{self.path} {name}",
            parts,
            size,
            heads,
            tuple(self.weights),
            tuple(self.others),
            tuple(self.spikes),
            tuple(dict.fromkeys(self.widths)),
        )
        self.weights, self.others, self.spikes, self.widths = [], [], [], []
        return found


def _tensors(module: nn.Module) -> Iterator[tuple[str, Tensor]]:
    yield from module.named_parameters()
    yield from module.named_buffers()


def _products(
    layer: str, projection: str, inner: tuple[int, int], preparation: Preparation
) -> Callable[[_Part], Block]:
    """Return what describes attention by products; ``inner`` is where the neuron behind them has the values' channels."""

    def describe(part: _Part) -> Block:
        module = part.module
        heads = module.num_heads
        whole = part.layer(f"{layer}.0", last=True)[1].out_channels
        qk = heads * getattr(module, "qk_width", whole // 3 // heads)
        v = heads * getattr(module, "v_width", whole // 3 // heads)
        for start in (0, qk):
            part.written(f"{layer}.0", f"{layer}.1", "qkv_lif", start)
        part.widths.append(Width(part.path, "qk_width"))
        between = part.dimension("query and key", ("qk",), qk, heads)
        part.written(f"{layer}.0", f"{layer}.1", "qkv_lif", 2 * qk)
        part.read(f"{projection}.0")
        axis, joined = inner
        part.passed("attn_lif", axis, v, joined)
        part.widths.append(Width(part.path, "v_width"))
        mixed = part.dimension("value", ("v",), v, heads)
        ready = isinstance(module, cut.CutSelfAttention | cut.CutMaxFormerAttention)
        return Block(part.path, "spiking self-attention", (between, mixed), preparation=None if ready else preparation)

    return describe


def _qk_attention(part: _Part) -> Block:
    module = part.module
    heads, whole = module.num_heads, part.layer("qk_conv_bn.0", last=True)[1].out_channels
    q = heads * getattr(module, "q_width", whole // 2 // heads)
    k = heads * getattr(module, "k_width", whole // 2 // heads)
    part.written("qk_conv_bn.0", "qk_conv_bn.1", "qk_lif")
    part.widths.append(Width(part.path, "q_width"))
    dimensions: list[Dimension] = []
    if module.qka_type == "token":
        dimensions.append(part.dimension("query", ("qk",), q, heads))
    else:
        part.passed("attn_lif", -3, k, 2)
    part.written("qk_conv_bn.0", "qk_conv_bn.1", "qk_lif", q)
    part.read("proj_conv_bn.0")
    part.widths.append(Width(part.path, "k_width"))
    name, parts = ("key", ("v",)) if dimensions else ("query and key", ("qk", "v"))
    dimensions.append(part.dimension(name, parts, k, heads))
    preparation = None if isinstance(module, cut.CutQKAttention) else Preparation("spikingjelly.cut_qk_attention")
    kind = f"QKFormer attention over {module.qka_type}s"
    return Block(part.path, kind, tuple(dimensions), preparation=preparation)


def _spike_driven(part: _Part) -> Block:
    for one in "qkv":
        part.written(f"{one}_conv", f"{one}_bn", f"{one}_lif")
    part.read("proj_conv")
    size = part.layer("q_conv", last=True)[1].out_channels
    part.passed("attn_lif", -3, size, 3)
    whole = part.dimension("query, key and value", ("qk", "v"), size, part.module.num_heads)
    ready = isinstance(part.module, cut.CutSpikeDrivenAttention)
    preparation = None if ready else Preparation("spikingjelly.cut_spike_driven_attention")
    return Block(part.path, "spike-driven attention", (whole,), preparation=preparation)


def _mlp(names: tuple[str, str, str, str]) -> Callable[[_Part], Block]:
    """Return what describes an MLP: layer, norm and neuron in front of the inner dimension, and the layer behind it."""
    first, norm, neuron, second = names

    def describe(part: _Part) -> Block:
        part.written(first, norm, neuron)
        part.read(second)
        size = part.layer(first, last=True)[1].out_channels
        joined = getattr(part.module, "residual", False)
        refused = "its inner dimension is added to the residual stream (mlp_ratio 1)" if joined else ""
        return Block(part.path, "MLP", (part.dimension("hidden", ("mlp",), size),), refused)

    return describe


_SPIKFORMER = _products(
    "qkv_conv_bn", "proj_conv_bn", (-3, 2), Preparation("spikingjelly.cut_self_attention", always=False)
)
_MAXFORMER = _products("qkv", "proj", (-2, 1), Preparation("spikingjelly.cut_maxformer_attention"))
_CONTAINERS = ("fc1.0", "fc1.1", "neuron1", "fc2.0")
_NEURONS_BEHIND = ("fc1", "bn1", "lif1", "fc2")
_NEURONS_IN_FRONT = ("fc1", "bn1", "lif2", "fc2")

_KNOWN: dict[type[nn.Module], Callable[[_Part], Block]] = {
    attention.SpikingSelfAttention: _SPIKFORMER,
    cut.CutSelfAttention: _SPIKFORMER,
    maxformer._MaxCifarSSA: _MAXFORMER,  # noqa: SLF001 - the library names its blocks so
    cut.CutMaxFormerAttention: _MAXFORMER,
    attention.QKAttention: _qk_attention,
    attention.TokenQKAttention: _qk_attention,
    attention.ChannelQKAttention: _qk_attention,
    cut.CutQKAttention: _qk_attention,
    attention.SpikeDrivenSelfAttention: _spike_driven,
    cut.CutSpikeDrivenAttention: _spike_driven,
    spikformer.SpikformerMLP: _mlp(_CONTAINERS),
    qkformer._MLP: _mlp(_NEURONS_BEHIND),  # noqa: SLF001 - see above
    maxformer._SpatialMLP: _mlp(_NEURONS_IN_FRONT),  # noqa: SLF001 - see above
    spike_driven_transformer._MLP: _mlp(_NEURONS_IN_FRONT),  # noqa: SLF001 - see above
}
"""Classes by exact type: one derived from them may compute otherwise."""
