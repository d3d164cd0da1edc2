"""How much each channel of a group matters: by its weights, as torch-pruning counts them, or by how often it fires."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from math import isfinite
from typing import TYPE_CHECKING, Any

import torch
import torch_pruning
from torch import Tensor, nn

from snncompress import Network, StepError, evaluating, leaving_generators

if TYPE_CHECKING:
    from snncompress import Bench
    from snncompress_structured.groups import Group

_OF_WEIGHTS: Mapping[str, Callable[[], Any]] = {
    "l1": partial(torch_pruning.importance.GroupMagnitudeImportance, p=1),
    "l2": partial(torch_pruning.importance.GroupMagnitudeImportance, p=2),
    "bn_scale": torch_pruning.importance.BNScaleImportance,
}


def scores_of(
    groups: Sequence[Group], importance: str, network: Network, bench: Bench, samples: int
) -> list[list[float]]:
    """Return the importance of each channel of each group.

    Raises:
        StepError: where a group holds nothing that this importance looks at, or values that have no order.
    """
    if importance == "firing":
        rates = firing_rates(network, _axes_of_spikes(groups), bench, samples)
        scores = [_mean_rates(group, rates) for group in groups]
    else:
        scores = [_of_weights(group, importance) for group in groups]
    for group, of_group in zip(groups, scores, strict=True):
        if not all(map(isfinite, of_group)):
            raise StepError(f"the {importance} importances of {group.name!r} are not finite, so they have no order")
    return scores


def require_to_look_at(groups: Sequence[Group], importance: str) -> None:
    """Raise StepError where a group holds nothing that this importance looks at; values are not read."""
    if importance == "firing":
        _axes_of_spikes(groups)
        return
    for group in groups:
        _from_weights(group, importance)


def firing_rates(network: Network, axes: Mapping[str, int], bench: Bench, samples: int) -> dict[str, Tensor]:
    """Return for each neuron layer of ``axes`` the part of time, samples and places at which each channel fires.

    ``axes`` are those of the channels, counted from the end; ``samples`` are taken from the start of the training split.
    """
    fired = {path: _Fired(axis) for path, axis in axes.items()}
    generator = bench.generator()
    with ExitStack() as stack, torch.no_grad():
        for neuron in network.neurons:
            if neuron.path in fired:
                hook = partial(_add, fired[neuron.path], neuron.backend.spikes)
                stack.callback(neuron.module.register_forward_hook(hook).remove)
        stack.enter_context(leaving_generators())
        stack.enter_context(evaluating(network.module))
        for x_B, _ in bench.batches("train"):
            network.reset()
            network.forward(bench.encode(network, x_B[:samples], generator))
            samples -= len(x_B)
            if samples <= 0:
                break
        network.reset()
    return {path: one.sums_C / one.num for path, one in fired.items()}


class _Fired:
    """Add up the spikes of each channel of one neuron layer."""

    def __init__(self, axis: int) -> None:
        self.axis = axis
        self.sums_C: Tensor = torch.zeros(())
        self.num = 0

    def add(self, spikes: Tensor) -> None:
        fired = spikes.ne(0).movedim(self.axis, 0).flatten(1)
        self.sums_C = self.sums_C + fired.sum(1).cpu().double()
        self.num += fired.shape[1]


def _add(fired: _Fired, spikes: Callable[..., Tensor], module: nn.Module, _: Any, output: Any) -> None:
    fired.add(spikes(module, output))


def _axes_of_spikes(groups: Sequence[Group]) -> dict[str, int]:
    axes: dict[str, int] = {}
    for group in groups:
        found = {one.side.path: one.side.spikes for one in group.members if one.side.spikes is not None}
        if not found:
            raise StepError(
                f"no neuron stands behind the channels of {group.name!r}; choose another importance than firing"
            )
        axes |= found
    return axes


def _mean_rates(group: Group, rates: Mapping[str, Tensor]) -> list[float]:
    """Return the mean rate of the neurons behind each channel; several where outputs are added or flattened."""
    sums, counts = torch.zeros(group.size, dtype=torch.double), torch.zeros(group.size)
    for member in group.members:
        if member.side.spikes is not None:
            channels, indices = torch.tensor(member.channels), torch.tensor(member.indices)
            sums.index_add_(0, channels, rates[member.side.path][indices])
            counts.index_add_(0, channels, torch.ones(len(channels)))
    found: list[float] = (sums / counts).tolist()
    return found


def _of_weights(group: Group, importance: str) -> list[float]:
    found: list[float] = _from_weights(group, importance).tolist()
    return found


def _from_weights(group: Group, importance: str) -> Tensor:
    scores: Tensor | None = _OF_WEIGHTS[importance]()(group.traced)
    if scores is None:
        raise StepError(
            f"the channels of {group.name!r} pass no batch norm with a scale; choose another importance than {importance}"
        )
    return scores
