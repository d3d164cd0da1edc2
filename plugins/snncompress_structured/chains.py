"""Chains: two layers in a row, with nothing but norms, neurons and pooling between them, in any torch network."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from torch import nn, no_grad

from snncompress import Block, Dimension, Firing, Place, Width, evaluating, leaving_generators
from snncompress_structured.flow import LAYERS, NORMS, Flow, Tag, flow_of

if TYPE_CHECKING:
    from torch import Tensor

    from snncompress import Network


class ChainAnatomy:
    """Knows the inner dimension between two consecutive layers: channels that one writes and one alone reads."""

    def blocks(self, network: Network, x: Tensor) -> Iterable[Block]:
        """Watch a batch flow and yield a block for each pair of layers in a row."""
        neurons = {item.module: item.path for item in network.neurons}
        network.reset()
        with evaluating(network.module), leaving_generators(), no_grad():
            flow = flow_of(network.module, neurons, lambda: network.own_way(x))
        network.reset()
        for layer, readers in flow.into.items():
            if layer in flow.stops or len(readers) != 1:
                continue
            ((reader, tag),) = readers.items()
            if reader != layer:
                yield _chain(network, flow, layer, reader, tag)


def _chain(network: Network, flow: Flow, layer: str, reader: str, tag: Tag) -> Block:
    module = network.module
    first: Any = module.get_submodule(layer)
    second: Any = module.get_submodule(reader)
    size = len(first.weight)
    repeat = tag.tail[0] // size
    weights = (Place(f"{layer}.weight", 0), Place(f"{reader}.weight", 1, repeat=repeat))
    others: list[Place] = []
    widths = [
        Width(layer, _names(first)[1], f"{layer}.weight"),
        Width(reader, _names(second)[0], f"{reader}.weight", 1),
    ]
    spikes: list[Firing] = []
    for path in (layer, *tag.via):
        part = module.get_submodule(path)
        tail = flow.outputs.get(path, (size,))
        own = tail[0] // size
        names = [f"{path}.{name}" for name in _along(part, tail[0])]
        others += [Place(name, 0, repeat=own) for name in names if name != f"{layer}.weight"]
        if isinstance(part, NORMS):
            widths += [Width(path, "num_features", name) for name in names[:1]]
        elif path != layer:
            spikes.append(Firing(path, -len(tail), tail[0], repeat=own))
    dimension = Dimension(
        f"{layer} to {reader}", ("chain",), size, 1, weights, tuple(others), tuple(spikes), tuple(widths)
    )
    return Block("", "layers in a row", (dimension,))


def _along(module: nn.Module, size: int) -> Iterator[str]:
    """Yield the tensors of a module that have its channels in front."""
    for name, value in (*module.named_parameters(), *module.named_buffers()):
        if value.dim() and len(value) == size:
            yield name


def _names(layer: nn.Module) -> tuple[str, str]:
    """Return the names of a layer's two sizes."""
    assert isinstance(layer, LAYERS)  # noqa: S101 - the flow names only these
    return ("in_features", "out_features") if isinstance(layer, nn.Linear) else ("in_channels", "out_channels")
