"""Structured compression: low-rank factors."""

from __future__ import annotations

from typing import Any

from snncompress import hookimpl
from snncompress_structured.svd import LowRankFactors


@hookimpl
def snncompress_strategies() -> list[type[Any]]:
    """Provide ``lowrank.svd``."""
    return [LowRankFactors]


@hookimpl
def snncompress_modules() -> dict[str, str]:
    """Provide ``structured.factors``."""
    return {"structured.factors": "snncompress_structured.factors:Factors"}
