"""The k-th smallest of many tensors together, exactly, without joining them.

A sample gives two values that very likely enclose it; one pass counts what is not above the lower, one gathers the few in
between. Counting proves each answer: a sample that misleads costs time, never exactness.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import inf, sqrt

import torch
from torch import Tensor

Part = tuple[Tensor, Tensor | None]
"""Scores of any shape, and a boolean mask of that shape, True where they take part; None if all do."""

_DEVIATIONS = 6  # between the rank wanted and each end of the bracket


def kth_smallest(parts: Sequence[Part], k: int, *, sample_size: int = 2**18) -> float:
    """Return the ``k``-th smallest score (1 is the smallest) of those that take part.

    All scores have one dtype and are finite; about ``sample_size`` of them guide the search.
    """
    low, high = _bracket(parts, k, sample_size)
    num_to_low = sum(_num(scores <= low, mask) for scores, mask in parts)
    if k <= num_to_low:
        is_low = k > sum(_num(scores < low, mask) for scores, mask in parts)
        return low if is_low else _kth(_joined(parts), k)
    between = _joined([(scores, _both((scores > low) & (scores < high), mask)) for scores, mask in parts])
    if k <= num_to_low + between.numel():
        return _kth(between, k - num_to_low)
    num_to_high = sum(_num(scores <= high, mask) for scores, mask in parts)
    return high if k <= num_to_high else _kth(_joined(parts), k)


def num_alive(part: Part) -> int:
    """Return how many scores take part."""
    scores, mask = part
    return scores.numel() if mask is None else int(mask.count_nonzero())


def are_finite(part: Part) -> bool:
    """Tell whether every score that takes part is finite."""
    scores, mask = part
    if not scores.numel() or all(bool(end.isfinite()) for end in scores.aminmax()):
        return True
    return mask is not None and bool(scores[mask].isfinite().all())


def _bracket(parts: Sequence[Part], k: int, sample_size: int) -> tuple[float, float]:
    """Return two values between which the ``k``-th smallest should lie, infinite where the sample cannot tell."""
    every = max(1, sum(scores.numel() for scores, _ in parts) // sample_size) | 1  # odd: in step with few row lengths
    sample = _joined(
        [(_thinned(scores, every), None if mask is None else _thinned(mask, every)) for scores, mask in parts]
    )
    size = sample.numel()
    if not size or not sample.is_floating_point():  # whole numbers have no infinities to compare with
        return -inf, inf
    part = k / sum(num_alive(one) for one in parts)
    rank, margin = part * size, 1 + _DEVIATIONS * sqrt(part * (1 - part) * size)
    below, above = int(rank - margin), int(rank + margin) + 1
    return (_kth(sample, below) if below >= 1 else -inf), (_kth(sample, above) if above <= size else inf)


def _thinned(values: Tensor, every: int) -> Tensor:
    return values.reshape(-1)[::every]


def _num(chosen: Tensor, mask: Tensor | None) -> int:
    return int(_both(chosen, mask).count_nonzero())


def _both(chosen: Tensor, mask: Tensor | None) -> Tensor:
    return chosen if mask is None else chosen.logical_and_(mask)


def _joined(parts: Sequence[Part]) -> Tensor:
    return torch.cat([scores.reshape(-1) if mask is None else scores[mask] for scores, mask in parts])


def _kth(values_N: Tensor, k: int) -> float:
    value: float = values_N.kthvalue(k).values.item()
    return value
