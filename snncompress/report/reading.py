"""From folders to records, summaries and the entries of a comparison."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from snncompress.errors import InputError
from snncompress.record import RECORD_FILE, SWEEP_FILE, Combination, Record, Summary, Sweep
from snncompress.report.comparison import Entry
from snncompress.report.entries import Findings, dense_entries
from snncompress.report.judging import MIN_ENTRIES

_VERSION = 1
_Model = TypeVar("_Model", Record, Summary, Sweep)


def read_result(path: Path) -> Record | Summary:
    """Read the record of a run, or the summary of several; raise InputError if there is none that can be read."""
    file = path / RECORD_FILE if path.is_dir() else path
    if not file.is_file():
        hint = "compare shows a sweep" if (path / SWEEP_FILE).is_file() else "give the folder of a finished run"
        raise InputError(f"{str(path)!r} holds no {RECORD_FILE}; {hint}")
    data = _json(file)
    is_summary = isinstance(data, dict) and "seeds" in data
    return _checked(file, data, Summary) if is_summary else _checked(file, data, Record)


def read_sweep(path: Path) -> Sweep:
    """Read what a sweep's folder says of it."""
    file = path / SWEEP_FILE if path.is_dir() else path
    return _checked(file, _json(file), Sweep)


def read_entries(paths: Sequence[Path]) -> tuple[Entry, ...]:
    """Return the entries of run, summary and sweep folders, with names unlike each other.

    Raises:
        InputError: if a folder has no record that can be read, or there are fewer than two entries.
    """
    found = [entry for path in paths for entry in _entries(path)]
    if len(found) < MIN_ENTRIES:
        raise InputError("a comparison needs two runs or more; give two folders of finished runs, or that of a sweep")
    return _told_apart(found)


def read_swept(folder: Path, sweep: Sweep | None = None) -> tuple[Entry, ...]:
    """Return the entries of a sweep: the dense network that its runs compress, once, and then every combination."""
    known = {one.name: one for one in (sweep or read_sweep(folder)).combinations}
    found = {name: _findings(folder / one.folder) for name, one in known.items() if one.failed is None}
    dense = dense_entries([(known[name], findings) for name, findings in found.items()], str(folder))
    return (*dense, *(_combined(one, found.get(name), folder) for name, one in known.items()))


def _combined(combination: Combination, findings: Findings | None, folder: Path) -> Entry:
    known: dict[str, Any] = {"name": combination.name, "settings": combination.settings}
    if findings is None:
        return Entry(folder=str(folder / combination.folder), failed=combination.failed, **known)
    return findings.entry(**known)


def _entries(path: Path) -> tuple[Entry, ...]:
    if (path / SWEEP_FILE).is_file() or (path.name == SWEEP_FILE and path.is_file()):
        return read_swept(path if path.is_dir() else path.parent)
    return (_findings(path).entry(),)


def _findings(path: Path) -> Findings:
    result, folder = read_result(path), path if path.is_dir() else path.parent
    return Findings(result, [result] if isinstance(result, Record) else _records(result, folder), str(folder))


def _records(summary: Summary, folder: Path) -> list[Record]:
    """Return the records behind a summary, none if some have been moved or deleted."""
    places = [folder / run for run in summary.runs]
    if not all((place / RECORD_FILE).is_file() for place in places):
        return []
    return [record for place in places if isinstance(record := read_result(place), Record)]


def _told_apart(entries: Sequence[Entry]) -> tuple[Entry, ...]:
    """Call entries that share a name by their folders, as much of them as tells them apart."""
    names = [entry.name for entry in entries]
    folders = [Path(entry.folder).resolve() for entry in entries]
    if len({(folder, entry.dense and entry.name) for folder, entry in zip(folders, entries, strict=True)}) < len(names):
        raise InputError("the same run is given twice; give each once")
    if len(set(names)) == len(names):
        return tuple(entries)
    for depth in range(1, 1 + max(len(folder.parts) for folder in folders)):
        tails = [_tail(entry, folder, depth) for entry, folder in zip(entries, folders, strict=True)]
        chosen = [name if names.count(name) == 1 else tail for name, tail in zip(names, tails, strict=True)]
        if len(set(chosen)) == len(chosen):
            break
    return tuple(entry.model_copy(update={"name": name}) for entry, name in zip(entries, chosen, strict=True))


def _tail(entry: Entry, folder: Path, depth: int) -> str:
    """Return the end of a folder's path; a dense network's is that of its sweep, one above those of the runs."""
    if entry.dense:
        return f"{entry.name} of {'/'.join(folder.parts[-max(1, depth - 1) :])}"
    return "/".join(folder.parts[-depth:])


def _json(file: Path) -> Any:
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{str(file)!r} is no record that this snncompress reads: {error}") from error


def _checked(file: Path, data: Any, model: type[_Model]) -> _Model:
    version = data.get("version", _VERSION) if isinstance(data, dict) else _VERSION
    if version != _VERSION:
        raise InputError(
            f"{str(file)!r} is of version {version!r}, and this snncompress reads version {_VERSION}; install another"
        )
    try:
        return model.model_validate_json(json.dumps(data))
    except ValidationError as error:
        raise InputError(f"{str(file)!r} is no record that this snncompress reads: {_first(error)}") from error


def _first(error: ValidationError) -> str:
    problem = error.errors(include_url=False)[0]
    return ": ".join([*map(str, problem["loc"]), problem["msg"]])
