"""Norms that never run: of a list of norms, one for each time step, those of steps that the network does not take."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from torch import Tensor, nn

from snncompress_structured.groups import Group, Member
from snncompress_structured.sides import NORM, side_of

_LISTS = (nn.ModuleList, nn.ModuleDict)


def with_idle_norms(
    groups: Sequence[Group], root: nn.Module, ran: Collection[nn.Module], tensors: Mapping[str, Tensor]
) -> list[Group]:
    """Let norms that did not run lose the channels that the other norms of their list lose.

    A norm that never runs changes nothing, but with more time steps it may run later, and then its size has to fit.

    Args:
        groups: of channels, as they were traced.
        root: the network's module.
        ran: the modules that were seen while it was traced.
        tensors: of the network, by name.
    """
    modules = dict(root.named_modules())
    lists = [_lists_of(group, modules) for group in groups]
    num_groups = Counter(path for of_group in lists for path in of_group)
    own = [[path for path in of_group if num_groups[path] == 1] for of_group in lists]
    return [
        replace(group, members=(*group.members, *_idle(group, paths, root, ran, tensors)))
        for group, paths in zip(groups, own, strict=True)
    ]


def _lists_of(group: Group, modules: Mapping[str, nn.Module]) -> list[str]:
    """Return the paths of the lists that hold norms of a group."""
    norms = (member.side.path for member in group.members if isinstance(modules.get(member.side.path), NORM))
    parents = dict.fromkeys(path.rpartition(".")[0] for path in norms)
    return [parent for parent in parents if isinstance(modules[parent], _LISTS)]


def _idle(
    group: Group,
    lists: Iterable[str],
    root: nn.Module,
    ran: Collection[nn.Module],
    tensors: Mapping[str, Tensor],
) -> Iterator[Member]:
    for parent in lists:
        running = [member for member in group.members if member.side.path.rpartition(".")[0] == parent]
        like: Any = root.get_submodule(running[0].side.path)
        for name, norm in root.get_submodule(parent).named_children():
            fits = type(norm) is type(like) and norm.num_features == like.num_features
            if norm not in ran and fits:
                side = side_of(f"{parent}.{name}", norm, tensors, is_output=True)
                yield Member(side, running[0].indices, running[0].channels)
