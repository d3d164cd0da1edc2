"""What tests of counting share: sparse inputs and weights, and a reference that reruns an operation on ones."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def binary(*shape: int, rate: float = 0.3, seed: int = 0) -> Tensor:
    """Return random spikes."""
    return (torch.rand(shape, generator=torch.Generator().manual_seed(seed)) < rate).float()


def sparse(*shape: int, rate: float = 0.5, seed: int = 1) -> Tensor:
    """Return random weights, a part of them zero."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator) * (torch.rand(shape, generator=generator) < rate)


def reference(function: Any, x: Tensor, weight: Tensor, **settings_of: Any) -> tuple[int, int]:
    """Return fan-out and pairs by running the operation on ones where something is not zero."""
    there = x.ne(0).double()
    fanout = function(there, torch.ones_like(weight).double(), **settings_of).sum()
    return int(fanout), int(function(there, weight.ne(0).double(), **settings_of).round().sum())
