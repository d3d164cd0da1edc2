"""How many weights earlier steps will have left, as far as that follows from their settings."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import prod
from typing import TYPE_CHECKING, Literal, Protocol, runtime_checkable

if TYPE_CHECKING:
    from snncompress import Inventory, Network, Strategy


@runtime_checkable
class Foreseen(Protocol):
    """A step of which the settings alone say how many weights it leaves."""

    scope: Literal["matrix", "global"]

    def terms(self, inventory: Inventory) -> tuple[str, ...]:
        """Return the selector of the weights that are pruned."""

    def num_staying(self, alive: int, total: int) -> int:
        """Return how many of ``alive`` weights stay, of ``total`` that there are."""


class Survivors:
    """Count the weights that are left, by groups: a matrix, or several that were pruned together."""

    def __init__(self, network: Network) -> None:
        self._inventory = network.inventory
        self._totals = {tensor.name: prod(tensor.shape) for tensor in network.inventory.tensors}
        masked = {name: int(mask.count_nonzero()) for name, mask in network.masks.items()}
        self._alive = {frozenset((name,)): masked.get(name, total) for name, total in self._totals.items()}

    def prune(self, step: Foreseen) -> None:
        """Count what ``step`` leaves; groups of which that cannot be said are no longer known."""
        groups = self._groups(step.terms(self._inventory), step.scope)
        known = {group: alive for group in groups if (alive := self._of(group)) is not None}
        after = {group: step.num_staying(alive, self._total(group)) for group, alive in known.items()}
        touched = frozenset[str]().union(*groups)
        self._alive = {group: alive for group, alive in self._alive.items() if not group & touched} | after

    def counts(self, terms: Sequence[str], scope: str) -> list[tuple[int, int]] | None:
        """Return how many weights are left, and are there: of each matrix, or of all together; None if that is not known."""
        found = [(self._of(group), self._total(group)) for group in self._groups(terms, scope)]
        known = [(alive, total) for alive, total in found if alive is not None]
        return known if len(known) == len(found) else None

    def _groups(self, terms: Sequence[str], scope: str) -> list[frozenset[str]]:
        names = self._inventory.weights(terms)
        return [frozenset(names)] if scope == "global" else [frozenset((name,)) for name in names]

    def _of(self, group: frozenset[str]) -> int | None:
        parts = [one for one in self._alive if one <= group]
        return sum(self._alive[one] for one in parts) if frozenset().union(*parts) == group else None

    def _total(self, group: Iterable[str]) -> int:
        return sum(self._totals[name] for name in group)


def survivors_behind(network: Network, earlier: Iterable[Strategy]) -> Survivors | None:
    """Return what is left of ``network`` behind ``earlier`` steps; None where one of them decides by values."""
    survivors = Survivors(network)
    for step in earlier:
        if isinstance(step, Foreseen):
            survivors.prune(step)
        elif step.compresses or "masks" in step.provides() | step.drops():
            return None
    return survivors
