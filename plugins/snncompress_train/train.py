"""The strategy ``train``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from snncompress import Counts, Facts, Problem, Run, Strategy, Training

if TYPE_CHECKING:
    from snncompress import Network


class Train(Strategy, Training):
    """Train every weight with surrogate gradients; masks hold, every epoch is a checkpoint.

    Example:
        ``{use: train, epochs: 12, lr: 1e-3, snapshots: [1]}``
    """

    use: Literal["train"] = "train"
    snapshots: Counts = Field(
        (),
        description="Epochs after which the weights are kept as `epoch-N`, for a lottery to rewind to; 0 is the start.",
    )

    def training(self) -> Training:
        """Return the settings of the training loop alone."""
        given = self.model_fields_set & Training.model_fields.keys()  # what was not given stays known as such
        return Training(**{name: getattr(self, name) for name in given})

    def provides(self) -> frozenset[str]:
        """Provide trained weights and the snapshots."""
        return frozenset({"weights", *(f"snapshot:epoch-{number}" for number in self.snapshots)})

    def check(self, facts: Facts) -> Iterable[Problem]:
        """Find snapshots after the last epoch, and a loss on membranes that the network does not record."""
        for number in self.snapshots:
            if not 0 <= number <= self.epochs:
                yield Problem(("snapshots",), f"epoch {number} is never reached", f"choose from 0 to {self.epochs}")
        yield from facts.check_training(self)

    def apply(self, network: Network, run: Run) -> Network:
        """Train."""
        run.expect(self.epochs)
        return run.train(network, self.training(), label="train", snapshots=self.snapshots)
