"""The fast path: the same results sooner, from what neurons state of themselves and what a network shows."""

from snncompress.speed.finding import Acceleration, Path, accelerated, acceleration
from snncompress.speed.rule import Fusible, UpdateRule

__all__ = ["Acceleration", "Fusible", "Path", "UpdateRule", "accelerated", "acceleration"]
