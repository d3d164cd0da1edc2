"""From a network and data to measurements with units, and how they were counted."""

from snncompress.measure.accuracy import Predictions, evaluating, predict
from snncompress.measure.bench import DataBench, encode, loader_of

__all__ = ["DataBench", "Predictions", "encode", "evaluating", "loader_of", "predict"]
