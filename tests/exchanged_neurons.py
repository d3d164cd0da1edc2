"""Neurons put in the place of single ones, and plain loops that say what they must compute."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn


def in_place_of(old: nn.Module, backend: Any, kind: Any, sample: Sequence[int], **given: Any) -> Any:
    """Return a neuron of ``kind`` in the place of ``old``, which takes samples [C, ...]."""
    shapes = {"layer": [], "channel": [sample[0]], "neuron": list(sample)}
    arguments = {
        "neuron": backend.describe(old).to_json(),
        "shape": shapes[given.pop("per", "channel")],
        "num_places": len(sample) - 1,
        "learn": list(kind.learns),
        "lr_scale": 1.0,
        **given,
    }
    new = kind.build(old, arguments)
    kind.transfer(old, new)
    return new.train(old.training)


class AtanSpike(torch.autograd.Function):
    """Fire from 0 on, or only above; the gradient is that of arctan: alpha / 2 / (1 + (pi / 2 alpha x) ** 2)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, alpha: float, strict: bool) -> Tensor:  # noqa: FBT001 - autograd takes no keywords
        ctx.save_for_backward(x)
        ctx.alpha = alpha
        return (x > 0 if strict else x >= 0).to(x.dtype)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        (x,) = ctx.saved_tensors
        return gradients[0] * ctx.alpha / 2 / (1 + (math.pi / 2 * ctx.alpha * x) ** 2), None, None


def jelly_loop(
    x_TB: Tensor,
    *,
    threshold: Tensor | float,
    leak: Tensor | float,
    fire: Callable[[Tensor], Tensor],
    v_reset: float | None = 0.0,
    decay_input: bool = True,
    detach_reset: bool = False,
) -> Tensor:
    """Return the spikes of SpikingJelly's equations, written out."""
    rest = v_reset or 0.0
    v, spikes = torch.full_like(x_TB[0], rest), []
    for x in x_TB:
        h = v + leak * (x - (v - rest)) if decay_input else v - leak * (v - rest) + x
        s = fire(h - threshold)
        spikes.append(s)
        r = s.detach() if detach_reset else s
        v = h - r * threshold if v_reset is None else r * rest + (1 - r) * h
    return torch.stack(spikes)


def torch_loop(
    x_TB: Tensor,
    *,
    threshold: Tensor | float,
    beta: Tensor | float,
    fire: Callable[[Tensor], Tensor],
    mechanism: str = "subtract",
) -> Tensor:
    """Return the spikes of snnTorch's equations with a delayed reset, written out."""
    mem, spikes = torch.zeros_like(x_TB[0]), []
    for x in x_TB:
        reset = fire(mem - threshold).detach()
        if mechanism == "subtract":
            mem = beta * mem + x - reset * threshold
        else:
            mem = beta * ((1 - reset) * mem if mechanism == "zero" else mem) + x
        spikes.append(fire(mem - threshold))
    return torch.stack(spikes)


def numbers(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64, scale: float = 1.0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return (torch.randn(*shape, generator=generator, dtype=torch.float64) * scale).to(dtype)
