"""Reports from a saved record."""

from __future__ import annotations

from typing import Any

from snncompress import hookimpl
from snncompress_report.html import Html
from snncompress_report.text import Text


@hookimpl
def snncompress_reporters() -> list[type[Any]]:
    """Provide ``text`` and ``html``."""
    return [Text, Html]
