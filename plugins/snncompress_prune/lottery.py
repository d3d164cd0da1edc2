"""Lottery tickets: iterative magnitude pruning with rewinding."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, field_serializer, model_validator

from snncompress import Count, Facts, Inventory, Names, Number, Problem, Run, StepError, Strategy, Training
from snncompress_prune.amounts import (
    Removed,
    num_left,
    num_removed,
    num_rounds,
    removed_at_most,
    removed_evenly,
    removed_fraction,
)
from snncompress_prune.selection import (
    alive_and_total,
    check_retraining,
    density,
    last_training,
    next_masks,
    training_of,
)
from snncompress_prune.survivors import survivors_behind

if TYPE_CHECKING:
    from torch import Tensor

    from snncompress import Network

_USUAL_FRACTION = 0.25

_CHECKPOINT = "checkpoint:"


class Lottery(Strategy):
    """Find a lottery ticket: prune the smallest surviving weights, rewind the rest, train again, round after round.

    Each round removes ``round(fraction_per_round * n)`` of the n surviving weights by magnitude, or as many as lead to
    ``sparsity``, which leaves ``round((1 - sparsity) * n)`` of all n selected ones. It sets every survivor,
    every bias and every norm to an earlier snapshot, and trains with a new optimiser (Frankle et al. 2020;
    SparseSpikformer, arXiv 2311.08806: 25 % a round, every synaptic weight, stem and head included).

    Example:
        ``{use: prune.lottery, fraction_per_round: 0.25, rounds: 9, rewind_to: epoch-1, epochs: 8}``
    """

    use: Literal["prune.lottery"] = "prune.lottery"
    fraction_per_round: Annotated[Number, Field(gt=0, lt=1)] | None = Field(
        None,
        description="Part of the surviving weights that each round removes. If null: 0.25, or with `sparsity` and `rounds` "
        "what reaches the sparsity evenly.",
    )
    rounds: Count | None = Field(
        None, description="Rounds of pruning, rewinding and training. If null they follow from `sparsity`."
    )
    sparsity: Annotated[Number, Field(gt=0, lt=1)] | None = Field(
        None,
        exclude_if=lambda value: value is None,
        description="Part of the selected weights that is gone in the end, whatever was gone before. Give `rounds` or "
        "`fraction_per_round` with it; the other follows.",
    )
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

    @model_validator(mode="after")
    def _one_way_to_the_end(self) -> Self:
        if self.rounds is None and self.sparsity is None:
            raise ValueError("should give 'rounds' or 'sparsity'")
        if (
            None not in (self.rounds, self.sparsity, self.fraction_per_round)
            and self.rounds != self._following_rounds()
        ):
            raise ValueError(
                f"should agree: {self.fraction_per_round:g} a round reaches the sparsity {self.sparsity:g} in "
                f"{self._following_rounds()} round(s), not in {self.rounds}; "
                "leave out 'rounds', 'fraction_per_round' or 'sparsity'"
            )
        return self

    @field_serializer("fraction_per_round")
    def _fraction_in_json(self, value: float | None) -> float | None:
        return self._fraction if self.sparsity is None else value

    def provides(self) -> frozenset[str]:
        """Provide masks and trained weights."""
        return frozenset({"masks", "weights"})

    def training(self) -> Training | None:
        """Return the settings of the training in each round, if they are its own."""
        return self.retrain

    def num_epochs(self, earlier: Sequence[Strategy]) -> int:
        """Return the epochs of all rounds; where ``sparsity`` sets them, of a network without masks."""
        return (self.rounds or self._following_rounds()) * self._training(earlier).epochs

    def files(self) -> tuple[Path, ...]:
        """Return the checkpoint to rewind to, if that is a file."""
        return (self._checkpoint,) if self._checkpoint else ()

    def check(self, facts: Facts) -> Iterable[Problem]:
        """Find a snapshot that nobody keeps, an untrained network, a sparsity that is there, and no epochs to train."""
        nothing = facts.check_masking(self.select)
        yield from nothing
        if facts.network is not None and not nothing:
            yield from self._check_survivors(facts.network(), facts.earlier)
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
        yield from check_retraining(facts, self.retrain, self.epochs, start_epoch=self._start_epoch)

    def apply(self, network: Network, run: Run) -> Network:
        """Run the rounds; each is kept, so an interrupted lottery goes on behind its last one."""
        training = self._training(run.earlier)
        rounds = self._rounds_of(network)
        run.expect(rounds * training.epochs)
        target = self._rewind_target(network)
        for number in range(1, rounds + 1):
            work = partial(self._round, network, target, training, number, rounds, run)
            network = run.stage(f"round-{number}", work)
        return network

    def terms(self, inventory: Inventory) -> tuple[str, ...]:
        """Return the selector of the weights that are pruned."""
        del inventory
        return self.select

    def num_staying(self, alive: int, total: int) -> int:
        """Return how many of ``alive`` weights stay, of ``total`` that there are."""
        if self.sparsity is not None:
            return min(alive, num_left(self.sparsity, total))
        for _ in range(self.rounds or 0):
            alive -= num_removed(self._fraction, alive)
        return alive

    @property
    def _fraction(self) -> float:
        return _USUAL_FRACTION if self.fraction_per_round is None else self.fraction_per_round

    def _following_rounds(self, remaining: float | None = None) -> int:
        """Return the rounds in which ``sparsity`` is reached where ``remaining`` of what is left shall stay."""
        assert self.sparsity is not None  # noqa: S101 - where rounds are given they are not asked for
        return max(1, num_rounds(1 - self.sparsity if remaining is None else remaining, self._fraction))

    def _rounds_of(self, network: Network) -> int:
        """Return the rounds for this network: one with masks may need fewer; raise StepError where it needs none."""
        if self.sparsity is None:
            assert self.rounds is not None  # noqa: S101 - one of them is given
            return self.rounds
        for problem in self._check_sparsity(alive_and_total(network, self.select, self.scope)):
            raise StepError(f"sparsity: {problem.what}; {problem.hint}")
        if self.rounds is not None and self.fraction_per_round is None:
            return self.rounds
        counts = alive_and_total(network, self.select, self.scope)
        return self._following_rounds(min((1 - self.sparsity) * total / max(1, alive) for alive, total in counts))

    def _check_survivors(self, network: Network, earlier: Sequence[Strategy]) -> Iterable[Problem]:
        survivors = survivors_behind(network, earlier)
        counts = survivors and survivors.counts(self.select, self.scope)
        return self._check_sparsity(counts) if counts else ()

    def _check_sparsity(self, counts: Sequence[tuple[int, int]]) -> Iterable[Problem]:
        if self.sparsity is None or any(alive > num_left(self.sparsity, total) for alive, total in counts):
            return
        there = 1 - sum(alive for alive, _ in counts) / sum(total for _, total in counts)
        what = f"masks have removed {there:.6g} of the selected weights already, and {self.sparsity:g} is asked for"
        yield Problem(("sparsity",), what, "ask for more, or leave the step out")

    def _removed(self, rounds_left: int) -> Removed:
        if self.sparsity is None:
            return removed_fraction(self._fraction)
        if self.rounds is not None and self.fraction_per_round is None:
            return removed_evenly(self.sparsity, rounds_left)
        return removed_at_most(self._fraction, self.sparsity, rounds_left)

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

    def _round(
        self, network: Network, target: dict[str, Tensor], training: Training, number: int, rounds: int, run: Run
    ) -> Network:
        masks = next_masks(network, self.select, self._removed(rounds - number + 1), self.scope)
        ticket = network.with_masks(masks).with_weights(target)
        run.note("rounds", [*run.notes().get("rounds", []), {"round": number, **density(ticket, self.select)}])
        return run.train(ticket, training, label=f"round {number} of {rounds}", start_epoch=self._start_epoch)

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
