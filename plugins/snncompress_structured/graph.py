"""torch-pruning's dependency graph of a network, traced on one sample without anything that happens over time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch_pruning
from torch import Tensor, nn

from snncompress import Network, StepError
from snncompress_structured.mending import ShapesSeen, mend
from snncompress_structured.sides import holds_synapse
from snncompress_structured.time_scales import over_time


@dataclass(frozen=True)
class Traced:
    """Hold the graph of a copy of a network, and what was seen while it was made.

    Attributes:
        graph: torch-pruning's; each stateful module that computes channel by channel is one node of it.
        x: what the network ran on; a node too, for what is added to the input must keep its channels.
        is_neuron: for each of those stateful modules, by path, whether it emits spikes.
        shapes: of what they returned.
        module: the copy that was traced.
        ran: those of its modules that the graph holds.
        over_time: names of parameters that lie along time and hold nothing for a channel.
    """

    graph: Any
    x: nn.Parameter
    is_neuron: Mapping[str, bool]
    shapes: Mapping[str, tuple[int, ...]]
    module: nn.Module
    ran: frozenset[nn.Module]
    over_time: frozenset[str]


def trace(network: Network) -> Traced:
    """Trace a copy of ``network`` on the first sample of its probe batch; raise StepError if it has none."""
    if network.probe is None:
        raise StepError("a probe batch is needed to trace the network; give it one: network.with_probe(x)")
    traced = network.copy()
    stateful = [item for item in traced.owners.owned if item.is_neuron or not holds_synapse(item.module)]
    shapes: dict[str, tuple[int, ...]] = {}
    for item in stateful:
        item.module.register_forward_hook(_passing_through(item.path, item.backend.spikes, shapes))
    sample = _one_sample(network, network.probe)
    scales = over_time(traced, sample)
    for name, value in traced.module.named_parameters():
        value.requires_grad_(name not in scales)  # what is frozen leaves no trace; steps would be taken for channels
    x, graph = _graph(traced, sample, {type(item.module) for item in stateful})
    ran = frozenset(module for module in graph.module2node if isinstance(module, nn.Module))
    return Traced(graph, x, {item.path: item.is_neuron for item in stateful}, shapes, traced.module, ran, scales)


def _graph(network: Network, x: Tensor, stateful: set[type[nn.Module]]) -> tuple[nn.Parameter, Any]:
    """Return the input as a leaf, and the graph in which it is a node unless its one channel can be added to any."""
    channel_axis = 1 if network.time.input == "static" else 2  # of [B, C, ...] or [T, B, C, ...]
    is_node = x.shape[channel_axis] > 1
    leaf = nn.Parameter(x.clone(), requires_grad=is_node)
    graph, seen = torch_pruning.DependencyGraph(), ShapesSeen()

    def run(_: nn.Module, x: Tensor) -> Any:
        with seen:
            return _marked(network.own_way(x))

    graph.build_dependency(
        network.module,
        leaf,
        forward_fn=run,
        unwrapped_parameters=[(leaf, channel_axis)] if is_node else [],
        customized_pruners={kind: torch_pruning.ops.CustomizedPruner() for kind in stateful},
        verbose=False,
    )
    mend(graph, seen, channel_axis)
    return leaf, graph


def _one_sample(network: Network, probe: Tensor) -> Tensor:
    """Return the first sample of the probe batch, and one step of it where the network takes one step at a time."""
    if network.time.input == "static":
        return probe[:1]
    return probe[:1, :1] if network.time.runner == "per_step" else probe[:, :1]


def _passing_through(path: str, spikes: Callable[..., Tensor], shapes: dict[str, tuple[int, ...]]) -> Any:
    """Return a hook that puts a stateful module's input in the place of its output.

    All steps then run at once without state: what a neuron does over time joins no channels, and torch-pruning would
    take a loop over T for a split of channels.
    """

    def hook(module: nn.Module, inputs: tuple[Any, ...], output: Any) -> Any:
        found = spikes(module, output)
        shapes[path] = tuple(found.shape)
        if not inputs or inputs[0].shape != found.shape:
            return output
        passed = inputs[0] * 1  # an operation of its own, by which torch-pruning recognises the module
        return (passed, *output[1:]) if isinstance(output, tuple | list) else passed

    return hook


def _marked(output: Any) -> Any:
    """Return what a network returned behind one more operation, so that its last layer is not the end of the graph."""
    return tuple(_marked(part) for part in output) if isinstance(output, tuple | list) else output * 1
