"""The mathematics of the encoders: pure functions from still images to time steps."""

from __future__ import annotations

import torch
from torch import Tensor


def direct(x_BCHW: Tensor, timesteps: int) -> Tensor:
    """Return x_TBCHW, the same image at each step, as a view without a copy."""
    return x_BCHW.unsqueeze(0).expand(timesteps, *x_BCHW.shape)


def poisson(x_BCHW: Tensor, timesteps: int, generator: torch.Generator, gain: float = 1.0) -> Tensor:
    """Return spikes_TBCHW, each 1 with probability x * gain clipped to 0..1, all drawn independently.

    Draws in float32 on the generator's device, so neither the dtype nor the device of x changes the draw.
    """
    uniform_TBCHW = torch.rand((timesteps, *x_BCHW.shape), generator=generator, device=generator.device)
    probability_BCHW = (x_BCHW.float() * gain).clamp(0, 1)
    return (uniform_TBCHW.to(x_BCHW.device) < probability_BCHW).to(x_BCHW.dtype)


def latency(x_BCHW: Tensor, timesteps: int, threshold: float = 0.0) -> Tensor:
    """Return spikes_TBCHW: one spike per pixel, at step round((1 - x) * (T - 1)); none where x < threshold.

    A tie goes to the even step, as ``torch.round`` has it.
    """
    step_BCHW = ((1 - x_BCHW.float()) * (timesteps - 1)).round()
    steps_T = torch.arange(timesteps, device=x_BCHW.device).view(-1, *[1] * x_BCHW.dim())
    return ((steps_T == step_BCHW) & (x_BCHW >= threshold)).to(x_BCHW.dtype)


def within_unit_interval(x: Tensor) -> bool:
    """Tell whether every value lies in 0..1; NaN does not."""
    return bool(((x >= 0) & (x <= 1)).all())
