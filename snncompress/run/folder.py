"""The folder of a run: whose results it holds, and which folder a run may write to."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from snncompress.errors import InputError, listed
from snncompress.plan import Plan, canonical, key_of, seed_folder
from snncompress.record import PIPELINE_FILE, PLAN_FILE, RECORD_FILE, SWEEP_FILE
from snncompress.run.execute import described
from snncompress.run.result import require_folder
from snncompress.run.watch import Watch

if TYPE_CHECKING:
    from filelock import FileLock

    from snncompress.pipeline import Source
    from snncompress.plugins import Host
    from snncompress.store import Store

Kind = Literal["one run", "several seeds", "a sweep"]

_NOT_COMPARED = ("version", "seeds", "measure", "measure_steps", "budget", "export", "report")
"""Settings that change no network; what was measured is looked at by itself."""

_BATCH_SIZE = ".batch_size"
"""A setting that is no part of results where a loader of the user's own decided the batch size."""

_MOST_NAMED = 3


@dataclass(frozen=True)
class Results:
    """What one folder holds, or will hold.

    Attributes:
        kind: one run, the summary of several seeds, or a sweep.
        settings: everything that decides what the networks become, each by its path in the pipeline, as JSON.
        measured: the entries of ``measure``, as JSON.
        parts: the folders inside that belong to it.
    """

    kind: Kind
    settings: Mapping[str, str]
    measured: frozenset[str] = frozenset()
    parts: frozenset[str] = frozenset()

    @classmethod
    def of(
        cls,
        kind: Kind,
        pipeline: Mapping[str, Any],
        content: Mapping[str, str] | None = None,
        parts: Iterable[str] = (),
    ) -> Results:
        """Describe the results of a pipeline, given as a record has it."""
        chosen = {key: value for key, value in pipeline.items() if key not in _NOT_COMPARED}
        if kind == "several seeds":
            chosen.pop("seed", None)
        measured = frozenset(canonical(entry) for entry in pipeline.get("measure", ()))
        if pipeline.get("measure_steps") == "all":
            measured |= {canonical("values after every step")}
        return cls(kind, {**dict(_flat(chosen)), **(content or {})}, measured, frozenset(parts))

    def lost_in(self, other: Results) -> str:
        """Say what would be lost if ``other`` were written over these; nothing where they are the same or fewer."""
        if self.kind != other.kind:
            return f"{self.kind}, not {other.kind}"
        known = {*self.settings, *other.settings}
        if not all(name in self.settings for name in _CONTENT):  # written before content was noted
            known -= set(_CONTENT)
        known -= {name for name in known if name.endswith(_BATCH_SIZE) and name not in self.settings}
        names = [name for name in sorted(known) if self.settings.get(name) != other.settings.get(name)]
        if names:
            return f"{listed(names, _MOST_NAMED)} differ{'s' if len(names) == 1 else ''}"
        if missing := sorted(self.measured - other.measured):
            return f"measured there and not here: {listed([_use(text) for text in missing], _MOST_NAMED)}"
        if missing := sorted(self.parts - other.parts):
            return f"only there: {listed(missing, _MOST_NAMED)}"
        return ""


Layout = Mapping[str, Results]
"""What a run will write, by the folder relative to its own; its own is ``""``."""

_CONTENT = ("weights", "code", "samples")


def of_plan(plan: Plan) -> Results:
    """Return what one run will hold."""
    return Results.of("one run", described(plan.pipeline), plan.content)


def planned(source: Source, plans: Sequence[Plan]) -> dict[str, Results]:
    """Return what the folder of a pipeline will hold, of one seed or several."""
    return {"": of_plan(plans[0])} if source.pipeline.seeds is None else of_plans(plans)


def of_plans(plans: Sequence[Plan]) -> dict[str, Results]:
    """Return what the folder around several seeds will hold."""
    runs = {seed_folder(plan.pipeline.seed): of_plan(plan) for plan in plans}
    return {"": Results.of("several seeds", described(plans[0].pipeline), parts=runs), **runs}


def of_sweep(combinations: Mapping[str, Layout]) -> dict[str, Results]:
    """Return what the folder of a sweep will hold, from what each combination will."""
    inside = {
        f"{name}/{place}".rstrip("/"): results
        for name, layout in combinations.items()
        for place, results in layout.items()
    }
    return {"": Results("a sweep", {}, parts=frozenset(combinations)), **inside}


@contextmanager
def run_folder(asked: Path, layout: Layout, store: Store, host: Host, *, overwrite: bool) -> Iterator[Path]:
    """Hold the folder that a run may write to: the one that is asked for, or it with a number.

    That is the folder that holds results of this very pipeline, else the first that holds none. No other process that uses
    the store gets it meanwhile; one with the same pipeline waits.

    Args:
        asked: the folder that the user, or the pipeline's name, asks for.
        layout: what the run will write.
        store: where processes meet.
        host: the plugins, whose reports are removed too where results are overwritten.
        overwrite: whether results of another pipeline in ``asked`` are removed.
    """
    require_folder("store", store.folder)
    tell = Watch().line  # also of a silent run: it would else be looked for in a folder that it is not in
    place, lock = _taken(asked, layout, store, tell, overwrite=overwrite)
    try:
        why = _lost(asked, layout)
        if place != asked:
            tell(_why_not(asked, place, layout, why))
        elif why:
            _clear(place, layout, [reporter.file_name for reporter in host.catalogue["reporters"].values()])
        yield place
    finally:
        lock.release()


def _why_not(asked: Path, place: Path, layout: Layout, why: str) -> str:
    goes = f"this run goes to {str(place)!r}"
    if why:
        found = f"{str(asked)!r} holds the results of another pipeline ({why})"
        return f"{found}; {goes}, --overwrite (overwrite=True) replaces them"
    if _holds_any(place, layout):
        return f"{goes}, which holds earlier results of this pipeline"
    return f"{str(asked)!r} is being written by another process; {goes}"


def _taken(
    asked: Path, layout: Layout, store: Store, tell: Callable[[str], object], *, overwrite: bool
) -> tuple[Path, FileLock]:
    mine = key_of({place: canonical([one.kind, dict(one.settings)]) for place, one in layout.items()})
    while True:
        with store.lock(key_of({"choosing a folder": str(asked.resolve())})):
            for place, must_wait in _places(asked, layout, overwrite=overwrite):
                key = key_of({"run folder": str(place.resolve())})
                if (lock := store.take(key)) is not None:
                    store.remember(f"folders/{key}", {"pipeline": mine})
                    return place, lock
                if must_wait or (store.last(f"folders/{key}") or {}).get("pipeline") == mine:
                    break
        with store.lock(key, partial(tell, f"waiting for another process that writes to {str(place)!r}")):
            pass


def _places(asked: Path, layout: Layout, *, overwrite: bool) -> Iterator[tuple[Path, bool]]:
    """Yield the folders that may be taken, best first, and whether there is no other to go to."""
    if overwrite:
        yield asked, True
        return
    own = [place for place in _numbered_before(asked) if _holds_any(place, layout) and not _lost(place, layout)]
    yield from ((place, True) for place in own)
    yield from ((place, False) for place in _numbered(asked) if not _holds_any(place, layout))


def _numbered(asked: Path) -> Iterator[Path]:
    yield asked
    if asked.name in ("", ".."):
        raise InputError(
            f"{str(asked)!r} holds the results of another pipeline and has no name that a number could follow; "
            "give another output, or --overwrite (overwrite=True)"
        )
    yield from (asked.with_name(f"{asked.name}-{number}") for number in count(2))


def _numbered_before(asked: Path) -> list[Path]:
    """Return the folder and those with its name and a number that are there, in order."""
    prefix = f"{asked.name}-"
    there = asked.parent.glob("*") if asked.name not in ("", "..") and asked.parent.is_dir() else ()
    numbers = [place.name.removeprefix(prefix) for place in there if place.name.startswith(prefix)]
    found = sorted(int(text) for text in numbers if text.isascii() and text.isdigit() and not text.startswith("0"))
    return [asked, *(asked.with_name(f"{prefix}{number}") for number in found if number > 1)]


def _holds_any(folder: Path, layout: Layout) -> bool:
    return next(_held(folder, layout), None) is not None


def _lost(folder: Path, layout: Layout) -> str:
    """Say what would be lost in a folder where the layout is written; nothing where nothing would."""
    for place, found in _held(folder, layout):
        if isinstance(found, str):
            return found
        if place not in layout:
            return f"it holds {place!r}"
        if why := found.lost_in(layout[place]):
            return why
    return ""


def _held(folder: Path, layout: Layout) -> Iterator[tuple[str, Results | str]]:
    """Yield the results in a folder and in those inside that belong to it; of what cannot be read, why."""
    left, seen = ["", *layout, *(place.name for place in sorted(folder.glob("seed-*")))], set[str]()
    while left:
        place = left.pop(0)
        if place in seen:
            continue
        seen.add(place)
        for found in _read(folder / place):
            yield place, found
            if isinstance(found, Results):
                left += [f"{place}/{part}".lstrip("/") for part in sorted(found.parts)]


def _read(folder: Path) -> Iterator[Results | str]:
    for name, read in ((RECORD_FILE, _of_record), (SWEEP_FILE, _of_sweep_file)):
        try:
            found = read(folder) if (folder / name).is_file() else None
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            yield f"its {name} cannot be read"
        else:
            yield from [] if found is None else [found]


def _of_record(folder: Path) -> Results:
    record = json.loads((folder / RECORD_FILE).read_text(encoding="utf-8"))
    if "seeds" in record:
        return Results.of("several seeds", record["pipeline"], parts=record["runs"])
    plan = folder / PLAN_FILE
    content = json.loads(plan.read_text(encoding="utf-8")).get("content") if plan.is_file() else None
    found = Results.of("one run", record["pipeline"], content)
    decided = tuple(f"steps.{index}." for index, step in enumerate(record["steps"]) if _loader_decided(step))
    kept = {
        name: value
        for name, value in found.settings.items()
        if not (name.endswith(_BATCH_SIZE) and name.startswith(decided))
    }
    return replace(found, settings=kept)


def _loader_decided(step: Mapping[str, Any]) -> bool:
    return any("batch_size" in training for training in step["notes"].get("training", {}).values())


def _of_sweep_file(folder: Path) -> Results:
    known = json.loads((folder / SWEEP_FILE).read_text(encoding="utf-8"))
    done = [one["folder"] for one in known["combinations"] if one.get("failed") is None]
    return Results("a sweep", {}, parts=frozenset(done))


def _clear(folder: Path, layout: Layout, reports: Sequence[str]) -> None:
    """Remove what runs have written, and nothing else."""
    inside = {place for place, _ in _held(folder, layout)}
    for place in sorted(inside, key=len, reverse=True):
        whole = folder / place
        for name in (RECORD_FILE, SWEEP_FILE, PLAN_FILE, PIPELINE_FILE, *reports):
            (whole / name).unlink(missing_ok=True)
        for name in ("final", "export"):
            shutil.rmtree(whole / name, ignore_errors=True)
        if place and not any(whole.iterdir()):
            whole.rmdir()


def _flat(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping) and value:
        for key, entry in value.items():
            yield from _flat(entry, f"{path}.{key}".lstrip("."))
    elif isinstance(value, (list, tuple)) and value and any(isinstance(entry, Mapping) for entry in value):
        for index, entry in enumerate(value):
            yield from _flat(entry, f"{path}.{index}")
    else:
        yield path, canonical(value)


def _use(entry: str) -> str:
    known = json.loads(entry)
    return str(known.get("use", entry)) if isinstance(known, dict) else str(known)
