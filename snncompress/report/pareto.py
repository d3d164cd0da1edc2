"""The Pareto front of a quality against a cost."""

from __future__ import annotations

import math
from collections.abc import Sequence


def front(points: Sequence[tuple[float, float]]) -> tuple[int, ...]:
    """Return the indices of the points (quality, cost) that no other point beats, in their order.

    A point beats another if its quality is at least as high, its cost at least as low, and one of them better; so
    points that are equal in both stay on the front together.
    """
    best, kept = -math.inf, set[tuple[float, float]]()
    for quality, cost in sorted(points, key=lambda point: (point[1], -point[0])):
        if quality > best:
            best = quality
            kept.add((quality, cost))
    return tuple(index for index, point in enumerate(points) if tuple(point) in kept)
