"""Finding files, with near names for those that are missing, and hashing them."""

from __future__ import annotations

import difflib
import glob
import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from snncompress import DataError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


def existing(path: str | Path, setting: str) -> Path:
    """Return the path if it exists; raise DataError that names the setting and near names."""
    found = Path(path).expanduser()
    if found.exists():
        return found
    raise DataError(f"{setting}: {str(path)!r} does not exist{_hint(found)}")


def matching(patterns: Sequence[str], setting: str) -> tuple[Path, ...]:
    """Return the files that paths and globs name, a glob in name order; raise DataError for none or a repeat."""
    found = [file for pattern in patterns for file in _files(pattern, setting)]
    if not found:
        raise DataError(f"{setting}: names no file")
    resolved = [file.resolve() for file in found]
    for position, file in enumerate(resolved):
        if file in resolved[:position]:
            raise DataError(f"{setting}: names the file {str(found[position])!r} twice")
    return tuple(found)


def content_hash(files: Iterable[Path]) -> str:
    """Return one sha256 over the contents of files, in their order."""
    total = hashlib.sha256()
    for file in files:
        with file.open("rb") as stream:
            total.update(hashlib.file_digest(stream, "sha256").digest())
    return total.hexdigest()


def _files(pattern: str, setting: str) -> list[Path]:
    path = Path(pattern).expanduser()
    if not path.exists() and glob.has_magic(str(path)):
        names = map(Path, glob.glob(str(path), recursive=True))  # noqa: PTH207 - the pattern may be absolute
        found = sorted(name for name in names if name.is_file())
        if not found:
            raise DataError(f"{setting}: no file matches {pattern!r}{_hint(path)}")
        return found
    if existing(pattern, setting).is_file():
        return [path]
    raise DataError(f"{setting}: {pattern!r} is no file; name the files in it, for example {f'{pattern}/*'!r}")


def _hint(missing: Path) -> str:
    folder = missing.parent
    if not folder.is_dir():
        present = next(ancestor for ancestor in folder.absolute().parents if ancestor.is_dir())
        return f": there is no folder {str(folder)!r}; the path is right up to {str(present)!r}"
    names = [entry.name for entry in folder.iterdir()]
    near = difflib.get_close_matches(missing.name, names, n=3)
    return f"; near: {', '.join(map(repr, near))}" if near else f"; {str(folder)!r} holds no file of a similar name"
