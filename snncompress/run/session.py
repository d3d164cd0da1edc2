"""What a step may ask of the run that carries it out (the ``Run`` protocol)."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from snncompress.errors import StepError
from snncompress.measure import DataBench, batch_size_of
from snncompress.network import Network, restore, save
from snncompress.run.generators import generator_states, restore_generators
from snncompress.run.intrinsics import moved_intrinsics
from snncompress.run.training import train
from snncompress.run.watch import Watch
from snncompress.run.ways import WaysFound
from snncompress.store import write_aside
from snncompress.strategy import Strategy
from snncompress.training import Training

_GENERATORS = "generators.pt"


class StepRun:
    """Carry out one step in its work folder: train with checkpoints, remember stages, take notes."""

    def __init__(
        self,
        *,
        seed: int,
        earlier: tuple[Strategy, ...],
        bench: DataBench,
        folder: Path,
        network: Network,
        watch: Watch,
        path: str = "reference",
    ) -> None:
        self.seed = seed
        self.earlier = earlier
        self.bench = bench
        self._folder = folder
        self._before = network
        self._watch = watch
        self._labels: set[str] = set()
        self._notes: dict[str, Any] = {}
        self._ways = WaysFound(path, watch)

    def expect(self, num_epochs: int) -> None:
        """Say how many epochs this step trains in all."""
        self._watch.expect(num_epochs)

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
        """Train a copy of ``network``; see the protocol."""
        folder = self._claim(label)
        started = time.monotonic()
        trained, history = train(
            network,
            training,
            bench=self.bench,
            folder=folder,
            label=label,
            watch=self._watch,
            snapshots=snapshots,
            loss=loss,
            start_epoch=start_epoch,
            ways=self._ways,
        )
        if self._ways.found:
            self._notes["speed"] = self._ways.found.to_json()
        known = self._notes.setdefault("training", {})
        known[label] = {"epochs": history, "seconds": round(time.monotonic() - started, 3)}
        if decided := batch_size_of(self.bench.data.train):
            known[label]["batch_size"] = decided
        if moved := moved_intrinsics(network, trained):
            known[label]["neurons"] = moved
        return trained

    def stage(self, label: str, work: Callable[[], Network]) -> Network:
        """Return ``work()``, or what it returned before an interruption."""
        before = set(self._labels)
        folder = self._claim(label)
        done = folder.with_name(folder.name + ".done")
        if (done / _GENERATORS).is_file():
            kept = torch.load(done / _GENERATORS, weights_only=True)
            network = restore(done, self._before.source, self._before.host)
            network.module.to(self._before.device)
            restore_generators(kept["generators"])  # building the network has drawn from them
            self._notes = kept["notes"]
            self._labels.update(kept["labels"])
            self._watch.skip(kept["epochs"])
            return replace(network, probe=self._before.probe)
        network = work()
        kept = {
            "generators": generator_states(),
            "notes": self._notes,
            "labels": sorted(self._labels),
            "epochs": self._watch.num_done,
        }

        def fill(place: Path) -> None:
            save(network, place, snapshots=True)
            torch.save(kept, place / _GENERATORS)

        write_aside(done, fill)
        for inner in self._labels - before:  # the checkpoints of the trainings in this stage
            shutil.rmtree(self._folder / inner, ignore_errors=True)
        return network

    def note(self, name: str, value: Any) -> None:
        """Put a JSON value into the record of this step."""
        try:
            self._notes[name] = json.loads(json.dumps(value))
        except (TypeError, ValueError) as error:
            raise StepError(f"note {name!r} is no JSON value: {error}") from error

    @property
    def path(self) -> str:
        """The way in which the step has computed, also the part of it before an interruption."""
        return str(self._notes.get("speed", {}).get("path", "reference"))

    def notes(self) -> dict[str, Any]:
        """Return the notes written so far."""
        return self._notes

    def progress(self, text: str) -> None:
        """Show one line of progress."""
        self._watch.line(text)

    def _claim(self, label: str) -> Path:
        if label in self._labels:
            raise StepError(
                f"the label {label!r} is used twice in one step; give each training and stage a label of its own"
            )
        self._labels.add(label)
        return self._folder / label
