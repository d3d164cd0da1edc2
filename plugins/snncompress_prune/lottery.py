"""Lottery tickets: iterative magnitude pruning with rewinding."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from snncompress import Count, Facts, Names, Number, Problem, Run, Strategy, Training
from snncompress_prune.selection import density, last_training, next_masks, training_of

if TYPE_CHECKING:
    from torch import Tensor

    from snncompress import Network

_CHECKPOINT = "checkpoint:"


class Lottery(Strategy):
    """Find a lottery ticket: prune the smallest surviving weights, rewind the rest, train again, round after round.

    Each round removes ``round(fraction_per_round * n)`` of the n surviving weights by magnitude, sets every survivor,
    every bias and every norm to an earlier snapshot, and trains with a new optimiser (Frankle et al. 2020;
    SparseSpikformer, arXiv 2311.08806: 25 % a round, every synaptic weight, stem and head included).

    Example:
        ``{use: prune.lottery, fraction_per_round: 0.25, rounds: 9, rewind_to: epoch-1, epochs: 8}``
    """

    use: Literal["prune.lottery"] = "prune.lottery"
    fraction_per_round: Annotated[Number, Field(gt=0, lt=1)] = Field(
        0.25, description="Part of the surviving weights that each round removes."
    )
    rounds: Count = Field(description="Rounds of pruning, rewinding and training.")
    rewind_to: str = Field(
        "init",
        pattern=r"^(init|epoch-\d+|checkpoint:.+)$",
        description="Where weights go back to: `init`, `epoch-N` (a snapshot of an earlier train step), or `checkpoint:FILE`.",
    )
    rewind_statistics: bool = Field(True, description="Whether running means and variances of norms go back too.")
    epochs: Count | None = Field(
        None,
        description="Epochs of training in each round; by default those of the earlier training behind the rewinding point.",
    )
    retrain: Training | None = Field(
        None, description="Settings of the training in each round; by default those of the last step that trained."
    )
    scope: Literal["global", "matrix"] = Field(
        "global", description="Compare the weights of all layers, or those of each matrix."
    )
    select: Names = Field(("synapse",), description="Selector of layers; by default every synaptic weight.")
    compresses: ClassVar[bool] = True

    def provides(self) -> frozenset[str]:
        """Provide masks and trained weights."""
        return frozenset({"masks", "weights"})

    def training(self) -> Training | None:
        """Return the settings of the training in each round, if they are its own."""
        return self.retrain

    def num_epochs(self, earlier: Sequence[Strategy]) -> int:
        """Return the epochs of all rounds."""
        return self.rounds * self._training(earlier).epochs

    def files(self) -> tuple[Path, ...]:
        """Return the checkpoint to rewind to, if that is a file."""
        return (self._checkpoint,) if self._checkpoint else ()

    def check(self, facts: Facts) -> Iterable[Problem]:
        """Find a snapshot that nobody keeps, an untrained network, and no epochs to train."""
        yield from facts.check_masking(self.select)
        yield from facts.check_trained()
        yield from self._check_rewinding(facts)
        if (
            self.epochs is None
            and self.retrain is None
            and not _epochs_behind(last_training(facts.earlier), self._start_epoch)
        ):
            yield Problem(
                ("epochs",), "there is no earlier training to take the number of epochs from", "give `epochs`"
            )
        if self.retrain is not None:
            yield from facts.check_training(self.retrain, where=("retrain",))

    def apply(self, network: Network, run: Run) -> Network:
        """Run the rounds; each is kept, so an interrupted lottery goes on behind its last one."""
        training = self._training(run.earlier)
        run.expect(self.rounds * training.epochs)
        target = self._rewind_target(network)
        for number in range(1, self.rounds + 1):
            work = partial(self._round, network, target, training, number, run)
            network = run.stage(f"round-{number}", work)
        return network

    def _check_rewinding(self, facts: Facts) -> Iterable[Problem]:
        if file := self._checkpoint:
            if not file.is_file():
                yield Problem(
                    ("rewind_to",), f"checkpoint {str(file)!r} does not exist", "give the path of a state dict"
                )
            return
        number = self.rewind_to.removeprefix("epoch-")
        hint = f"add `snapshots: [{number}]` to an earlier train step" if number.isdigit() else ""
        yield from facts.check_state(f"snapshot:{self.rewind_to}", where="rewind_to", hint=hint)

    def _round(self, network: Network, target: dict[str, Tensor], training: Training, number: int, run: Run) -> Network:
        masks = next_masks(network, self.select, self.fraction_per_round, self.scope)
        ticket = network.with_masks(masks).with_weights(target)
        run.note("rounds", [*run.notes().get("rounds", []), {"round": number, **density(ticket, self.select)}])
        return run.train(ticket, training, label=f"round {number} of {self.rounds}", start_epoch=self._start_epoch)

    def _training(self, earlier: Sequence[Strategy]) -> Training:
        epochs = self.epochs
        if epochs is None and self.retrain is None:
            epochs = _epochs_behind(last_training(earlier), self._start_epoch)
        return training_of(self.retrain, epochs, earlier)

    def _rewind_target(self, network: Network) -> dict[str, Tensor]:
        tensors: Any = (
            network.read_checkpoint(self._checkpoint) if self._checkpoint else network.snapshots[self.rewind_to]
        )
        if self.rewind_statistics:
            return dict(tensors)
        learnt = {name for name, _ in network.module.named_parameters()}
        return {name: value for name, value in tensors.items() if name in learnt}

    @property
    def _checkpoint(self) -> Path | None:
        named = self.rewind_to.startswith(_CHECKPOINT)
        return Path(self.rewind_to.removeprefix(_CHECKPOINT)) if named else None

    @property
    def _start_epoch(self) -> int:
        number = self.rewind_to.removeprefix("epoch-")
        return int(number) if number.isdigit() else 0


def _epochs_behind(training: Training | None, start: int) -> int:
    return max(0, training.epochs - start) if training else 0
