"""What the parts of a known network are: its inner dimensions, and where their indices stand in tensors.

An inner dimension is one that nothing outside its block sees: between query and key, between value and projection, between
two layers. It can be cut without changing anything else, if every tensor that shares it is cut alike.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Place:
    """Say where the indices of a dimension stand along one axis of a tensor.

    Attributes:
        tensor: its full name.
        axis: the axis.
        start: position of index 0, for tensors that hold several dimensions behind each other (query, key, value).
        repeat: positions of one index, where places have been flattened behind channels.
        joined: how many axes from there on are one, for heads beside their channels.
    """

    tensor: str
    axis: int = 0
    start: int = 0
    repeat: int = 1
    joined: int = 1

    def positions(self, indices: Sequence[int]) -> list[int]:
        """Return the positions along the axis that ``indices`` take."""
        return [self.start + index * self.repeat + place for index in indices for place in range(self.repeat)]


@dataclass(frozen=True)
class Firing:
    """Say where the indices of a dimension stand in the spikes of a neuron.

    Attributes:
        neuron: path of the neuron.
        axis: counted from the end in what its forward returns, negative.
        size: positions along the axis, those of other dimensions included.
        joined: how many axes from there on are one, for heads beside their channels.
        start: as in ``Place``.
        repeat: as in ``Place``.
    """

    neuron: str
    axis: int
    size: int
    joined: int = 1
    start: int = 0
    repeat: int = 1

    def positions(self, indices: Sequence[int]) -> list[int]:
        """Return the positions along the axis that ``indices`` take."""
        return Place(self.neuron, self.axis, self.start, self.repeat).positions(indices)


@dataclass(frozen=True)
class Width:
    """Name a size attribute that follows: the size of a tensor's axis, or (no tensor) that of the dimension, in one head."""

    module: str
    attribute: str
    tensor: str = ""
    axis: int = 0


@dataclass(frozen=True)
class Dimension:
    """Name one inner dimension and everything that shares it.

    Attributes:
        name: the block's path and what it is.
        parts: what it counts as: ``qk`` (of the attention map), ``v`` (of what that mixes), ``mlp``, or ``chain`` (between
            layers in a row); several where attention joins them in one index.
        size: number of indices.
        heads: equal stretches of indices that must keep equally many.
        weights: synaptic weights along it; their absolute values say how much an index matters.
        others: norms, biases, and tensors of neurons along it.
        spikes: neurons whose outputs have it.
        widths: size attributes that follow.
    """

    name: str
    parts: tuple[str, ...]
    size: int
    heads: int = 1
    weights: tuple[Place, ...] = ()
    others: tuple[Place, ...] = ()
    spikes: tuple[Firing, ...] = ()
    widths: tuple[Width, ...] = ()

    @property
    def per_head(self) -> int:
        """The number of indices of one head."""
        return self.size // self.heads


@dataclass(frozen=True)
class Preparation:
    """Name a module that must take the place of the block before it can be cut; it computes the same.

    Attributes:
        module: its builder.
        arguments: what the builder is called with.
        always: whether it is needed for every cut, or only where the block's dimensions keep different sizes.
    """

    module: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    always: bool = True


@dataclass(frozen=True)
class Block:
    """One recognised part of a network.

    Attributes:
        path: of the module; empty for a chain, which is no module.
        kind: what it is, in words.
        dimensions: its inner dimensions.
        refused: why they cannot be cut, where that is so.
        preparation: what must be done before.
    """

    path: str
    kind: str
    dimensions: tuple[Dimension, ...]
    refused: str = ""
    preparation: Preparation | None = None

    def __str__(self) -> str:
        """Return the block in one line."""
        sizes = ", ".join(
            f"{'+'.join(one.parts)} {one.size}" + (f" in {one.heads} heads" if one.heads > 1 else "")
            for one in self.dimensions
        )
        return f"{self.path or self.dimensions[0].name}: {self.kind}, {sizes}" + (
            f"; not cut: {self.refused}" if self.refused else ""
        )
