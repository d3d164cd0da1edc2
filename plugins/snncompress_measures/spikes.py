"""How active the neurons of a network are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, Literal

from snncompress import Bench, Measurement, Settings

if TYPE_CHECKING:
    from snncompress import Activity, Network


class SpikeStatistics(Settings):
    """Measure the firing rate, and the parts of neurons that never fire and that fire at every step of every sample."""

    use: Literal["spikes"] = "spikes"

    needs: ClassVar[frozenset[str]] = frozenset({"activity"})

    def yields(self) -> tuple[str, ...]:
        """Name the rate and the two parts."""
        return "firing_rate", "dead_neurons", "saturated_neurons"

    def measure(self, network: Network, bench: Bench) -> Mapping[str, Measurement]:
        """Watch every neuron over the test split."""
        activity = bench.observe(network, "activity").activity
        assert activity is not None  # noqa: S101 - it was asked for
        neurons = sum(layer.neurons for layer in activity.layers)
        dead = sum(layer.dead for layer in activity.layers)
        saturated = sum(layer.saturated for layer in activity.layers)
        return {
            "firing_rate": _firing_rate(activity),
            "dead_neurons": _part(dead, neurons, "never fire", activity),
            "saturated_neurons": _part(saturated, neurons, "fire at every step of every sample", activity),
        }


def _firing_rate(activity: Activity) -> Measurement:
    spikes = sum(sum(layer.spikes) for layer in activity.layers)
    outputs = sum(sum(layer.outputs) for layer in activity.layers)
    return Measurement(
        value=activity.rate,
        unit="spikes per neuron and step",
        how=f"{spikes} spikes of {outputs} neuron outputs in {len(activity.layers)} layer(s), test split",
        detail=activity.model_dump(mode="json"),
    )


def _part(some: int, neurons: int, what: str, activity: Activity) -> Measurement:
    return Measurement(
        value=some / neurons if neurons else None,
        unit="1",
        how=f"{some} of {neurons} neurons {what}, {activity.samples} test samples",
    )
