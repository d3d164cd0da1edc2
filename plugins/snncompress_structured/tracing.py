"""Which channels go together: torch-pruning's dependency graph, traced on one sample."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch_pruning
from torch import Tensor, nn

from snncompress import Network, StepError
from snncompress_structured.groups import Group, Member
from snncompress_structured.reshapes import ShapesSeen, keep_flattening_reshapes, read_joins
from snncompress_structured.sides import (
    SYNAPSES,
    UncuttableError,
    holds_synapse,
    is_depthwise,
    side_of,
    side_of_neuron,
    side_of_parameter,
)
from snncompress_structured.time_limit import time_limit

_OUTPUT, _PARAMETER = torch_pruning.ops.OPTYPE.OUTPUT, torch_pruning.ops.OPTYPE.PARAMETER


def find_groups(network: Network, seconds: float) -> tuple[Group, ...]:
    """Return the groups of channels of ``network``, in the order of its layers; those that cannot be cut say why.

    Raises:
        StepError: if the network has no probe batch, or tracing takes longer than ``seconds``.
    """
    if network.probe is None:
        raise StepError("a probe batch is needed to trace the network; give it one: network.with_probe(x)")
    try:
        with time_limit(seconds), torch.enable_grad():
            return _Trace.of(network.copy(), _one_sample(network, network.probe)).groups()
    except TimeoutError as error:
        raise StepError(
            f"torch-pruning has not traced {type(network.module).__name__} within {seconds:g} s; "
            "give it longer (seconds_at_most), or prune this network in another way"
        ) from error


def _one_sample(network: Network, probe: Tensor) -> Tensor:
    """Return the first sample of the probe batch, and one step of it where the network takes one step at a time."""
    if network.time.input == "static":
        return probe[:1]
    return probe[:1, :1] if network.time.runner == "per_step" else probe[:, :1]


def _channel_axis(network: Network) -> int:
    """Return the axis of channels in what the network takes: [T, B, C, ...], or [B, C, ...]."""
    return 1 if network.time.input == "static" else 2


@dataclass(frozen=True)
class _Item:
    """Hold what torch-pruning says of one module or parameter in a group; channels it has lost track of are None."""

    path: str
    module: Any
    is_output: bool
    axis: int
    indices: tuple[int, ...]
    channels: tuple[int | None, ...]


@dataclass(frozen=True)
class _Trace:
    """Hold torch-pruning's graph of a copy of a network, and what was seen while it was made.

    Attributes:
        graph: the dependency graph; a neuron is one node of it.
        tensors: those of the network.
        x: what the network ran on; also a node, for what is added to the input must keep its channels.
        is_neuron: for each stateful module that computes channel by channel, by path, whether it emits spikes.
        shapes: of what those returned.
        order: position of each module in the network.
    """

    graph: Any
    tensors: Mapping[str, Tensor]
    x: nn.Parameter
    is_neuron: Mapping[str, bool]
    shapes: Mapping[str, tuple[int, ...]]
    order: Mapping[str, int]

    @classmethod
    def of(cls, network: Network, x: Tensor) -> _Trace:
        """Trace ``network``, a copy that may be changed."""
        stateful = [item for item in network.owners.owned if item.is_neuron or not holds_synapse(item.module)]
        shapes: dict[str, tuple[int, ...]] = {}
        for item in stateful:
            item.module.register_forward_hook(_passing_through(item.path, item.backend.spikes, shapes))
        network.module.requires_grad_(True)  # frozen weights leave no trace
        leaf = nn.Parameter(x.clone())
        graph, seen, channel_axis = torch_pruning.DependencyGraph(), ShapesSeen(), _channel_axis(network)

        def run(_: nn.Module, x: Tensor) -> Any:
            with seen:
                return _marked(network.own_way(x))

        graph.build_dependency(
            network.module,
            leaf,
            forward_fn=run,
            unwrapped_parameters=[(leaf, channel_axis)],
            customized_pruners={type(item.module): torch_pruning.ops.CustomizedPruner() for item in stateful},
            verbose=False,
        )
        keep_flattening_reshapes(graph, seen)
        read_joins(graph, channel_axis)
        order = {path: position for position, (path, _) in enumerate(network.module.named_modules())}
        return cls(graph, network.tensors, leaf, {item.path: item.is_neuron for item in stateful}, shapes, order)

    def groups(self) -> tuple[Group, ...]:
        """Return every group in the order of its first layer."""
        found = [(one, tuple(self._items(one))) for one in self.graph.get_all_groups(root_module_types=list(SYNAPSES))]
        widths: dict[str, int] = {}
        for _, items in found:
            for item in items:
                widths[item.path] = max(widths.get(item.path, 0), *item.indices, -1) + 1
        groups = [self._group(traced, items, widths) for traced, items in found]
        return tuple(sorted(groups, key=lambda group: self.order[group.name]))

    def _items(self, traced: Any) -> Iterator[_Item]:
        """Yield what is no mere operation: layers, norms, neurons and parameters."""
        for item in traced.items:
            target = item.dep.target
            if target._name is not None:  # noqa: SLF001 - the path; `name` adds the text of the module
                is_output = self.graph.is_out_channel_pruning_fn(item.dep.handler)
                path = self._path(target)
                yield _Item(path, target.module, is_output, target.pruning_dim, tuple(item.idxs), tuple(item.root_idxs))

    def _path(self, target: Any) -> str:
        if target.type != _PARAMETER:
            return str(target._name)  # noqa: SLF001 - see above
        return str(self.graph._param_to_name.get(target.module, "the input"))  # noqa: SLF001 - its only place

    def _group(self, traced: Any, items: Sequence[_Item], widths: Mapping[str, int]) -> Group:
        size = len(traced[0].idxs)
        producers = [item for item in items if item.is_output and isinstance(item.module, SYNAPSES)]
        sources = [item.path for item in producers if not is_depthwise(item.module)]
        layers = tuple(sorted(sources or [item.path for item in producers], key=self.order.__getitem__))
        try:
            self._require_inner(traced, items)
            members = tuple(self._member(item, widths[item.path]) for item in items)
        except UncuttableError as error:
            return Group(layers, size, trouble=str(error))
        return Group(layers, size, members, traced=traced)

    def _require_inner(self, traced: Any, items: Sequence[_Item]) -> None:
        """Raise UncuttableError for channels that begin or end outside the network, or whose end is not found."""
        if any(item.dep.target.type == _OUTPUT for item in traced.items):
            raise UncuttableError("its channels are the network's output")
        if any(item.module is self.x for item in items):
            raise UncuttableError("its channels are joined with those of the network's input")
        if not any(isinstance(item.module, SYNAPSES) and not item.is_output for item in items):
            raise UncuttableError("torch-pruning finds no layer that takes its channels")

    def _member(self, item: _Item, width: int) -> Member:
        if item.path in self.is_neuron:
            shape = self.shapes.get(item.path, ())
            side = side_of_neuron(item.path, item.module, width, shape, is_neuron=self.is_neuron[item.path])
        elif isinstance(item.module, nn.Module):
            side = side_of(item.path, item.module, self.tensors, is_output=item.is_output)
        else:
            side = side_of_parameter(item.path, item.module, item.axis)
        channels = tuple(channel for channel in item.channels if channel is not None)
        distinct = set(item.indices)
        if not len(channels) == len(distinct) == len(item.indices) or max(distinct) >= side.size:
            raise UncuttableError(f"torch-pruning loses track of its channels in {item.path!r}")
        return Member(side, item.indices, channels)


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
