"""L1P: one-shot magnitude pruning, then optional fine-tuning under fixed masks."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from snncompress import Facts, Fraction, Inventory, Names, Problem, Run, Strategy, Training
from snncompress_prune.selection import density, next_masks

if TYPE_CHECKING:
    from snncompress import Network


class MagnitudePruning(Strategy):
    """Zero the smallest weights (L1P: unstructured L1-norm pruning), then fine-tune if asked.

    Our reading of L1P (arXiv 2508.01992, no public code): |w| above a quantile stays, in each matrix of the blocks or
    over all of them; stem and head are left alone; the mask stays fixed while the network is fine-tuned.

    Example:
        ``{use: prune.l1, fraction: 0.9, scope: global, finetune: {epochs: 4}}``
    """

    use: Literal["prune.l1"] = "prune.l1"
    fraction: Fraction = Field(description="Part of the selected weights that are left to remove.")
    scope: Literal["matrix", "global"] = Field(
        "matrix", description="Remove that part of each matrix, or of all of them together."
    )
    select: Names | None = Field(
        None, description="Selector of layers; by default all synapses but the stem and the head."
    )
    finetune: Training | None = Field(None, description="Training under the fixed masks afterwards; none if null.")
    compresses: ClassVar[bool] = True

    def training(self) -> Training | None:
        """Return the settings of the fine-tuning."""
        return self.finetune

    def provides(self) -> frozenset[str]:
        """Provide masks."""
        return frozenset({"masks"})

    def check(self, facts: Facts) -> Iterable[Problem]:
        """Find a selector that picks nothing, and a network that has not been trained."""
        yield from facts.check_masking(self._terms(facts.inventory))
        yield from facts.check_trained()
        if self.finetune is not None:
            yield from facts.check_training(self.finetune, where=("finetune",))

    def apply(self, network: Network, run: Run) -> Network:
        """Prune, then fine-tune."""
        terms = self._terms(network.inventory)
        pruned = network.with_masks(next_masks(network, terms, self.fraction, self.scope))
        run.note("pruned", density(pruned, terms))
        if self.finetune is None:
            return pruned
        run.expect(self.finetune.epochs)
        return run.train(pruned, self.finetune, label="finetune")

    def _terms(self, inventory: Inventory) -> tuple[str, ...]:
        return inventory.inner_terms() if self.select is None else self.select
