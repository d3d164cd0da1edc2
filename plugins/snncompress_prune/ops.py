"""Exact selection of the smallest weights; pure tensor functions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import reduce

import torch
from torch import Tensor

from snncompress_prune.amounts import Removed
from snncompress_prune.threshold import Part, are_finite, kth_smallest, num_alive


def magnitudes(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Score weights by their magnitude."""
    return {name: value.abs() for name, value in weights.items()}


def draws(weights: Mapping[str, Tensor], generator: torch.Generator) -> dict[str, Tensor]:
    """Score weights at random, evenly between 0 and 1, whatever they are."""
    return {
        name: torch.rand(value.shape, generator=generator, dtype=torch.float64).to(value.device)
        for name, value in weights.items()
    }


def prune(
    scores: Mapping[str, Tensor], masks: Mapping[str, Tensor], removed: Removed, *, scope: str
) -> dict[str, Tensor]:
    """Return masks in which further survivors are gone, those with the smallest scores.

    Args:
        scores: one tensor of any shape by name, for example absolute weights.
        masks: boolean masks of the same shapes, True where an entry survives; a name without one is whole.
        removed: how many survivors go.
        scope: ``matrix`` asks ``removed`` about each tensor, ``global`` about all of them together.

    Returns:
        A mask for each name. Exactly as many go as ``removed`` says; among equal scores those at the earlier positions go
        first (in the order of ``scores``).
    """
    parts = {name: (value, masks.get(name)) for name, value in scores.items()}
    groups = [{name: part} for name, part in parts.items()] if scope == "matrix" else [parts]
    return {name: mask for group in groups for name, mask in _pruned(group, removed).items()}


def _pruned(parts: Mapping[str, Part], removed: Removed) -> dict[str, Tensor]:
    alive = sum(num_alive(part) for part in parts.values())
    total = sum(scores.numel() for scores, _ in parts.values())
    return dict(zip(parts, _without_smallest(list(parts.values()), removed(alive, total)), strict=True))


def smallest(scores: Tensor, count: int) -> Tensor:
    """Return a boolean tensor, True at exactly ``count`` smallest entries; ties go by position, the earliest first."""
    if not 0 <= count <= scores.numel():
        raise ValueError(f"count must be between 0 and {scores.numel()}, not {count}")
    return ~_without_smallest([(scores, None)], count)[0]


def _without_smallest(parts: Sequence[Part], count: int) -> list[Tensor]:
    if not all(are_finite(part) for part in parts):
        raise ValueError("scores must be finite")
    if count == 0:
        return [torch.ones_like(scores, dtype=torch.bool) if mask is None else mask.clone() for scores, mask in parts]
    parts = _of_one_dtype(parts)
    threshold = kth_smallest(parts, count)
    left = [scores >= threshold if mask is None else (scores >= threshold).logical_and_(mask) for scores, mask in parts]
    num_tied = count - sum(
        num_alive(part) - int(stays.count_nonzero()) for part, stays in zip(parts, left, strict=True)
    )
    for (scores, _), stays in zip(parts, left, strict=True):
        if num_tied:
            num_tied -= _strike(stays, (scores == threshold).logical_and_(stays), num_tied)
    return left


def _of_one_dtype(parts: Sequence[Part]) -> list[Part]:
    dtype = reduce(torch.promote_types, (scores.dtype for scores, _ in parts))
    return [(scores.to(dtype), mask) for scores, mask in parts]


def _strike(stays: Tensor, tied: Tensor, most: int) -> int:
    """Clear the first ``most`` of the ``tied`` entries and return how many that were."""
    found = int(tied.count_nonzero())
    if found <= most:
        stays.logical_and_(tied.logical_not_())
        return found
    stays[tied.nonzero()[:most].unbind(1)] = False
    return most
