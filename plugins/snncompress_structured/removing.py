"""Removing channels from a network: the edit, and that it did what it should."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from torch import Tensor

from snncompress import Cut, EditError, Network, Size, Slice, Spikes, StepError
from snncompress_structured.groups import Group, Removal, Side
from snncompress_structured.running import FEWER, fault_behind

_NUM_SHOWN = 8


def removed(network: Network, removals: Sequence[Removal], groups: Sequence[Group]) -> Network:
    """Return the network without the channels of ``removals``, proved to compute what it did with them masked.

    Args:
        network: as it is.
        removals: what goes.
        groups: all that were considered, for the reasons if nothing can go.

    Raises:
        StepError: if nothing goes, or the network cannot run without these channels.
        ProofError: if it runs and computes something else.
    """
    if reasons := nothing_goes(removals, groups):
        raise StepError(reasons)
    try:
        return network.edited([slice_of(network.tensors, removals)])
    except EditError as error:
        what, hint = fault_without(network, removals) or (str(error), FEWER)
        raise StepError(f"{what}; {hint}") from error


def nothing_goes(removals: Sequence[Removal], groups: Sequence[Group]) -> str:
    """Say why no channel goes; nothing if one does."""
    if any(removal.channels for removal in removals):
        return ""
    return f"no channel can be removed: {_reasons(removals, groups)}"


def fault_without(network: Network, removals: Sequence[Removal]) -> tuple[str, str] | None:
    """Say that the network does not run without these channels, and what to do; values are not looked at."""
    found = fault_behind(
        network,
        [removal for removal in removals if removal.channels],
        lambda some: [slice_of(network.tensors, some)],
        lambda removal: removal.group.name,
    )
    return found and (f"the network does not run without these channels ({found[0]})", found[1])


def slice_of(tensors: Mapping[str, Tensor], removals: Iterable[Removal]) -> Slice:
    """Return one edit for all removals: an axis that several of them shorten is cut once."""
    gone: dict[Side, set[int]] = {}
    for removal in removals:
        for member in removal.group.members:
            if entries := member.entries(removal.channels):
                gone.setdefault(member.side, set()).update(entries)
    return Slice(
        cuts=tuple(
            Cut(name, axis, _left(tensors[name].shape[axis], entries))
            for side, entries in gone.items()
            for name, axis in side.tensors
        ),
        sizes=tuple(
            Size(side.path, attribute, side.size - len(entries))
            for side, entries in gone.items()
            for attribute in side.attributes
        ),
        spikes=tuple(
            Spikes(side.path, side.spikes, _left(side.size, entries))
            for side, entries in gone.items()
            if side.spikes is not None
        ),
    )


def _left(size: int, gone: Iterable[int]) -> tuple[int, ...]:
    """Return the positions that stay of ``size``; inputs of several groups share the positions of one."""
    return tuple(sorted(set(range(size)) - {entry % size for entry in gone}))


def told(before: Network, after: Network, removals: Sequence[Removal], groups: Sequence[Group]) -> dict[str, Any]:
    """Return for the record how many channels each group had and has, and why others are left as they are."""
    return {
        "parameters": [before.inventory.num_parameters(), after.inventory.num_parameters()],
        "channels": {one.group.name: [one.group.size, one.group.size - len(one.channels)] for one in removals},
        "left": {group.name: group.trouble for group in groups if group.trouble},
    }


def _reasons(removals: Sequence[Removal], groups: Sequence[Group]) -> str:
    reasons = [f"{group.name!r}: {group.trouble}" for group in groups if group.trouble]
    reasons += [
        f"{one.group.name!r}: fraction, keep_at_least and round_to leave it all of its {one.group.size} channels"
        for one in removals
    ]
    return _shown(reasons) if reasons else "the selector picks no layer with channels"


def _shown(items: Sequence[str]) -> str:
    more = f"; and {len(items) - _NUM_SHOWN} more" if len(items) > _NUM_SHOWN else ""
    return "; ".join(items[:_NUM_SHOWN]) + more
