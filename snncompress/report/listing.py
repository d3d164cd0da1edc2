"""The finished runs below a folder, a line each."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from snncompress.errors import InputError
from snncompress.record import RECORD_FILE, SWEEP_FILE, Record, Spread, Summary, Sweep
from snncompress.report.reading import read_result, read_sweep
from snncompress.report.statistics import spread
from snncompress.report.verdicts import QUALITY


class FinishedRun(BaseModel):
    """What one line says of a run, of several seeds, or of a sweep.

    Attributes:
        folder: where it stands.
        kind: what it is; ``unreadable`` where the folder holds something that cannot be read.
        when: when it was last written, in the time of this machine.
        network: the model, or the function that builds it.
        seeds: the seed of each run.
        accuracy: the final accuracy, None where it was not measured.
        budgets: how many there are.
        budgets_met: how many of them were met.
        combinations: of a sweep, how many there are; each stands in a line of its own where it has results.
        why: what is wrong with what cannot be read.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    folder: str
    kind: Literal["run", "seeds", "sweep", "unreadable"]
    when: datetime
    name: str = ""
    network: str = ""
    data: str = ""
    seeds: tuple[int, ...] = ()
    accuracy: Spread | None = None
    budgets: int = 0
    budgets_met: int = 0
    combinations: int | None = None
    why: str | None = None


def finished_runs(folder: Path) -> tuple[FinishedRun, ...]:
    """List the runs in a folder and below, the oldest first; what cannot be read is listed as such.

    The runs of several seeds are one entry, the combinations of a sweep follow it.
    """
    if not folder.is_dir():
        what = "is a file" if folder.exists() else "does not exist"
        raise InputError(f"{str(folder)!r} {what}; give a folder of runs")
    found = tuple(_below(folder))
    sweeps = {Path(one.folder): one.when for one in found if one.kind == "sweep"}

    def order(one: FinishedRun) -> tuple[datetime, str, bool, datetime, str]:
        around = next((place for place in (Path(one.folder), *Path(one.folder).parents) if place in sweeps), None)
        return (
            sweeps[around] if around else one.when,
            str(around or one.folder),
            one.kind != "sweep",
            one.when,
            one.folder,
        )

    return tuple(sorted(found, key=order))


def _below(folder: Path) -> Iterator[FinishedRun]:
    closed = list[OSError]()
    for place, inside, files in os.walk(folder, onerror=closed.append):
        inside[:] = [name for name in inside if not name.startswith(".")]
        if SWEEP_FILE in files:
            yield _entry(Path(place), SWEEP_FILE)
        if RECORD_FILE in files:
            yield _entry(Path(place), RECORD_FILE)
            inside.clear()
    for error in closed:
        yield FinishedRun(
            folder=str(error.filename), when=_when(Path(error.filename)), kind="unreadable", why=str(error)
        )


def _entry(folder: Path, name: str) -> FinishedRun:
    when = _when(folder / name)
    try:
        found = read_sweep(folder) if name == SWEEP_FILE else read_result(folder)
        about = _of_sweep(found) if isinstance(found, Sweep) else _of_result(found)
        return FinishedRun(folder=str(folder), when=when, **about)
    except (InputError, OSError) as error:
        return FinishedRun(folder=str(folder), when=when, kind="unreadable", why=str(error))


def _when(file: Path) -> datetime:
    return datetime.fromtimestamp(file.lstat().st_mtime).astimezone().replace(microsecond=0)


def _of_sweep(found: Sweep) -> dict[str, Any]:
    return {"kind": "sweep", "name": found.name, "combinations": len(found.combinations)}


def _of_result(found: Record | Summary) -> dict[str, Any]:
    return {
        "kind": "run" if isinstance(found, Record) else "seeds",
        "name": found.name,
        "network": _called(found.pipeline.get("model")),
        "data": _called(found.pipeline.get("data")),
        "seeds": (found.seed,) if isinstance(found, Record) else found.seeds,
        "accuracy": _accuracy(found),
        "budgets": len(found.budget),
        "budgets_met": sum(entry.met for entry in found.budget),
    }


def _accuracy(found: Record | Summary) -> Spread | None:
    if isinstance(found, Record):
        return spread([found.final[QUALITY].value]) if QUALITY in found.final else None
    return found.final[QUALITY].spread if QUALITY in found.final else None


def _called(section: Any) -> str:
    """Return what a user calls a model or a data set."""
    known = section if isinstance(section, Mapping) else {"use": section}
    use = str(known.get("use", "?"))
    if use != "python":
        return f"file:{known['folder']}" if use == "file" and "folder" in known else use
    return str(known.get("function", "in hand"))
