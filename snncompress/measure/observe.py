"""One pass over the test split, for every metric at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from snncompress.counts import Activity, OperationCounts
from snncompress.errors import StateError
from snncompress.measure.accuracy import Predictions
from snncompress.measure.activity import Watcher
from snncompress.measure.counting.audit import Audit
from snncompress.measure.counting.counter import Counter
from snncompress.measure.gate import say_if_grouped
from snncompress.measure.memory import freed_memory_kept
from snncompress.network import evaluating, leaving_generators, try_out

if TYPE_CHECKING:
    from snncompress.components import Bench, Need
    from snncompress.network import Network

_AUDITED = 8
"""Samples of the audit: enough for kernels to show, too few to cost anything."""


@dataclass(frozen=True)
class Observation:
    """Hold what one pass over the test split has shown.

    Attributes:
        predictions: predicted and true classes, by the mean output over time.
        correct_by_step: right predictions by the mean output of the first 1, 2, ... T steps; None where the network
            returns only the mean.
        counts: operations, where they were asked for.
        activity: spikes of each neuron layer, where they were asked for.
    """

    predictions: Predictions
    correct_by_step: tuple[int, ...] | None = None
    counts: OperationCounts | None = None
    activity: Activity | None = None


def observe(
    network: Network,
    bench: Bench,
    needs: frozenset[Need] = frozenset(),
    told: Callable[[int], None] | None = None,
) -> Observation:
    """Run the test split once, streaming: memory does not grow with the number of samples.

    ``told`` is called after every batch with the number of samples so far.

    Raises:
        CountError: if an operation cannot be counted exactly.
        StateError: if masked weights are not zero, or the network answers differently after a reset.
    """
    _require_masks(network)
    counter = Counter(network) if "counts" in needs else None
    watcher = Watcher(network) if "activity" in needs else None
    predicted: list[Tensor] = []
    labels: list[Tensor] = []
    by_step: list[Tensor] = []
    generator = bench.generator()
    with _still(network), freed_memory_kept():
        batches = bench.batches("test")
        for number, (x_B, labels_B) in enumerate(batches, 1):
            x, y = bench.encode(network, x_B, generator), labels_B.cpu()
            if not labels:
                try_out(network, x, split="test")
                if counter is not None:
                    audit(network, x)
            with ExitStack() as stack:
                if counter is not None:
                    stack.enter_context(counter.counting(x, repeats=_repeats(network, x)))
                if watcher is not None:
                    stack.enter_context(watcher.watching(len(y)))
                output = network.forward(x)
            network.reset()
            batches.require_outputs(output.mean(), y, number)
            predicted.append(output.mean().argmax(1).cpu())
            labels.append(y)
            if not output.averaged:
                means_TBC = output.per_step().cumsum(0)
                by_step.append((means_TBC.argmax(2).cpu() == y).sum(1))
            if told is not None:
                told(sum(map(len, labels)))
    if not batches.inputs.num_classes:
        say_if_grouped(output.mean().shape[1], torch.cat(labels))
    return Observation(
        Predictions(torch.cat(predicted), torch.cat(labels)),
        tuple(int(number) for number in torch.stack(by_step).sum(0)) if by_step else None,
        counter.result() if counter else None,
        watcher.result() if watcher else None,
    )


def audit(network: Network, x: Tensor) -> None:
    """Run a few samples, and compare counted operations with the kernels that ran."""
    few = x[:_AUDITED] if network.time.input == "static" else x[:, :_AUDITED]
    counter = Counter(network)
    kernels = Audit(counter)
    with leaving_generators():
        with counter.counting(few, repeats=False), kernels:
            network.forward(few)
        network.reset()
    kernels.require_counted()


@contextmanager
def _still(network: Network) -> Iterator[None]:
    """Evaluate without gradients, from a cleared state, and leave modes and generators as they were."""
    with evaluating(network.module), leaving_generators(), torch.inference_mode(mode=False), torch.no_grad():
        network.reset()
        yield
        network.reset()


def _require_masks(network: Network) -> None:
    tensors = network.tensors
    for name, mask in network.masks.items():
        if alive := int(tensors[name][~mask.to(tensors[name].device)].count_nonzero()):
            raise StateError(
                f"{alive} masked weights of {name!r} are not zero; train within network.hold_masks(optimizer), "
                "or call network.apply_masks() before measuring"
            )


def _repeats(network: Network, x: Tensor) -> bool:
    return network.time.input == "static" or torch.equal(x[:1].expand_as(x), x)
