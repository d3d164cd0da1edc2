"""What a network returns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from snncompress.errors import ModelError
from snncompress.network.time import Time


@dataclass(frozen=True)
class Output:
    """Hold a network's output.

    Attributes:
        logits: [T, B, C], or [B, C] where ``averaged``; spikes or potentials of the last layer.
        averaged: whether the mean over time has been taken.
        membranes: potentials of the last layer, [T, B, C], where the network records them.
    """

    logits: Tensor
    averaged: bool
    membranes: Tensor | None = None

    def mean(self) -> Tensor:
        """Return the mean over time, [B, C]."""
        return self.logits if self.averaged else self.logits.mean(0)

    def per_step(self) -> Tensor:
        """Return the output of each step, [T, B, C]; one step where the mean has been taken."""
        return self.logits.unsqueeze(0) if self.averaged else self.logits

    def require_sizes(self, x: Tensor, time: Time) -> None:
        """Raise ModelError unless there is one output for each step (where it is not averaged) and each sample of ``x``."""
        steps, samples = (time.T, len(x)) if time.input == "static" else x.shape[:2]
        wanted = (samples,) if self.averaged else (steps, samples)
        found = tuple(self.logits.shape[:-1])
        if found != wanted:
            layout = "[B, C]" if self.averaged else "[T, B, C]"
            raise ModelError(
                f"the network returned {list(self.logits.shape)} for {steps} time step(s) of {samples} sample(s), but its "
                f"declaration says T={time.T} and output={time.output!r}: {layout}"
            )

    @classmethod
    def of(cls, returned: Any, time: Time) -> Output:
        """Read what a module returned in the way that ``time`` declares; raise ModelError if it does not fit."""
        records = returned if isinstance(returned, (tuple, list)) else (returned,)
        if len(records) != len(time.records):
            raise ModelError(
                f"the network returned {len(records)} value(s), but its declaration says records={list(time.records)}"
            )
        named = dict(zip(time.records, records, strict=True))
        logits = named["output"]
        wanted = 2 if time.output == "averaged" else 3
        if not isinstance(logits, Tensor) or logits.dim() != wanted:
            raise ModelError(
                f"the network returned {_spoken(logits)}, but its declaration says output={time.output!r}: "
                f"{'[B, C]' if wanted == 2 else '[T, B, C]'}"  # noqa: PLR2004 - two dimensions are [B, C]
            )
        return cls(logits, time.output == "averaged", named.get("membranes"))


def _spoken(value: Any) -> str:
    return f"a tensor of shape {list(value.shape)}" if isinstance(value, torch.Tensor) else f"a {type(value).__name__}"
