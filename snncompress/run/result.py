"""What a run leaves behind, and how one plan is carried out into its folder."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from snncompress.errors import InputError
from snncompress.notebook import framed
from snncompress.plan import Plan
from snncompress.record import Record
from snncompress.run.execute import Execution
from snncompress.run.watch import Watch
from snncompress.store import Store

if TYPE_CHECKING:
    from snncompress.network import Network

RUNS, STORE = Path("runs"), Path("runs/.store")


@dataclass(frozen=True, repr=False)
class Result:
    """What a run left behind: its record, its folder, and the network."""

    record: Record
    folder: Path
    plan: Plan

    @cached_property
    def network(self) -> Network:
        """The compressed network, loaded from the run's artifact."""
        from snncompress.network import open_architecture, restore

        source = open_architecture(
            self.plan.pipeline.model, self.plan.host, timesteps=self.plan.pipeline.timesteps
        ).source
        return restore(self.folder / "final", source, self.plan.host)

    def __str__(self) -> str:
        """Return a few lines: the steps, the values, and the folder."""
        return f"{self.record}\nin {self.folder}"

    def __repr__(self) -> str:
        return f"Result(name={self.record.name!r}, folder={str(self.folder)!r})"

    def _repr_html_(self) -> str | None:
        return framed(self.record, "render")


def executed(plan: Plan, store: Store, folder: Path, device: str, *, silent: bool, told: str = "") -> Result:
    """Carry out one plan into a folder that is the run's own; ``told`` is shown before it."""
    require_folder("output", folder)
    watch = Watch(silent=silent)
    if told:
        watch.line(told)
    try:
        record = Execution(plan, store, folder, device, watch).run()
    finally:
        watch.close()
    return Result(record, folder, plan)


def require_device(name: str) -> None:
    """Raise InputError unless tensors can be made on a device."""
    if name == "cpu":
        return
    import torch

    try:
        torch.ones(1, device=name)
    except (RuntimeError, AssertionError, TypeError) as error:
        raise InputError(
            f"device {name!r} cannot be used here: {str(error).splitlines()[0].partition('. ')[0]}"
        ) from error


def require_folder(name: str, folder: Path) -> None:
    """Make a folder; raise InputError if something else is in its place."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"{name} {str(folder)!r} cannot be a folder: {(error.strerror or str(error)).lower()}"
        ) from error
