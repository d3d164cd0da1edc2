"""Structured pruning: whole channels, physically removed."""

from __future__ import annotations

from typing import Any

from snncompress import hookimpl
from snncompress_structured.channels import ChannelPruning


@hookimpl
def snncompress_strategies() -> list[type[Any]]:
    """Provide ``prune.channels``."""
    return [ChannelPruning]
