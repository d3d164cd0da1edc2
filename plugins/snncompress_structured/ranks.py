"""Which rank each matrix gets: exact rules over singular values, the largest of them first."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from math import fsum

from snncompress_structured.matrices import Matrix
from snncompress_structured.significance import num_left

_ROUNDING = 1e-13  # singular values are computed: a share that is short by no more than this is reached


def rank_without(fraction: float, full_rank: int) -> int:
    """Return the rank after ``round(fraction * full_rank)`` of it is removed, at least 1."""
    return num_left(full_rank, fraction, 1)


def rank_keeping(energy: float, values: Sequence[float]) -> int:
    """Return the smallest rank whose squared singular values make up at least the part ``energy`` of all, at least 1."""
    squares = [value * value for value in values]
    wanted = energy * fsum(squares) * (1 - _ROUNDING)
    return next((rank for rank, kept in enumerate(accumulate(squares), 1) if kept >= wanted), len(squares))


def energy_kept(rank: int, values: Sequence[float]) -> float:
    """Return the part of the squared singular values that the first ``rank`` make up; all of nothing is 1."""
    squares = [value * value for value in values]
    return fsum(squares[:rank]) / total if (total := fsum(squares)) else 1.0


def num_least(matrices: Sequence[Matrix]) -> int:
    """Return the fewest parameters that the layers can have: each at rank 1."""
    return sum(matrix.num_needed(1) for matrix in matrices)


def ranks_within(budget: int, matrices: Sequence[Matrix], spectra: Sequence[Sequence[float]]) -> list[int]:
    """Distribute ranks so that the layers have at most ``budget`` parameters in all.

    Each layer begins with rank 1. Then ranks are added one by one: always the one that keeps the largest part of its own
    layer's energy for each parameter, the earlier layer first among equals. A layer whose next rank no longer fits stays
    as it is, the others go on. Where two factors would take as much as the whole layer, it gets its full rank.

    Args:
        budget: at least ``num_least(matrices)``.
        matrices: the layers.
        spectra: the singular values of each, the largest first.
    """
    ranks = [1] * len(matrices)
    left = budget - num_least(matrices)
    stopped: set[int] = set()
    for _, index, rank in sorted(_steps(matrices, spectra)):
        cost = matrices[index].num_needed(rank) - matrices[index].num_needed(rank - 1)
        if index in stopped or cost > left:
            stopped.add(index)
        else:
            ranks[index], left = rank, left - cost
    return ranks


def _steps(matrices: Sequence[Matrix], spectra: Sequence[Sequence[float]]) -> list[tuple[float, int, int]]:
    """Return every rank behind the first of every layer, by what it loses for each parameter if it is left out."""
    found: list[tuple[float, int, int]] = []
    for index, (matrix, values) in enumerate(zip(matrices, spectra, strict=True)):
        total = fsum(value * value for value in values) or 1.0
        price = matrix.num_out + matrix.num_in
        found += [(-(value * value) / total / price, index, rank) for rank, value in enumerate(values, 1) if rank > 1]
    return found
