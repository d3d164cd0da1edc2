"""Exact selection of the smallest weights; pure tensor functions."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor


def num_removed(fraction: float, count: int) -> int:
    """Return how many of ``count`` entries go: ``round(fraction * count)``."""
    return round(fraction * count)


def prune_smallest(
    scores: Mapping[str, Tensor], masks: Mapping[str, Tensor], fraction: float, *, scope: str
) -> dict[str, Tensor]:
    """Return masks in which a further ``fraction`` of the survivors is gone, those with the smallest scores.

    Args:
        scores: one tensor of any shape by name, for example absolute weights.
        masks: boolean masks of the same shapes, True where an entry survives; a name without one is whole.
        fraction: part of the survivors to remove, 0..1.
        scope: ``matrix`` removes that part of each tensor, ``global`` of all of them together.

    Returns:
        A mask for each name. Exactly ``round(fraction * survivors)`` entries go, per tensor or in all; among equal
        scores those at the earlier positions go first (in the order of ``scores``).
    """
    whole = {name: masks.get(name, torch.ones_like(value, dtype=torch.bool)) for name, value in scores.items()}
    if scope == "matrix" or not scores:
        return {name: _pruned({name: value}, whole, fraction)[name] for name, value in scores.items()}
    return _pruned(scores, whole, fraction)


def _pruned(scores: Mapping[str, Tensor], masks: Mapping[str, Tensor], fraction: float) -> dict[str, Tensor]:
    alive = torch.cat([value[masks[name]] for name, value in scores.items()])
    stays = ~smallest(alive, num_removed(fraction, alive.numel()))
    pruned: dict[str, Tensor] = {}
    start = 0
    for name in scores:
        mask = masks[name].clone()
        count = int(mask.sum())
        mask[masks[name]] = stays[start : start + count]
        pruned[name] = mask
        start += count
    return pruned


def smallest(scores_N: Tensor, count: int) -> Tensor:
    """Return a boolean [N], True at exactly ``count`` smallest entries; ties go by position, the earliest first."""
    if not 0 <= count <= scores_N.numel():
        raise ValueError(f"count must be between 0 and {scores_N.numel()}, not {count}")
    if not bool(torch.isfinite(scores_N).all()):
        raise ValueError("scores must be finite")
    if count == 0:
        return torch.zeros_like(scores_N, dtype=torch.bool)
    threshold = scores_N.kthvalue(count).values
    chosen = scores_N < threshold
    tied = (scores_N == threshold).nonzero().squeeze(1)
    chosen[tied[: count - int(chosen.sum())]] = True
    return chosen
