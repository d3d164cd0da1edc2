"""From a network and data to measurements with units, and how they were counted.

The package itself can be called: ``snncompress.measure(network, data, metrics)``.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

from snncompress.measure.accuracy import Predictions, predict
from snncompress.measure.api import METRICS, measure, measured
from snncompress.measure.bench import (
    DataBench,
    batch_size_of,
    encode,
    frames_first,
    loader_of,
    needs_of,
    num_measured,
)
from snncompress.measure.gate import Batches, as_taken, first_of, generators_of
from snncompress.measure.observe import Observation
from snncompress.record import Measurement

__all__ = [
    "METRICS",
    "Batches",
    "DataBench",
    "Observation",
    "Predictions",
    "as_taken",
    "batch_size_of",
    "encode",
    "first_of",
    "frames_first",
    "generators_of",
    "loader_of",
    "measure",
    "measured",
    "needs_of",
    "num_measured",
    "predict",
]


class _Callable(ModuleType):
    """Let ``snncompress.measure(...)`` work although ``snncompress.measure`` is also a package."""

    def __call__(self, *arguments: Any, **named: Any) -> dict[str, Measurement]:
        return measure(*arguments, **named)


sys.modules[__name__].__class__ = _Callable
