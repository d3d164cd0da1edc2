"""Which groups are cut, and which of their channels go."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from snncompress_structured.groups import Group, Removal
from snncompress_structured.ops import lowest


def picked(groups: Iterable[Group], paths: frozenset[str]) -> list[Group]:
    """Return the groups of which ``paths`` holds a layer; those of which it holds some and not all cannot be cut."""
    found = []
    for group in groups:
        left_out = [path for path in group.layers if path not in paths]
        if len(left_out) == len(group.layers):
            continue
        found.append(replace(group, trouble=group.trouble or _joined(left_out)) if left_out else group)
    return found


def _joined(left_out: Sequence[str]) -> str:
    others = f" and {len(left_out) - 1} more" if len(left_out) > 1 else ""
    return f"its channels are those of {left_out[0]!r}{others} too, which the selector does not pick"


def orders(sizes: Sequence[int]) -> list[list[list[float]]]:
    """Return importances of groups of these sizes in three orders: the first channels go first, every other one, the last.

    Sizes that are fixed in a network's code may fit where neighbouring channels go, and not where others do.
    """
    return [
        [[0.0] * size for size in sizes],
        [[float(channel % 2) for channel in range(size)] for size in sizes],
        [[-float(channel) for channel in range(size)] for size in sizes],
    ]


def least_important(
    groups: Sequence[Group],
    scores: Sequence[Sequence[float]],
    fraction: float,
    *,
    keep_at_least: int,
    round_to: int,
) -> list[Removal]:
    """Return the channels that go when groups are compared with one another; a unit counts with its mean score."""
    units = [group.units() for group in groups]
    means = [
        [sum(of_group[channel] for channel in unit) / len(unit) for unit in of_units]
        for of_group, of_units in zip(scores, units, strict=True)
    ]
    gone = lowest(
        means,
        [[len(unit) for unit in of_units] for of_units in units],
        count=round(fraction * sum(group.size for group in groups)),
        keep_at_least=keep_at_least,
        round_to=round_to,
    )
    return [
        Removal(group, frozenset(channel for position in positions for channel in of_units[position]))
        for group, of_units, positions in zip(groups, units, gone, strict=True)
    ]
