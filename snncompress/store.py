"""The step store: one folder per key, written aside and renamed, shared by every pipeline."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from snncompress.record import Measurement

_INFO, _FILES = "step.json", "files"


class Store:
    """Keep finished steps, measurements, and what an interrupted step has reached."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def place(self, key: str) -> Path:
        """Return the folder of a key, whether it is there or not."""
        return self.folder / key[:2] / key

    def has(self, key: str) -> bool:
        """Tell whether a step is finished; one that a crash or a hand left damaged or with files missing is not."""
        found = _read_json(self.place(key) / _INFO)
        return found is not None and found[_FILES] == _sizes(self.place(key))

    def info(self, key: str) -> dict[str, Any]:
        """Return what was kept about a finished step: notes, seconds, parts of the key."""
        found: dict[str, Any] = json.loads((self.place(key) / _INFO).read_text(encoding="utf-8"))
        return {name: value for name, value in found.items() if name != _FILES}

    def finish(self, key: str, info: Mapping[str, Any], write: Callable[[Path], object]) -> None:
        """Keep a finished step: ``write`` fills a folder aside, which then takes its place; its work folder goes."""

        def fill(folder: Path) -> None:
            write(folder)
            _write_json(folder / _INFO, {**info, _FILES: _sizes(folder)})

        write_aside(self.place(key), fill)
        for left in (self.work(key), *self.place(key).parent.glob(f"{key}.aside-*")):  # of processes that were killed
            shutil.rmtree(left, ignore_errors=True)

    def work(self, key: str) -> Path:
        """Return the folder in which an unfinished step keeps its checkpoints."""
        return self.place(key).with_suffix(".work")

    def measurement(self, key: str) -> dict[str, Measurement] | None:
        """Return a measurement by its own key, if it has been made."""
        found = _read_json(self._measurement_file(key))
        return None if found is None else {name: Measurement.model_validate(data) for name, data in found.items()}

    def keep_measurement(self, key: str, values: Mapping[str, Measurement]) -> None:
        """Keep a measurement under its own key."""
        file = self._measurement_file(key)
        file.parent.mkdir(parents=True, exist_ok=True)
        replace_json(file, {name: value.model_dump(mode="json") for name, value in values.items()})

    @contextmanager
    def lock(self, key: str, waiting: Callable[[], object] = lambda: None) -> Iterator[None]:
        """Let one process at a time work on a key; ``waiting`` is called where another one does."""
        self.place(key).parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self.place(key).with_suffix(".lock"))
        try:
            lock.acquire(timeout=0)
        except Timeout:
            waiting()
            lock.acquire()
        try:
            yield
        finally:
            lock.release()

    def take(self, key: str) -> FileLock | None:
        """Take the lock of a key and return it; None where another process has it."""
        self.place(key).parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self.place(key).with_suffix(".lock"))
        try:
            lock.acquire(timeout=0)
        except Timeout:
            return None
        return lock

    def last(self, place: str) -> dict[str, str] | None:
        """Return the parts of the key that was last planned at a place (a pipeline's name and a step's number)."""
        return _read_json(self.folder / "last" / f"{place}.json")

    def remember(self, place: str, parts: Mapping[str, str]) -> None:
        """Remember the parts of the key that was run at a place, so that the next plan can say what changed."""
        file = self.folder / "last" / f"{place}.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        replace_json(file, dict(parts))

    def _measurement_file(self, key: str) -> Path:
        return self.folder / "measurements" / key[:2] / f"{key}.json"


def write_aside(place: Path, write: Callable[[Path], object]) -> None:
    """Fill a folder beside ``place`` and rename it into place, so that a half-written one is never seen."""
    aside = place.with_name(f"{place.name}.aside-{os.getpid()}")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    write(aside)
    for file in aside.rglob("*"):
        if file.is_file():
            with file.open("rb") as opened:
                os.fsync(opened.fileno())
    shutil.rmtree(place, ignore_errors=True)
    aside.rename(place)


def replace_json(file: Path, data: Any) -> None:
    """Write JSON aside and rename it, so that a half-written file is never seen."""
    aside = file.with_suffix(f".{os.getpid()}")
    _write_json(aside, data)
    aside.replace(file)


def _read_json(file: Path) -> dict[str, Any] | None:
    """Return what a file of the store holds; none where it is missing or, behind a power cut, damaged."""
    try:
        found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None
    return found


def _sizes(folder: Path) -> dict[str, int]:
    """Return the size in bytes of every file below a folder but the description itself."""
    files = (file for file in sorted(folder.rglob("*")) if file.is_file() and file != folder / _INFO)
    return {file.relative_to(folder).as_posix(): file.stat().st_size for file in files}


def _write_json(file: Path, data: Any) -> None:
    file.write_text(json.dumps(data, indent=2) + "\n", encoding="utf-8")
