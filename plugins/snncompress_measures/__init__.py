"""First measurements: accuracy, parameters, sparsity, size on disk, firing rate."""

from __future__ import annotations

from typing import Any

from snncompress import hookimpl
from snncompress_measures.behaviour import Accuracy, FiringRate
from snncompress_measures.size import Parameters, Size, Sparsity


@hookimpl
def snncompress_metrics() -> list[type[Any]]:
    """Provide the metrics of this plugin."""
    return [Accuracy, Parameters, Sparsity, Size, FiringRate]
