"""What a network does: accuracy and firing rate on the test split."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Literal

from snncompress import Bench, Measurement, Settings

if TYPE_CHECKING:
    from snncompress import Backend, Network


class Accuracy(Settings):
    """Measure the part of test samples that is classified right, by the mean output over time."""

    use: Literal["accuracy"] = "accuracy"

    def yields(self) -> tuple[str, ...]:
        """Name the accuracy."""
        return ("accuracy",)

    def measure(self, network: Network, bench: Bench) -> Mapping[str, Measurement]:
        """Classify the test split once."""
        from snncompress import predict

        found = predict(network, bench)
        how = f"{found.num_correct} of {len(found.labels_N)} test samples, mean output over {network.time.T} step(s)"
        return {"accuracy": Measurement(value=found.accuracy, unit="1", how=how)}


class FiringRate(Settings):
    """Measure the mean firing rate: spikes per neuron and time step on the test split."""

    use: Literal["firing_rate"] = "firing_rate"

    def yields(self) -> tuple[str, ...]:
        """Name the rate."""
        return ("firing_rate",)

    def measure(self, network: Network, bench: Bench) -> Mapping[str, Measurement]:
        """Count the outputs of every neuron that are not zero."""
        from snncompress import predict

        counts = {"spikes": 0, "outputs": 0}
        with ExitStack() as stack:
            for neuron in network.neurons:
                stack.callback(neuron.module.register_forward_hook(_counter(neuron.backend, counts)).remove)
            predict(network, bench)
        rate = counts["spikes"] / counts["outputs"] if counts["outputs"] else None
        how = f"{counts['spikes']} spikes of {counts['outputs']} neuron outputs in {len(network.neurons)} layers, test split"
        return {"firing_rate": Measurement(value=rate, unit="spikes per neuron and step", how=how)}


def _counter(backend: Backend, counts: dict[str, int]) -> Any:
    def count(module: Any, _: Any, output: Any) -> None:
        spikes = backend.spikes(module, output)
        counts["spikes"] += int((spikes != 0).sum())
        counts["outputs"] += spikes.numel()

    return count
