"""Ask a hook for something that it does not pass."""

from __future__ import annotations

from typing import Any

from snncompress import hookimpl


@hookimpl
def snncompress_run_step(step: Any, netwrk: Any) -> None:
    """Misspell an argument."""
    del step, netwrk
