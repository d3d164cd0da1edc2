"""Surrogate-gradient training as a step."""

from __future__ import annotations

from typing import Any

from snncompress import hookimpl
from snncompress_train.train import Train


@hookimpl
def snncompress_strategies() -> list[type[Any]]:
    """Provide ``train``."""
    return [Train]
