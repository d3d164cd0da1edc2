"""Pruning once, then optional fine-tuning under fixed masks; what decides which weights go is left open."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from snncompress import Facts, Fraction, Inventory, Names, Problem, Run, Strategy, Training
from snncompress_prune.amounts import num_removed, removed_fraction
from snncompress_prune.selection import density, next_masks

if TYPE_CHECKING:
    from torch import Tensor

    from snncompress import Network


class OneShot(Strategy):
    """The settings and the course of strategies that prune once; each says how weights are scored."""

    fraction: Fraction = Field(description="Part of the selected weights that are left to remove.")
    scope: Literal["matrix", "global"] = Field(
        "matrix", description="Remove that part of each matrix, or of all of them together."
    )
    select: Names | None = Field(
        None, description="Selector of layers; by default all synapses but the stem and the head."
    )
    finetune: Training | None = Field(None, description="Training under the fixed masks afterwards; none if null.")
    compresses: ClassVar[bool] = True

    judges: ClassVar[bool]
    """Whether weights are judged by their values, which says nothing before they are trained."""

    def training(self) -> Training | None:
        """Return the settings of the fine-tuning."""
        return self.finetune

    def provides(self) -> frozenset[str]:
        """Provide masks."""
        return frozenset({"masks"})

    def check(self, facts: Facts) -> Iterable[Problem]:
        """Find a selector that picks nothing, a network that has not been trained, and a fine-tuning that cannot be."""
        yield from facts.check_masking(self.terms(facts.inventory))
        if self.judges:
            yield from facts.check_trained()
        if self.finetune is not None:
            yield from facts.check_training(self.finetune, where=("finetune",))

    def apply(self, network: Network, run: Run) -> Network:
        """Prune, then fine-tune."""
        terms = self.terms(network.inventory)
        score = partial(self.scores, run=run)
        masks = next_masks(network, terms, removed_fraction(self.fraction), self.scope, score)
        pruned = network.with_masks(masks)
        run.note("pruned", density(pruned, terms))
        if self.finetune is None:
            return pruned
        run.expect(self.finetune.epochs)
        return run.train(pruned, self.finetune, label="finetune")

    def num_staying(self, alive: int, total: int) -> int:
        """Return how many of ``alive`` weights stay, of ``total`` that there are."""
        del total
        return alive - num_removed(self.fraction, alive)

    @abstractmethod
    def scores(self, weights: Mapping[str, Tensor], run: Run) -> Mapping[str, Tensor]:
        """Return a score of every weight; those with the smallest go."""

    def terms(self, inventory: Inventory) -> tuple[str, ...]:
        """Return the selector of the weights that are pruned."""
        return inventory.inner_terms() if self.select is None else self.select
