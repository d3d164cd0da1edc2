"""The resumable training loop: every epoch is a checkpoint, and a resumed training ends bit-equal."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from snncompress.errors import StepError
from snncompress.measure import Batches, DataBench, generators_of, loader_of, predict
from snncompress.measure.memory import freed_memory_kept
from snncompress.network import Network, Output
from snncompress.run.generators import generator_states, restore_generators
from snncompress.run.losses import Loss, loss_of
from snncompress.run.optimizers import make_optimizer, make_scheduler
from snncompress.run.watch import Watch
from snncompress.run.ways import WaysFound
from snncompress.training import Training

_CHECKPOINT = "training.pt"


@dataclass
class Progress:
    """What a training has reached: everything that its checkpoint holds besides weights and optimiser."""

    epoch: int = 0
    history: list[dict[str, float | None]] = field(default_factory=list)
    snapshots: dict[str, dict[str, Tensor]] = field(default_factory=dict)


def train(
    network: Network,
    training: Training,
    *,
    bench: DataBench,
    folder: Path,
    label: str,
    watch: Watch,
    snapshots: Sequence[int] = (),
    loss: Callable[..., Tensor] | None = None,
    start_epoch: int = 0,
    ways: WaysFound | None = None,
) -> tuple[Network, list[dict[str, float | None]]]:
    """Train a copy of ``network`` and return it with the history of its epochs.

    ``folder`` holds the checkpoint; if one is there, training goes on behind it. Masks hold throughout. ``ways`` finds the
    fast way through the network; by default it goes its library's own way.
    """
    session = _Session(network.copy(), training, bench, loss or loss_of(training), start_epoch, ways)
    progress = session.resume(folder / _CHECKPOINT)
    watch.resumed(progress.epoch)
    if not progress.epoch and 0 in snapshots:
        progress.snapshots["epoch-0"] = _weights(session.network)
    with freed_memory_kept(), session.network.hold_masks(session.optimizer):
        while progress.epoch < training.epochs:
            watch.begin_epoch()
            begun = partial(watch.batch, label, progress.epoch + 1, training.epochs)
            progress = session.epoch(progress, snapshots, begun)
            session.write(folder / _CHECKPOINT, progress)
            watch.epoch(label, progress.epoch, training.epochs, _spoken(progress.history[-1]))
    session.network.reset()
    trained = session.network
    return replace(trained, fast=None, snapshots={**trained.snapshots, **progress.snapshots}), progress.history


class _Session:
    """One training with its optimiser, schedule and loader."""

    def __init__(
        self,
        network: Network,
        training: Training,
        bench: DataBench,
        loss: Loss,
        start_epoch: int,
        ways: WaysFound | None,
    ) -> None:
        self.training = training
        self.bench = bench
        self.loss = loss
        self.loader = loader_of(bench.data.train, training.batch_size, shuffle=True)
        self.start = start_epoch * len(self.loader)
        self.accelerator = _accelerator(bench.device, training.precision)
        self.device = torch.device(bench.device)  # accelerate knows no cuda:1
        network.module.to(self.device)
        self.network = ways.through(network) if ways else network
        self.optimizer = make_optimizer(network, training)
        self.scheduler = make_scheduler(
            self.optimizer, training, num_epochs=start_epoch + training.epochs, steps_per_epoch=len(self.loader)
        )

    def epoch(self, progress: Progress, snapshots: Sequence[int], told: Callable[[int, int], None]) -> Progress:
        started = time.monotonic()
        loss = self._pass(self.start + progress.epoch * len(self.loader), told)
        number = progress.epoch + 1
        accuracy = predict(self.network, self.bench, "validation").accuracy if len(self.bench.data.validation) else None
        entry = {
            "epoch": number,
            "loss": loss,
            "validation_accuracy": accuracy,
            "seconds": round(time.monotonic() - started, 3),
        }
        kept = {**progress.snapshots, **({f"epoch-{number}": _weights(self.network)} if number in snapshots else {})}
        return Progress(number, [*progress.history, entry], kept)

    def _pass(self, first_update: int, told: Callable[[int, int], None]) -> float:
        network, total, count = self.network, 0.0, 0
        network.module.train()
        network.reset()
        generator = torch.Generator().manual_seed(int(torch.randint(2**62, (1,))))
        for number, (x_B, y_B) in enumerate(Batches(self.loader, "train", self.bench.data.inputs)):
            self.scheduler.step_update(first_update + number)
            labels_B = y_B.to(self.device)
            with self.accelerator.autocast():
                output = network.forward(self.bench.encode(network, x_B, generator).to(self.device))
            loss = self.loss(_in_float32(output), labels_B)
            auxiliary = network.auxiliary_loss()
            self._update(loss if auxiliary is None else loss + auxiliary)
            network.reset()
            value = float(loss.detach())
            if value != value or value in (float("inf"), float("-inf")):  # noqa: PLR0124 - not a number
                raise StepError(
                    f"the loss is {value} at batch {number + 1} of {len(self.loader)}; lower lr, or set clip_gradient"
                )
            total, count = total + value * len(labels_B), count + len(labels_B)
            told(number + 1, len(self.loader))
        return total / max(1, count)

    def _update(self, loss: Tensor) -> None:
        self.optimizer.zero_grad()
        self.accelerator.backward(loss)
        if self.training.clip_gradient is not None:
            torch.nn.utils.clip_grad_norm_(self.network.module.parameters(), self.training.clip_gradient)
        self.optimizer.step()

    def resume(self, file: Path) -> Progress:
        if not file.is_file():
            for generator in generators_of(self.loader):  # so that a user's loader depends on the step's seed alone
                generator.manual_seed(int(torch.randint(2**62, (1,))))
            return Progress()
        state: dict[str, Any] = torch.load(file, map_location=self.device, weights_only=True)
        self.network.module.load_state_dict(state["module"])
        self.optimizer.load_state_dict(state["optimizer"])
        restore_generators(_on_cpu(state["generators"]))
        for generator, kept in zip(generators_of(self.loader), state["loader"], strict=True):
            generator.set_state(kept.cpu())
        return Progress(state["epoch"], state["history"], _on_cpu(state["snapshots"]))

    def write(self, file: Path, progress: Progress) -> None:
        state = {
            "epoch": progress.epoch,
            "history": progress.history,
            "snapshots": progress.snapshots,
            "module": self.network.module.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "generators": generator_states(),
            "loader": [generator.get_state() for generator in generators_of(self.loader)],
        }
        file.parent.mkdir(parents=True, exist_ok=True)
        aside = file.with_suffix(".aside")
        with aside.open("wb") as opened:
            torch.save(state, opened)
            opened.flush()
            os.fsync(opened.fileno())
        aside.replace(file)


def _accelerator(device: str, precision: str) -> Any:
    from accelerate import Accelerator
    from accelerate.state import AcceleratorState

    AcceleratorState._reset_state(reset_partial_state=True)  # noqa: SLF001 - it is global and refuses another precision
    mixed = {"float32": "no", "bfloat16": "bf16"}[precision]
    return Accelerator(cpu=device == "cpu", mixed_precision=mixed)


def _in_float32(output: Output) -> Output:
    membranes = None if output.membranes is None else _lifted(output.membranes)
    return replace(output, logits=_lifted(output.logits), membranes=membranes)


def _lifted(value: Tensor) -> Tensor:
    return value.float() if value.dtype is torch.bfloat16 else value


def _weights(network: Network) -> dict[str, Tensor]:
    return {name: value.detach().cpu().clone() for name, value in network.tensors.items()}


def _on_cpu(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value.cpu()
    if isinstance(value, dict):
        return {key: _on_cpu(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_on_cpu(item) for item in value)
    return value


def _spoken(entry: dict[str, float | None]) -> str:
    accuracy = entry["validation_accuracy"]
    shown = "" if accuracy is None else f", validation accuracy {accuracy:.3f}"
    return f"loss {entry['loss']:.4f}{shown}"
