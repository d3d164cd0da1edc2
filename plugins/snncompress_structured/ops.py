"""Which channels go, by number."""

from __future__ import annotations

from collections.abc import Sequence


def lowest(
    scores: Sequence[Sequence[float]],
    sizes: Sequence[Sequence[int]],
    *,
    count: int,
    keep_at_least: int = 1,
    round_to: int = 1,
) -> list[frozenset[int]]:
    """Return for each layer the positions of the units that go.

    Args:
        scores: of each unit of each layer; the lowest go first, of equal ones the earlier layer, then the earlier unit.
        sizes: channels of each unit.
        count: channels to remove from all layers together; a unit that would be too many stays.
        keep_at_least: channels that each layer keeps.
        round_to: each layer keeps a multiple of this many channels where it loses any: its best go back.
    """
    left = [sum(layer) for layer in sizes]
    gone: list[list[int]] = [[] for _ in sizes]
    order = sorted((score, layer, unit) for layer, of_layer in enumerate(scores) for unit, score in enumerate(of_layer))
    for _, layer, unit in order:
        size = sizes[layer][unit]
        if size <= count and left[layer] - size >= keep_at_least:
            gone[layer].append(unit)
            left[layer] -= size
            count -= size
    return [frozenset(_rounded(units, sizes[layer], left[layer], round_to)) for layer, units in enumerate(gone)]


def _rounded(gone: Sequence[int], sizes: Sequence[int], left: int, round_to: int) -> Sequence[int]:
    """Return ``gone``, lowest score first, without those that must go back."""
    for num in range(len(gone), 0, -1):
        if left % round_to == 0:
            return gone[:num]
        left += sizes[gone[num - 1]]
    return ()
