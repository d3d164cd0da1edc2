"""Groups of channels that go together, as plain data."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Side:
    """Say what of one module goes when channels go on its one side: its outputs, its inputs, or what passes through it.

    Attributes:
        path: of the module.
        tensors: full name of each tensor that holds an entry for each channel, and its axis.
        attributes: the module's numbers of channels.
        size: number of channels on this side.
        groups: in how many groups the module computes; every group keeps channels at the same positions.
        spikes: axis of a neuron's channels in what its forward returns, counted from the end.
    """

    path: str
    tensors: tuple[tuple[str, int], ...]
    attributes: tuple[str, ...]
    size: int
    groups: int = 1
    spikes: int | None = None


@dataclass(frozen=True)
class Member:
    """Tell which entries of one side belong to which channels of a group: ``indices[i]`` to ``channels[i]``."""

    side: Side
    indices: tuple[int, ...]
    channels: tuple[int, ...]

    def entries(self, gone: frozenset[int]) -> set[int]:
        """Return the entries that go with the channels ``gone``."""
        return {index for index, channel in zip(self.indices, self.channels, strict=True) if channel in gone}


@dataclass(frozen=True)
class Group:
    """Hold the channels that some layers put out together, and everything that they pass through.

    Attributes:
        layers: paths of the layers that put them out, in the network's order; more than one where outputs are added.
        size: number of channels.
        members: what goes with them.
        trouble: why they cannot be cut; empty if they can.
        traced: torch-pruning's own group, which its importances take.
    """

    layers: tuple[str, ...]
    size: int
    members: tuple[Member, ...] = ()
    trouble: str = ""
    traced: Any = field(default=None, compare=False, repr=False)

    @property
    def name(self) -> str:
        """The first layer, by which the group is called."""
        return self.layers[0]

    def units(self) -> tuple[tuple[int, ...], ...]:
        """Return the sets of channels that can only go together: one channel each, more where a layer has groups."""
        unit_of = list(range(self.size))
        for member in self.members:
            if member.side.groups > 1:
                unit_of = _joined(unit_of, _same_positions(member))
        units: dict[int, list[int]] = {}
        for channel, unit in enumerate(unit_of):
            units.setdefault(unit, []).append(channel)
        return tuple(map(tuple, units.values()))


@dataclass(frozen=True)
class Removal:
    """Name the channels of a group that go."""

    group: Group
    channels: frozenset[int]


def _same_positions(member: Member) -> Iterable[tuple[int, int]]:
    """Yield pairs of channels that stand at the same position of two groups of a layer."""
    length = member.side.size // member.side.groups
    first: dict[int, int] = {}
    for index, channel in zip(member.indices, member.channels, strict=True):
        yield first.setdefault(index % length, channel), channel


def _joined(unit_of: Sequence[int], pairs: Iterable[tuple[int, int]]) -> list[int]:
    units = list(unit_of)
    for one, other in pairs:
        kept, gone = sorted((units[one], units[other]))
        if kept != gone:
            units = [kept if unit == gone else unit for unit in units]
    return units
