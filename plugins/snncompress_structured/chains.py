"""Chains: two layers in a row, with nothing but norms, neurons and pooling between them, in any torch network."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from torch import nn, no_grad

from snncompress import Block, Dimension, Firing, Place, Width, evaluating, leaving_generators
from snncompress_structured.flow import NORMS, Flow, Tag, flow_of
from snncompress_structured.sides import UncuttableError, is_depthwise, is_product, side_of, side_of_neuron, used_twice

if TYPE_CHECKING:
    from torch import Tensor

    from snncompress import Network
    from snncompress_structured.groups import Side


class ChainAnatomy:
    """Knows the inner dimension between two consecutive layers: channels that one writes and one alone reads."""

    def blocks(self, network: Network, x: Tensor) -> Iterable[Block]:
        """Watch a batch flow and yield a block for each pair of layers in a row."""
        neurons = {item.module: item.path for item in network.neurons}
        network.reset()
        with evaluating(network.module), leaving_generators(), no_grad():
            flow = flow_of(network.module, neurons, lambda: network.own_way(x))
        network.reset()
        known = network if network.probe is not None else network.with_probe(x)
        computed = {one.name for one in known.inventory.derived}
        for layer, reader, tag in flow.rows():
            if computed.intersection((f"{layer}.weight", f"{reader}.weight")):
                continue
            if block := _chain(network, flow, layer, reader, tag):
                yield block


def _chain(network: Network, flow: Flow, layer: str, reader: str, tag: Tag) -> Block | None:
    """Return the row from one layer to another as a block; None where what it consists of cannot be cut."""
    module, tensors = network.module, network.tensors
    first, second = module.get_submodule(layer), module.get_submodule(reader)
    if used_twice(module) & {f"{layer}.weight", f"{reader}.weight"} or not (is_product(first) and is_product(second)):
        return None
    try:
        writes = side_of(layer, first, tensors, is_output=True)
        reads = side_of(reader, second, tensors, is_output=False)
        between = [_between(path, module.get_submodule(path), flow.outputs[path], tensors) for path in tag.via]
    except UncuttableError:
        return None
    if writes.groups > 1 or reads.groups > 1 or is_depthwise(first):
        return None
    size = writes.size
    sides = [*between, writes]
    weights = (Place(f"{layer}.weight", 0), Place(f"{reader}.weight", 1, repeat=reads.size // size))
    others = [
        Place(name, axis, repeat=side.size // size)
        for side in sides
        for name, axis in side.tensors
        if name != f"{layer}.weight"
    ]
    spikes = [Firing(side.path, side.spikes, side.size, repeat=side.size // size) for side in between if side.spikes]
    widths = [
        Width(side.path, name, *side.tensors[0]) for side in (*sides, reads) for name in side.attributes if side.tensors
    ]
    dimension = Dimension(
        f"{layer} to {reader}", ("chain",), size, 1, weights, tuple(others), tuple(spikes), tuple(widths)
    )
    return Block("", "layers in a row", (dimension,))


def _between(path: str, module: nn.Module, tail: tuple[int, ...], tensors: Mapping[str, Tensor]) -> Side:
    """Return what of a norm or a neuron goes with the channels; ``tail`` are the last sizes of its output."""
    if isinstance(module, NORMS):
        return side_of(path, module, tensors, is_output=True)
    return side_of_neuron(path, module, tail[0], (1, *tail), is_neuron=True)
