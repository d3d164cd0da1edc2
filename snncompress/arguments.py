"""What Python users give to the public functions, looked at before anything is done."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from snncompress.errors import InputError

_MOST_LETTERS = 60


def shown(value: Any) -> str:
    """Show a value in a message: itself where that is short, else what it is."""
    text = repr(value) if value is None or isinstance(value, (str, int, float, list, tuple, dict, type)) else ""
    return text if 0 < len(text) <= _MOST_LETTERS else f"a {type(value).__name__!r}"


def path_of(value: Any, what: str) -> Path:
    """Return a path that was given as text or as a path; raise InputError where it is something else."""
    if isinstance(value, (str, os.PathLike)) and str(value) and "\0" not in str(value):
        return Path(value)
    raise InputError(f"{what} should be a path, as text or a pathlib.Path, not {shown(value)}")


def list_of(value: Any, what: str, example: str) -> list[Any]:
    """Return a list that was given as any sequence; raise InputError where it is one entry alone, or something else."""
    if isinstance(value, Sequence) and not isinstance(value, (str, bytes)):
        return list(value)
    hint = f"write [{shown(value)}]" if isinstance(value, (str, Mapping)) else f"for example {example}"
    raise InputError(f"{what} should be a list, not {shown(value)}; {hint}")


def whole_number(value: Any, what: str, at_least: int) -> int:
    """Return a whole number; raise InputError where it is something else, or too small."""
    if isinstance(value, int) and not isinstance(value, bool) and value >= at_least:
        return value
    raise InputError(f"{what} should be a whole number of at least {at_least}, not {shown(value)}")


def mapping_of(value: Any, what: str) -> dict[Any, Any]:
    """Return a mapping as a dictionary; raise InputError where it is something else."""
    if isinstance(value, Mapping):
        return dict(value)
    raise InputError(f"{what} should be a mapping, not {shown(value)}")
