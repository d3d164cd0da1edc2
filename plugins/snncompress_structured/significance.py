"""How much each index of an inner dimension matters, and which indices stay; pure functions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def significance(slices: Sequence[Tensor], size: int) -> Tensor:
    """Return the sum of absolute weights of each index, [size], in float64.

    Args:
        slices: for each weight that has the dimension, what lies along it: [size, ...] with the indices in front.
        size: number of indices.
    """
    import torch

    total = torch.zeros(size, dtype=torch.float64)
    for value in slices:
        total += value.detach().double().abs().reshape(size, -1).sum(1).cpu()
    return total


def num_left(per_head: int, fraction: float, least: int) -> int:
    """Return how many of a head's indices stay when ``round(fraction * per_head)`` go; at least ``least`` of them."""
    return max(min(least, per_head), per_head - round(fraction * per_head))


def strongest(scores: Tensor, heads: int, count: int) -> list[int]:
    """Return the ``count`` indices of each head with the highest scores, in order; of equal ones the later stay.

    ``scores`` is [heads * per_head]. Ties go by position: the earliest is removed first.
    """
    per_head = len(scores) // heads
    kept: list[int] = []
    for head in range(heads):
        own = scores[head * per_head : (head + 1) * per_head].tolist()
        order = sorted(range(per_head), key=lambda index: (own[index], index))
        kept += sorted(head * per_head + index for index in order[per_head - count :])
    return kept


def num_left_together(
    scores: Mapping[str, Tensor], heads: Mapping[str, int], num_gone: int, least: int
) -> dict[str, int]:
    """Return how many indices stay in each head of each dimension, where all dimensions are compared with each other.

    A dimension gives up one index of each of its heads at a time, the weakest; such a row matters as much as the mean of its
    indices. Of all rows ``num_gone`` go, the weakest first, but ``least`` stay in each dimension.
    """
    rows: list[tuple[float, int, str]] = []
    for order, (name, values) in enumerate(scores.items()):
        ranked = values.reshape(heads[name], -1).sort(1).values.mean(0).tolist()
        rows += [(score, order, name) for score in ranked[: max(0, len(ranked) - least)]]
    gone = [name for _, _, name in sorted(rows)[:num_gone]]
    return {name: len(values) // heads[name] - gone.count(name) for name, values in scores.items()}
