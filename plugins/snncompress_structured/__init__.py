"""Structured compression: inner dimensions cut, and low-rank factors."""

from __future__ import annotations

from typing import Any

from snncompress import hookimpl
from snncompress_structured.dsp import DimensionPruning
from snncompress_structured.svd import LowRankFactors


@hookimpl
def snncompress_strategies() -> list[type[Any]]:
    """Provide ``prune.dsp`` and ``lowrank.svd``."""
    return [DimensionPruning, LowRankFactors]


@hookimpl
def snncompress_modules() -> dict[str, str]:
    """Provide ``structured.factors``."""
    return {"structured.factors": "snncompress_structured.factors:Factors"}


@hookimpl
def snncompress_anatomies() -> dict[str, str]:
    """Provide what holds for any torch network: layers in a row."""
    return {"torch": "snncompress_structured.chains:ChainAnatomy"}
