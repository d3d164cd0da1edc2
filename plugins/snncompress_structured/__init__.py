"""Structured compression: inner dimensions and channels physically removed, layers in two thinner ones."""

from __future__ import annotations

from typing import Any

from snncompress import hookimpl
from snncompress_structured.channels import ChannelPruning
from snncompress_structured.dsp import DimensionPruning
from snncompress_structured.svd import LowRankFactors


@hookimpl
def snncompress_strategies() -> list[type[Any]]:
    """Provide ``prune.dsp``, ``prune.channels`` and ``lowrank.svd``."""
    return [DimensionPruning, ChannelPruning, LowRankFactors]


@hookimpl
def snncompress_modules() -> dict[str, str]:
    """Provide ``structured.factors``."""
    return {"structured.factors": "snncompress_structured.factors:Factors"}


@hookimpl
def snncompress_anatomies() -> dict[str, str]:
    """Provide what holds for any torch network: layers in a row."""
    return {"torch": "snncompress_structured.chains:ChainAnatomy"}
