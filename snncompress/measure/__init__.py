"""From a network and data to measurements with units, and how they were counted."""

from snncompress.measure.accuracy import Predictions, evaluating, leaving_generators, predict
from snncompress.measure.bench import DataBench, encode, loader_of

__all__ = ["DataBench", "Predictions", "encode", "evaluating", "leaving_generators", "loader_of", "predict"]
