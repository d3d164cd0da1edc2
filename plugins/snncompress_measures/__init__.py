"""Measurements: accuracy, size, operations, energy, spikes, latency; and the energy models."""

from __future__ import annotations

from typing import Any

from snncompress import hookimpl
from snncompress_measures.accuracy import Accuracy
from snncompress_measures.energy import Energy
from snncompress_measures.energy_models import (
    Compute45nm,
    Memory45nm,
    Neuromorphic77fj,
    SpikeDrivenTransformer,
    Spikformer,
    Spikingformer,
)
from snncompress_measures.latency import Latency
from snncompress_measures.operations import SynapticOperations
from snncompress_measures.size import Parameters, Size, Sparsity
from snncompress_measures.spikes import SpikeStatistics


@hookimpl
def snncompress_metrics() -> list[type[Any]]:
    """Provide the metrics of this plugin."""
    return [Accuracy, Parameters, Sparsity, Size, SynapticOperations, Energy, SpikeStatistics, Latency]


@hookimpl
def snncompress_energy_models() -> list[type[Any]]:
    """Provide the published conventions."""
    return [Compute45nm, Memory45nm, Spikformer, Spikingformer, SpikeDrivenTransformer, Neuromorphic77fj]
