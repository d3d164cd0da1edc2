"""The surrogate gradients of SpikingJelly as values: equal where they compute the same."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from spikingjelly.activation_based import surrogate
from torch import Tensor, nn


class _LogTailedReLU(torch.autograd.Function):
    """``log_tailed_relu`` with the same gradient chosen by ``where``: no compiler takes the library's boolean indexing."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, alpha: float) -> Tensor:
        ctx.save_for_backward(x)
        ctx.alpha = alpha
        spikes: Tensor = surrogate.heaviside(x)
        return spikes

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (x,) = ctx.saved_tensors
        return gradients[0] * torch.where(x <= 0, ctx.alpha, torch.where(x > 1, 1 / x, 1.0)), None


_ALPHA = (
    surrogate.PiecewiseQuadratic,
    surrogate.PiecewiseExp,
    surrogate.Sigmoid,
    surrogate.SoftSign,
    surrogate.SuperSpike,
    surrogate.ATan,
    surrogate.NonzeroSignLogAbs,
    surrogate.Erf,
    surrogate.QPseudoSpike,
    surrogate.FakeNumericalGradient,
    surrogate.Rect,
)
_ARGUMENTS: dict[type[nn.Module], tuple[str, ...]] = {
    **dict.fromkeys(_ALPHA, ("alpha",)),
    surrogate.LogTailedReLU: ("alpha",),
    surrogate.PiecewiseLeakyReLU: ("w", "c"),
    surrogate.SquarewaveFourierSeries: ("n", "T_period"),
    surrogate.S2NN: ("alpha", "beta"),
    surrogate.LeakyKReLU: ("leak", "k"),
    surrogate.DeterministicPass: (),
}
_FUNCTIONS: dict[type[nn.Module], Callable[..., Tensor]] = {
    surrogate.LogTailedReLU: _LogTailedReLU.apply,
    surrogate.DeterministicPass: surrogate.deterministic_pass.apply,
}
_OTHERS = {
    surrogate.PoissonPass: "its surrogate draws the spikes at random",
    surrogate.MultiLevelSpikeCount: "its surrogate counts several spikes a step",
}
_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")


@dataclass(frozen=True)
class Surrogate:
    """One surrogate gradient of the library with its arguments, in the order in which its function takes them."""

    kind: type[nn.Module]
    arguments: tuple[float, ...]

    def __call__(self, x: Tensor) -> Tensor:
        """Return the spikes, 1 where ``x`` is at least 0; their gradient is the library's."""
        kind: Any = self.kind
        function = _FUNCTIONS.get(kind) or kind.spiking_function
        spikes: Tensor = function(x, *self.arguments)
        return spikes


def stated_surrogate(function: Any) -> Surrogate | str:
    """Return a surrogate module of the library as a value, or why that is not possible."""
    kind = type(function)
    if kind not in _ARGUMENTS:
        return _OTHERS.get(kind, f"its surrogate {kind.__name__} is not one of the library's")
    if not function.spiking:
        return "its surrogate is in primitive mode (spiking=False)"
    if replaced(function) or any(getattr(function, hooks) for hooks in _HOOKS):
        return "its surrogate was changed or has hooks"
    arguments = {name: getattr(function, name) for name in _ARGUMENTS[kind]}
    for name, value in arguments.items():
        if not (isinstance(value, int | float) and math.isfinite(value)):
            return f"{name} of its surrogate is not a finite number"
    if arguments.get("alpha", 1) <= 0 and kind is not surrogate.LogTailedReLU:
        return "alpha of its surrogate is not positive"
    return Surrogate(kind, tuple(arguments.values()))


def replaced(module: nn.Module) -> list[str]:
    """Return the methods that an instance has for itself instead of its class's."""
    return sorted(name for name in vars(module) if callable(getattr(type(module), name, None)))
