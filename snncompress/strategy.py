"""What a compression strategy is, and what it may ask of the plan and of a run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from snncompress.anatomy import Block
from snncompress.code import import_object
from snncompress.errors import ModelError
from snncompress.selectors import Inventory
from snncompress.settings import Settings
from snncompress.training import Training, optimizer_fault, smoothing_fault

if TYPE_CHECKING:
    from torch import Tensor

    from snncompress.components import Bench, Inputs
    from snncompress.network import Network, Time
    from snncompress.plugins import Host

Where = tuple[str | int, ...]


@dataclass(frozen=True)
class Problem:
    """Say what is wrong with a setting, where, and how to mend it.

    ``where`` is relative to the thing that is checked: ``("rewind_to",)`` inside a step. ``lacks`` names what no earlier
    step provides; later steps are then checked as if it were there, so that one cause is told once. What only ``warns``
    is told and hinders nothing: a step that can be done, and that can hardly be meant so.
    """

    where: Where
    what: str
    hint: str = ""
    lacks: str = ""
    warns: bool = False


@dataclass(frozen=True)
class Facts:
    """What the plan knows before anything runs.

    ``state`` holds what the network will have when the step starts: ``weights`` (they are trained),
    ``snapshot:NAME``, ``masks``. ``earlier`` are the steps before this one, ``later`` those behind it. ``host`` holds the
    plugins, where the plan is made of a pipeline. ``blocks()`` gives the recognised blocks of the network as it is before the
    first step, ``network()`` that network itself, for what follows from its structure alone: it may have no values (it is on
    the meta device then), and its probe is an empty batch. A step that compresses may have changed its sizes.
    ``loss_fault(function)`` says what is wrong with a loss of the user's own, tried on an empty output.
    """

    inventory: Inventory
    time: Time
    inputs: Inputs
    state: frozenset[str]
    earlier: tuple[Strategy, ...] = ()
    later: tuple[Strategy, ...] = ()
    host: Host | None = None
    blocks: Callable[[], tuple[Block, ...]] = tuple
    network: Callable[[], Network] | None = None
    loss_fault: Callable[[Any], str] | None = None

    def check_selector(self, terms: Sequence[str], *, where: str = "select") -> list[Problem]:
        """Return a problem for each term that matches nothing, or one if no weight is picked."""
        problems = self.check_terms(terms, where=where)
        if not problems and not self.inventory.weights(terms):
            problems.append(Problem((where,), f"selector {list(terms)!r} picks no synaptic weight", "try 'synapse'"))
        return problems

    def check_masking(self, terms: Sequence[str], *, where: str = "select") -> list[Problem]:
        """Return ``check_selector``'s problems, or one for each picked weight that no mask can hold at zero."""
        derived = () if self.check_terms(terms, where=where) else self.inventory.derived_weights(terms)
        return [Problem((where,), one.fault) for one in derived] or self.check_selector(terms, where=where)

    def check_terms(self, terms: Sequence[str], *, where: str = "select") -> list[Problem]:
        """Return a problem for each term that matches nothing, whatever it is that is to be picked."""
        return [
            Problem(
                (where,),
                f"selector {bad.term!r} matches nothing",
                f"near: {', '.join(bad.near)}" if bad.near else "see `snncompress inspect`",
            )
            for bad in self.inventory.unmatched(terms)
        ]

    def check_training(self, training: Training, *, where: tuple[str, ...] = (), start_epoch: int = 0) -> list[Problem]:
        """Return a problem for each setting that does not exist, that this network cannot serve, or that nothing obeys.

        ``start_epoch`` is the number of epochs that count as done.
        """
        faults = [optimizer_fault(training), smoothing_fault(training), *self._faults_of(training)]
        return [
            *(Problem((*where, fault[0]), *fault[1:]) for fault in faults if fault is not None),
            *_schedule_warnings(training, where, start_epoch + training.epochs),
        ]

    def _faults_of(self, training: Training) -> Iterator[tuple[str, str, str]]:
        """Yield each setting that this network or its data cannot serve: its name, what is wrong, and a hint."""
        decided = self.inputs.batch_size
        if decided is not None and "batch_size" in training.model_fields_set and training.batch_size != decided:
            what = f"the loader of the training data decides, and its batches have {decided} samples"
            yield "batch_size", what, "leave it out, or give a data set in the place of the loader"
        if training.loss == "membrane_cross_entropy" and "membranes" not in self.time.records:
            hint = "choose another loss, or declare the network's `records`"
            yield "loss", "this network records no membranes", hint
        if training.loss == "tet" and self.time.output == "averaged" and self.time.T > 1:
            yield "loss", "this network returns the mean over time, and no output for each step", "use cross_entropy"
        if ":" in training.loss:
            yield from self._own_loss_faults(training.loss)

    def _own_loss_faults(self, place: str) -> Iterator[tuple[str, str, str]]:
        try:
            loss = import_object(place)
        except ModelError as error:
            yield "loss", str(error), ""
            return
        if fault := self.loss_fault(loss) if self.loss_fault else "":
            hint = "write a function that gives your loss output.mean() or output.per_step(), and name that"
            yield "loss", f"{place!r} {fault}", hint

    def check_state(self, *needed: str, where: str, hint: str) -> list[Problem]:
        """Return a problem for each thing in ``needed`` that no earlier step provides."""
        return [
            Problem((where,), f"needs {_spoken(need)}, which no earlier step provides", hint, lacks=need)
            for need in needed
            if need not in self.state
        ]

    def check_trained(self) -> list[Problem]:
        """Return a problem if no earlier step, and no checkpoint, provides trained weights."""
        hint = "put a train step before it, or give the model a checkpoint"
        return self.check_state("weights", where="use", hint=hint)


def _schedule_warnings(training: Training, where: tuple[str, ...], num_epochs: int) -> Iterator[Problem]:
    """Yield what is given of a schedule of ``num_epochs`` and has no effect."""
    if "decay_epochs" in training.model_fields_set and training.schedule != "step":
        what = f"schedule {training.schedule!r} has no decays, so this does nothing"
        yield Problem((*where, "decay_epochs"), what, "leave it out, or set `schedule: step`", warns=True)
    if training.warmup_epochs is not None and training.warmup_epochs >= num_epochs:
        what = f"the training is all warm-up: its schedule has {num_epochs} epoch(s), so lr is never reached"
        yield Problem((*where, "warmup_epochs"), what, "warm up for less", warns=True)


def _spoken(need: str) -> str:
    kind, _, name = need.partition(":")
    return {"weights": "trained weights", "masks": "masks"}.get(kind, f"the {kind} {name!r}")


class Strategy(Settings):
    """Base of every step: frozen settings with ``check()`` and ``apply()``.

    A subclass adds ``use: Literal["family.method"] = "family.method"`` and its settings.
    """

    use: str

    compresses: ClassVar[bool] = False
    """Whether the network is smaller or cheaper afterwards; the baseline is measured before the first such step."""

    def provides(self) -> frozenset[str]:
        """Return what a network has after this step: ``weights``, ``masks``, ``snapshot:NAME``."""
        return frozenset()

    def drops(self) -> frozenset[str]:
        """Return what a network loses in this step; everything else is preserved."""
        return frozenset()

    def training(self) -> Training | None:
        """Return the training settings that later steps take over where they give none."""
        return None

    def num_epochs(self, earlier: Sequence[Strategy]) -> int:
        """Return how many epochs this step trains in all, as far as its settings and those of the steps before say.

        What is worth preparing for the whole step, such as compiled code, is decided from it once.
        """
        del earlier
        training = self.training()
        return training.epochs if training else 0

    def proves(self) -> bool | None:
        """Tell whether this step makes edits that are proved, for which the network must run in float64.

        None says that its edits are not, and that layers behind it may be others; False, that it changes values alone.
        """
        return False

    def files(self) -> tuple[Path, ...]:
        """Return the files that this step reads; what they hold is part of its key."""
        return ()

    def check(self, facts: Facts) -> Iterable[Problem]:
        """Return what is wrong with these settings for this network; called before anything runs."""
        del facts
        return ()

    def apply(self, network: Network, run: Run) -> Network:
        """Return the network after this step; never change ``network`` in place."""
        del network, run
        raise TypeError(f"{type(self).__name__} must define apply()")


class Run(Protocol):
    """What a step may ask of the run that carries it out."""

    @property
    def seed(self) -> int:
        """The seed of this step, derived from the pipeline's seed and the step's position."""

    @property
    def earlier(self) -> tuple[Strategy, ...]:
        """The steps before this one."""

    @property
    def bench(self) -> Bench:
        """The data, as metrics see them; choose nothing on the test split."""

    def expect(self, num_epochs: int) -> None:
        """Say how many epochs this step trains in all, so that progress can show the time left."""

    def train(
        self,
        network: Network,
        training: Training,
        *,
        label: str,
        snapshots: Sequence[int] = (),
        loss: Callable[..., Tensor] | None = None,
        start_epoch: int = 0,
    ) -> Network:
        """Train a copy of ``network`` with a new optimiser; masks hold, every epoch is a checkpoint.

        Args:
            network: what to train.
            training: epochs, optimiser, schedule, loss.
            label: name of this training within the step, unique there; progress shows it.
            snapshots: epochs after which the weights are kept as ``epoch-N``; 0 is before the first.
            loss: a function (output, labels_B) that takes the place of ``training.loss``.
            start_epoch: epochs that count as done for the learning-rate schedule.
        """

    def stage(self, label: str, work: Callable[[], Network]) -> Network:
        """Return ``work()``, or what it returned before an interruption; labels are unique in a step."""

    def note(self, name: str, value: Any) -> None:
        """Put a JSON value under ``name`` into the record of this step."""

    def notes(self) -> dict[str, Any]:
        """Return the notes written so far."""

    def progress(self, text: str) -> None:
        """Show one line of progress."""
