"""How many weights go: whole numbers, without torch."""

from __future__ import annotations

from collections.abc import Callable
from math import ceil, log

_ROUNDING = 1e-9
"""Part of a round by which logarithms may miss a whole number of rounds."""

Removed = Callable[[int, int], int]
"""Says how many entries go, from how many are left and how many there are in all."""


def num_removed(fraction: float, count: int) -> int:
    """Return how many of ``count`` entries go: ``round(fraction * count)``."""
    return round(fraction * count)


def removed_fraction(fraction: float) -> Removed:
    """Return a removal of ``fraction`` of what is left."""
    return lambda alive, _: num_removed(fraction, alive)


def num_left(sparsity: float, total: int) -> int:
    """Return how many of ``total`` entries a sparsity leaves: ``round((1 - sparsity) * total)``."""
    return round((1 - sparsity) * total)


def removed_evenly(sparsity: float, rounds_left: int) -> Removed:
    """Return the round of a way to ``sparsity`` in which every round removes the same part of what is left.

    The last round reaches it exactly. What is sparser already loses nothing.
    """

    def removed(alive: int, total: int) -> int:
        left = num_left(sparsity, total)
        reached = left if rounds_left == 1 or alive <= left else round(alive * (left / alive) ** (1 / rounds_left))
        return max(0, alive - reached)

    return removed


def removed_at_most(fraction: float, sparsity: float, rounds_left: int) -> Removed:
    """Return the round of a way to ``sparsity`` that removes ``fraction`` of what is left, and in the end what is missing."""

    def removed(alive: int, total: int) -> int:
        missing = max(0, alive - num_left(sparsity, total))
        return missing if rounds_left == 1 else min(missing, num_removed(fraction, alive))

    return removed


def num_rounds(remaining: float, fraction: float) -> int:
    """Return in how many rounds, each removing ``fraction`` of what is left, only ``remaining`` (0..1) of it is left."""
    return max(0, ceil(log(remaining) / log(1 - fraction) - _ROUNDING)) if remaining < 1 else 0
