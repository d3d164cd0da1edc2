"""Implement a hook that does not exist."""

from __future__ import annotations

from typing import Any

from snncompress import hookimpl


@hookimpl
def snncompress_strategy() -> list[type[Any]]:
    """Misspell ``snncompress_strategies``."""
    return []
