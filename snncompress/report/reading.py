"""From folders to records, summaries and the entries of a comparison."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from snncompress.errors import InputError
from snncompress.record import RECORD_FILE, SWEEP_FILE, Combination, Record, Summary, Sweep
from snncompress.report.comparison import Entry
from snncompress.report.judging import MIN_ENTRIES
from snncompress.report.statistics import spread
from snncompress.report.summary import summarised

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


def entry_of(result: Record | Summary, folder: Path, **more: Any) -> Entry:
    """Return the entry of a record or a summary in ``folder``."""
    records = [result] if isinstance(result, Record) else _records(result, folder)
    values = (
        {name: summarised([value]) for name, value in result.final.items()}
        if isinstance(result, Record)
        else result.final
    )
    whole: dict[str, Any] = {
        "name": result.name,
        "folder": str(folder),
        "seeds": (result.seed,) if isinstance(result, Record) else result.seeds,
        "data": _data(result.pipeline),
        "values": values,
        "energies": _energies(records),
    }
    return Entry(**(whole | more))


def combined(combination: Combination, folder: Path) -> Entry:
    """Return the entry of one combination of the sweep in ``folder``."""
    place = folder / combination.folder
    if combination.failed is not None:
        return Entry(name=combination.name, folder=str(place), settings=combination.settings, failed=combination.failed)
    return entry_of(read_result(place), place, name=combination.name, settings=combination.settings)


def _entries(path: Path) -> Iterator[Entry]:
    if (path / SWEEP_FILE).is_file() or (path.name == SWEEP_FILE and path.is_file()):
        folder = path if path.is_dir() else path.parent
        yield from (combined(combination, folder) for combination in read_sweep(path).combinations)
    else:
        result = read_result(path)
        yield entry_of(result, path if path.is_dir() else path.parent)


def _records(summary: Summary, folder: Path) -> list[Record]:
    """Return the records behind a summary, none if some have been moved or deleted."""
    places = [folder / run for run in summary.runs]
    if not all((place / RECORD_FILE).is_file() for place in places):
        return []
    return [record for place in places if isinstance(record := read_result(place), Record)]


def _energies(records: Sequence[Record]) -> dict[str, Any]:
    """Return the spread of each energy model's mJ over records that have the measurement ``energy``."""
    models: dict[str, list[float | None]] = {}
    for index, record in enumerate(records):
        detail = record.final["energy"].detail if "energy" in record.final else None
        for model in (detail or {}).get("models", ()):
            models.setdefault(model["name"], [None] * len(records))[index] = model["mj"]
    return {name: spread(values) for name, values in models.items()}


def _data(pipeline: Mapping[str, Any]) -> dict[str, Any]:
    data = pipeline.get("data", {})
    return dict(data) if isinstance(data, Mapping) else {"use": data}


def _told_apart(entries: Sequence[Entry]) -> tuple[Entry, ...]:
    """Call entries that share a name by their folders, as much of them as tells them apart."""
    names = [entry.name for entry in entries]
    folders = [Path(entry.folder).resolve() for entry in entries]
    if len(set(folders)) < len(folders):
        raise InputError("the same run is given twice; give each once")
    if len(set(names)) == len(names):
        return tuple(entries)
    for depth in range(1, 1 + max(len(folder.parts) for folder in folders)):
        tails = ["/".join(folder.parts[-depth:]) for folder in folders]
        chosen = [name if names.count(name) == 1 else tail for name, tail in zip(names, tails, strict=True)]
        if len(set(chosen)) == len(chosen):
            break
    return tuple(entry.model_copy(update={"name": name}) for entry, name in zip(entries, chosen, strict=True))


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
