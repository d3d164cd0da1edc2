"""Which channels go together: torch-pruning's groups, read as plain data."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch_pruning
from torch import Tensor, nn

from snncompress import Network, StepError, leaving_generators
from snncompress_structured.graph import Traced, trace
from snncompress_structured.groups import Group, Member
from snncompress_structured.idle_norms import with_idle_norms
from snncompress_structured.sides import (
    SYNAPSES,
    UncuttableError,
    is_depthwise,
    side_of,
    side_of_neuron,
    side_of_parameter,
    used_twice,
)
from snncompress_structured.time_limit import time_limit

_OUTPUT, _PARAMETER = torch_pruning.ops.OPTYPE.OUTPUT, torch_pruning.ops.OPTYPE.PARAMETER


def find_groups(network: Network, seconds: float) -> tuple[Group, ...]:
    """Return the groups of channels of ``network``, in the order of its layers; those that cannot be cut say why.

    Raises:
        StepError: if the network has no probe batch, does not run on one sample, or takes longer than ``seconds``.
    """
    try:
        with time_limit(seconds), torch.enable_grad(), leaving_generators():
            return _Reading.of(network).groups()
    except TimeoutError as error:
        raise StepError(
            f"torch-pruning has not traced {type(network.module).__name__} within {seconds:g} s; "
            "give it longer (seconds_at_most), or prune this network in another way"
        ) from error
    except (RuntimeError, ValueError, IndexError) as error:
        raise StepError(
            f"torch-pruning cannot trace {type(network.module).__name__} on one sample: {error}; "
            "prune this network in another way"
        ) from error


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
class _Reading:
    """Hold what is needed to read groups out of torch-pruning's: its graph, tensors by name, positions of modules.

    Tensors that lie along time are not among them.
    """

    traced: Traced
    tensors: Mapping[str, Tensor]
    order: Mapping[str, int]
    shared: frozenset[str]
    computed: Mapping[str, tuple[int, ...]]

    @classmethod
    def of(cls, network: Network) -> _Reading:
        """Trace ``network``."""
        order = {path: position for position, (path, _) in enumerate(network.module.named_modules())}
        traced = trace(network)
        by_channel = {name: value for name, value in network.tensors.items() if name not in traced.over_time}
        return cls(traced, by_channel, order, used_twice(network.module), _computed(network))

    def groups(self) -> tuple[Group, ...]:
        """Return every group in the order of its first layer."""
        found = list(self.traced.graph.get_all_groups(root_module_types=list(SYNAPSES)))
        items = [tuple(self._items(one)) for one in found]
        widths = _widths(item for of_group in items for item in of_group)
        groups = [self._group(one, of_group, widths) for one, of_group in zip(found, items, strict=True)]
        groups = with_idle_norms(groups, self.traced.module, self.traced.ran, self.tensors)
        return tuple(sorted(groups, key=lambda group: self.order[group.name]))

    def _items(self, found: Any) -> Iterator[_Item]:
        """Yield what is no mere operation: layers, norms, neurons and parameters."""
        for item in found.items:
            target = item.dep.target
            if target._name is not None:  # noqa: SLF001 - the path; `name` adds the text of the module
                is_output = self.traced.graph.is_out_channel_pruning_fn(item.dep.handler)
                path = self._path(target)
                if path in self.traced.over_time:
                    continue
                yield _Item(path, target.module, is_output, target.pruning_dim, tuple(item.idxs), tuple(item.root_idxs))

    def _path(self, target: Any) -> str:
        if target.type != _PARAMETER:
            return str(target._name)  # noqa: SLF001 - see above
        return str(self.traced.graph._param_to_name.get(target.module, "the input"))  # noqa: SLF001 - its only place

    def _group(self, found: Any, items: Sequence[_Item], widths: Mapping[str, int]) -> Group:
        size = len(found[0].idxs)
        producers = [item for item in items if item.is_output and isinstance(item.module, SYNAPSES)]
        sources = [item.path for item in producers if not is_depthwise(item.module)]
        layers = tuple(sorted(sources or [item.path for item in producers], key=self.order.__getitem__))
        try:
            self._require_inner(found, items)
            members = tuple(self._member(item, widths[item.path]) for item in items)
            _require_unfolded(members, size)
        except UncuttableError as error:
            return Group(layers, size, trouble=str(error))
        return Group(layers, size, members, traced=found)

    def _require_inner(self, found: Any, items: Sequence[_Item]) -> None:
        """Raise UncuttableError for channels that begin or end outside the network, or whose end is not found."""
        if any(item.dep.target.type == _OUTPUT for item in found.items):
            raise UncuttableError("its channels are the network's output")
        if any(item.module is self.traced.x for item in items):
            raise UncuttableError("its channels are joined with those of the network's input")
        if not any(isinstance(item.module, SYNAPSES) and not item.is_output for item in items):
            raise UncuttableError("torch-pruning finds no layer that takes its channels")

    def _member(self, item: _Item, width: int) -> Member:
        if item.path in self.traced.is_neuron:
            shape = self.traced.shapes.get(item.path, ())
            side = side_of_neuron(item.path, item.module, width, shape, is_neuron=self.traced.is_neuron[item.path])
        elif isinstance(item.module, nn.Module):
            side = side_of(item.path, item.module, self.tensors, is_output=item.is_output)
        else:
            side = side_of_parameter(item.path, item.module, item.axis, width)
        if shared := self.shared.intersection(name for name, _ in side.tensors):
            raise UncuttableError(f"{min(shared)!r} is used in several places")
        for name, axis in side.tensors:
            if axis not in self.computed.get(name, (axis,)):
                raise UncuttableError(
                    f"forward of {side.path!r} computes the weight in use from {name!r}, across its "
                    f"{'inputs' if axis else 'outputs'}"
                )
        channels = tuple(channel for channel in item.channels if channel is not None)
        distinct = set(item.indices)
        if not len(channels) == len(distinct) == len(item.indices) or max(distinct) >= side.size:
            raise UncuttableError(f"torch-pruning loses track of its channels in {item.path!r}")
        return Member(side, item.indices, channels)


def _require_unfolded(members: Iterable[Member], size: int) -> None:
    """Raise UncuttableError where a reshape with fixed sizes makes runs of channels one channel of a later layer.

    Of each run torch-pruning keeps a single channel, any of them.
    """
    for member in members:
        run = size // member.side.size
        pairs = list(zip(member.indices, member.channels, strict=True))
        if 1 < len(pairs) == member.side.size < size and all(channel // run == index for index, channel in pairs):
            raise UncuttableError(
                f"a reshape on the way to {member.side.path!r} makes {run} of its channels one, so they cannot go one by one"
            )


def _computed(network: Network) -> dict[str, tuple[int, ...]]:
    """Return the tensors from which forward computes weights, and the axes along which it computes each slice by itself."""
    return {one.name: one.axes for one in network.inventory.derived if not one.kinds}


def _widths(items: Iterable[_Item]) -> dict[str, int]:
    """Return how many channels pass through each module, as far as any group tells."""
    widths: dict[str, int] = {}
    for item in items:
        widths[item.path] = max(widths.get(item.path, 0), max(item.indices) + 1)
    return widths
