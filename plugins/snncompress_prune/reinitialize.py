"""The control of a lottery ticket: the same masks on fresh random weights."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from snncompress import Count, Facts, Problem, Run, Strategy, Training
from snncompress_prune.selection import check_retraining, last_training, training_of

if TYPE_CHECKING:
    from snncompress import Network


class Reinitialize(Strategy):
    """Keep the masks, draw every weight anew, and train: the random re-initialisation control of a lottery ticket.

    If the control reaches the ticket's accuracy, the masks alone explain it; if not, the ticket's first weights matter.

    Example:
        ``{use: prune.reinitialize, epochs: 9}``
    """

    use: Literal["prune.reinitialize"] = "prune.reinitialize"
    epochs: Count | None = Field(
        None, description="Epochs of training; by default those of the last step that trained."
    )
    retrain: Training | None = Field(
        None, description="Settings of the training; by default those of the last step that trained."
    )
    compresses: ClassVar[bool] = True

    def training(self) -> Training | None:
        """Return the settings of the training, if they are its own."""
        return self.retrain

    def num_epochs(self, earlier: Sequence[Strategy]) -> int:
        """Return the epochs of the training."""
        return training_of(self.retrain, self.epochs, earlier).epochs

    def provides(self) -> frozenset[str]:
        """Provide trained weights."""
        return frozenset({"weights"})

    def check(self, facts: Facts) -> Iterable[Problem]:
        """Find a network without masks, and no epochs to train."""
        yield from facts.check_state("masks", where="use", hint="put prune.lottery or prune.l1 before it")
        if self.epochs is None and self.retrain is None and last_training(facts.earlier) is None:
            yield Problem(
                ("epochs",), "there is no earlier training to take the number of epochs from", "give `epochs`"
            )
        yield from check_retraining(facts, self.retrain, self.epochs)

    def apply(self, network: Network, run: Run) -> Network:
        """Draw fresh weights under the masks and train them."""
        training = training_of(self.retrain, self.epochs, run.earlier)
        run.expect(training.epochs)
        return run.train(network.reinitialised(), training, label="control")
