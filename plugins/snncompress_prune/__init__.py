"""Unstructured pruning: L1P, lottery tickets, and the controls of both."""

from __future__ import annotations

from typing import Any

from snncompress import hookimpl
from snncompress_prune.l1 import MagnitudePruning
from snncompress_prune.lottery import Lottery
from snncompress_prune.random_pruning import RandomPruning
from snncompress_prune.reinitialize import Reinitialize


@hookimpl
def snncompress_strategies() -> list[type[Any]]:
    """Provide ``prune.l1``, ``prune.random``, ``prune.lottery`` and ``prune.reinitialize``."""
    return [MagnitudePruning, RandomPruning, Lottery, Reinitialize]
