"""Trainable thresholds and leaks as offsets from what a neuron starts with: zero offsets change nothing, to the last bit."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from snncompress.neurons import Intrinsic, Values, each

if TYPE_CHECKING:
    _Module = nn.Module
else:
    _Module = object


class Offsets(_Module):
    """What a neuron module with trainable values of its own also is: it holds offsets, each ``NAME_offset``.

    Axis 0 of an offset is the channel, so that it is sliced like every tensor of that channel.
    """

    num_places: int
    lr_scale: float

    def hold_offsets(self, starts: Mapping[Intrinsic, Tensor], arguments: Mapping[str, Any]) -> None:
        """Keep an offset of each name, as the arguments of a neuron kind say: trainable where ``learn`` names it."""
        self.num_places, self.lr_scale = arguments["num_places"], arguments["lr_scale"]
        for name, start in starts.items():
            if name in arguments["learn"]:
                self.register_parameter(f"{name}_offset", nn.Parameter(start))
            else:
                self.register_buffer(f"{name}_offset", start)

    def offset(self, name: Intrinsic) -> Tensor:
        """Return an offset as it broadcasts to one step [B, C, ...] of the neuron's input."""
        return self.aligned(getattr(self, f"{name}_offset"))

    def aligned(self, value: Tensor) -> Tensor:
        """Return [C] with a dimension of size 1 for each place; what has one value or one for each neuron stays."""
        return value.reshape(-1, *[1] * self.num_places) if value.dim() == 1 else value

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Return the trainable offsets: no weight decay, and a multiple of the learning rate."""
        own = [value for name, value in self.named_parameters(recurse=False) if name.endswith("_offset")]
        return [{"params": own, "weight_decay": 0.0, "lr_scale": self.lr_scale}] if own else []


def moved_threshold(start: float | Tensor, offset: Tensor) -> Tensor:
    """Return ``start * exp(offset)``."""
    return start * offset.exp()


def moved_tau(start: float | Tensor, offset: Tensor) -> Tensor:
    """Return tau where 1 / tau = sigmoid(logit(1 / start) + offset), as a sum that is ``start`` where the offset is 0."""
    return start + (start - 1) * torch.expm1(-offset)


def moved_beta(start: float | Tensor, offset: Tensor) -> Tensor:
    """Return beta where 1 - beta = sigmoid(logit(1 - start) + offset), as a sum that is ``start`` where the offset is 0."""
    grown = torch.expm1(-offset)
    return start + start * (1 - start) * grown / (1 + start * grown)


def start_of(values: Values, shape: Sequence[int], name: Intrinsic) -> tuple[float, Tensor]:
    """Return the number that offsets of ``shape`` start from, and the offsets that lead to ``values``.

    ``values`` are thresholds, or leaks; of several the start is their mean. Where no offsets lead to them, for there is one
    offset alone, a threshold that is not positive, or a leak that is not between 0 and 1, all stay at the mean.
    """
    known = each(values)
    start = math.fsum(known) / len(known)
    within = min(known) > 0 and (name == "threshold" or max(known) < 1)
    if len(known) == 1 or not (shape and within):
        return start, torch.zeros(list(shape))
    exact_C = torch.tensor(known, dtype=torch.float64)
    offset_C = (exact_C / start).log() if name == "threshold" else exact_C.logit() - math.log(start / (1 - start))
    spread = offset_C.reshape(-1, *[1] * (len(shape) - 1)).expand(list(shape))
    return start, spread.to(torch.get_default_dtype()).clone()
