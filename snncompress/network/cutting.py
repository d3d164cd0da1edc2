"""Cutting inner dimensions: the edits that keep chosen indices of some dimensions, all of them in one slice."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from snncompress.anatomy import Block, Dimension
from snncompress.errors import EditError, did_you_mean
from snncompress.network.edits import Cut, Edit, Replace, Size, Slice, Spikes, submodule

if TYPE_CHECKING:
    from snncompress.network.network import Network

Kept = Mapping[str, Sequence[int]]
"""Indices to keep, by the dimension's name; a dimension without an entry stays whole."""


def cutting(network: Network, blocks: Sequence[Block], keep: Kept) -> tuple[Edit, ...]:
    """Return the edits that leave ``keep`` of the blocks' dimensions: replacements that must come first, then one slice.

    Raises:
        EditError: if a block refuses, ``keep`` names what there is not, or heads of one dimension would keep different
            numbers of indices.
    """
    _require_known(blocks, keep)
    touched = [block for block in blocks if any(_is_cut(one, keep) for one in block.dimensions)]
    dimensions = [one for block in touched for one in block.dimensions if _is_cut(one, keep)]
    for block in touched:
        if block.refused:
            raise EditError(f"{block.path!r} cannot be cut: {block.refused}")
    for dimension in dimensions:
        _require_equal_heads(dimension, keep[dimension.name])
    if not dimensions:
        return ()
    replaced = {block.path for block in touched if block.preparation and _needs_preparation(block, keep)}
    replaces = [
        Replace(block.path, block.preparation.module, dict(block.preparation.arguments), exact=True)
        for block in touched
        if block.preparation and block.path in replaced
    ]
    return (*replaces, _slice(network, dimensions, keep, replaced))


def _require_known(blocks: Sequence[Block], keep: Kept) -> None:
    sizes = {one.name: one.size for block in blocks for one in block.dimensions}
    for name, kept in keep.items():
        if name not in sizes:
            raise EditError(f"the blocks have no dimension {name!r}; {did_you_mean(name, sizes)}")
        if len(set(kept)) < len(kept):
            raise EditError(f"indices to keep of {name!r} must be distinct")
        if outside := sorted(index for index in kept if not 0 <= index < sizes[name]):
            raise EditError(f"{name!r} has indices below {sizes[name]}; {outside[0]} is none of them")


def _is_cut(dimension: Dimension, keep: Kept) -> bool:
    return dimension.name in keep and len(keep[dimension.name]) < dimension.size


def _needs_preparation(block: Block, keep: Kept) -> bool:
    assert block.preparation is not None  # noqa: S101 - the caller asked
    kept = {len(keep.get(one.name, range(one.size))) for one in block.dimensions}
    return block.preparation.always or len(kept) > 1


def _require_equal_heads(dimension: Dimension, kept: Sequence[int]) -> None:
    per_head = [0] * dimension.heads
    for index in kept:
        per_head[index // dimension.per_head] += 1
    if len(set(per_head)) > 1 or not all(per_head):
        raise EditError(f"{dimension.name!r} must keep equally many indices in each head, at least one; not {per_head}")


def _slice(network: Network, dimensions: Sequence[Dimension], keep: Kept, replaced: set[str]) -> Slice:
    gone: dict[tuple[str, int, int], set[int]] = {}
    silent: dict[tuple[str, int, int, int], set[int]] = {}
    for one in dimensions:
        removed = sorted(set(range(one.size)) - set(keep[one.name]))
        for place in (*one.weights, *one.others):
            gone.setdefault((place.tensor, place.axis, place.joined), set()).update(place.positions(removed))
        for firing in one.spikes:
            key = (firing.neuron, firing.axis, firing.size, firing.joined)
            silent.setdefault(key, set()).update(firing.positions(removed))
    cuts = {key: _left(_axis_size(network, *key), removed) for key, removed in gone.items()}
    spikes = (Spikes(neuron, axis, _left(size, s), joined) for (neuron, axis, size, joined), s in silent.items())
    sizes = dict.fromkeys(
        size for one in dimensions for size in _sizes(network, one, len(keep[one.name]), cuts, replaced)
    )
    tensors = (Cut(tensor, axis, left, joined) for (tensor, axis, joined), left in cuts.items())
    return Slice(tuple(tensors), tuple(sizes), tuple(spikes))


def _left(size: int, gone: Iterable[int]) -> tuple[int, ...]:
    removed = set(gone)
    return tuple(index for index in range(size) if index not in removed)


def _axis_size(network: Network, tensor: str, axis: int, joined: int) -> int:
    parent, _, leaf = tensor.rpartition(".")
    value = getattr(submodule(network.module, parent), leaf)
    return math.prod(value.shape[axis : axis + joined])


def _sizes(
    network: Network,
    dimension: Dimension,
    kept: int,
    cuts: Mapping[tuple[str, int, int], Sequence[int]],
    replaced: set[str],
) -> Iterable[Size]:
    for width in dimension.widths:
        if width.tensor:
            yield Size(width.module, width.attribute, len(cuts[width.tensor, width.axis, 1]))
        elif width.module in replaced or hasattr(submodule(network.module, width.module), width.attribute):
            yield Size(width.module, width.attribute, kept // dimension.heads)
