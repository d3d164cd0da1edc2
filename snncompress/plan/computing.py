"""Which way a step computes: decided once, when it is planned, from the step's whole length."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from snncompress.compilers import compiler

if TYPE_CHECKING:
    from snncompress.components import Inputs
    from snncompress.pipeline import Pipeline
    from snncompress.strategy import Strategy

REFERENCE = "reference"
"""The library's own modules, step by step as they were written."""

WORTH_COMPILING = 20_000
"""Samples times time steps of training that earn a compilation back: it takes some seconds, and a tenth of a millisecond
or more is saved for each."""

_ASSUMED_SAMPLES = 1_000
"""Training samples of a data set that does not say how many it has."""


def computing_path(pipeline: Pipeline, step: Strategy, earlier: Sequence[Strategy], inputs: Inputs, device: str) -> str:
    """Return ``reference``, ``fused`` (all time steps at once, by torch) or ``compiled`` (the same in C).

    A step that trains nothing takes the library's own way, and so does everything on a device that is no CPU: there the
    libraries bring kernels of their own.
    """
    epochs = step.num_epochs(earlier)
    if not epochs:
        return REFERENCE
    if pipeline.speed != "auto":
        return pipeline.speed
    if device != "cpu":
        return REFERENCE
    presented = epochs * (inputs.num_train or _ASSUMED_SAMPLES) * (pipeline.timesteps or 1)
    return "compiled" if compiler() and presented >= WORTH_COMPILING else "fused"
