"""The loop over time of a stated rule, forward and backward: the same for torch as it is and for the compiler."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.fx import GraphModule

from snncompress.speed.derivatives import derivative, reads
from snncompress.speed.rule import UpdateRule

Fire = Callable[[Tensor, "float | Tensor", int], Tensor]
"""(potential, threshold, step) to spikes."""


def after_spike(rule: UpdateRule, h: Tensor, s: Tensor, threshold: float | Tensor) -> Tensor:
    """Return the membrane behind the reset."""
    if rule.reset == "none":
        return h
    if rule.reset == "soft":
        return h - s * threshold if isinstance(threshold, Tensor) else torch.sub(h, s, alpha=threshold)
    if rule.reset_value == 0:
        return (1 - s) * h  # an infinity that does not fire stays: h - s h, in one pass, makes it no number
    return torch.where(s > 0, rule.reset_value, h)


def forward_steps(
    rule: UpdateRule, xs: Sequence[Tensor], v: Tensor, p: tuple[Tensor, ...], fire: Fire
) -> tuple[list[Tensor], list[Tensor], list[Tensor]]:
    """Return the spikes, the potentials before them and the membranes behind them, one tensor a step."""
    threshold = rule.threshold_of(p)
    spikes, potentials, membranes = [], [], []
    for step, x in enumerate(xs):
        h = rule.charge(v, x, *p)
        s = fire(h, threshold, step)
        v = after_spike(rule, h, s, threshold)
        spikes.append(s)
        potentials.append(h)
        membranes.append(v)
    return spikes, potentials, membranes


def fired(rule: UpdateRule, h: Tensor, threshold: float | Tensor) -> Tensor:
    """Return the spikes of one step, 0 or 1 in the precision of ``h``."""
    return (h > threshold if rule.strict else h >= threshold).to(h.dtype)


@dataclass(frozen=True)
class Gradients:
    """The traced derivatives of one rule for one kind of layout."""

    charge: GraphModule
    surrogate: GraphModule
    reads_v: bool
    reads_x: bool

    @classmethod
    def of(cls, rule: UpdateRule, num_dims: int, p: tuple[Tensor, ...], dtype: torch.dtype) -> Gradients:
        """Trace (or find) the derivatives for data of ``num_dims`` dimensions a step and the tensors ``p``."""
        kinds = ("data", "data", *("single" if value.dim() == 0 else "channel" for value in p))
        charge = derivative(rule.charge, kinds, num_dims, dtype)
        surrogate = derivative(rule.surrogate, ("data",), num_dims, dtype)
        return cls(charge, surrogate, reads(charge, 1), reads(charge, 2))


def backward_steps(
    rule: UpdateRule,
    gradients: Gradients,
    g_spikes: Sequence[Tensor],
    g_membranes: Sequence[Tensor | None],
    spikes: Sequence[Tensor],
    potentials: Sequence[Tensor],
    xs: Sequence[Tensor] | None,
    v0: Tensor,
    p: tuple[Tensor, ...],
) -> tuple[list[Tensor], Tensor, list[Tensor]]:
    """Return the gradients of the inputs (one a step), of the first membrane and of the neuron's tensors.

    ``g_membranes`` holds the gradient that reaches the membrane behind each step from outside; ``xs`` may be None where
    the derivative of the charge does not read the input.
    """
    threshold = rule.threshold_of(p)
    g_xs: list[Tensor] = []
    g_p: list[Tensor] = []
    carry: Tensor | None = None
    for step in range(len(potentials) - 1, -1, -1):
        h, s = potentials[step], spikes[step]
        carry = _sum(carry, g_membranes[step])
        (g_u,) = gradients.surrogate(_reaching_spike(rule, g_spikes[step], carry, h, threshold), h - threshold)
        g_h = _reaching_potential(rule, g_u, carry, s)
        seen = step and gradients.reads_v
        v = after_spike(rule, potentials[step - 1], spikes[step - 1], threshold) if seen else v0
        g_v, g_x, *rest = gradients.charge(g_h, v, h if xs is None else xs[step], *p)
        if rule.threshold is None:
            rest[0] = rest[0] + _reaching_threshold(rule, g_u, carry, s, p[0])
        carry = g_v
        g_xs.append(g_x)
        g_p = [_sum(one, other) for one, other in zip(g_p, rest, strict=True)] if g_p else list(rest)  # type: ignore[misc]
    assert carry is not None  # noqa: S101 - there is at least one step
    return g_xs[::-1], carry, g_p


def _sum(one: Tensor | None, other: Tensor | None) -> Tensor | None:
    if one is None:
        return other
    return one if other is None else one + other


def _reaching_spike(
    rule: UpdateRule, g_s: Tensor, carry: Tensor | None, h: Tensor, threshold: float | Tensor
) -> Tensor:
    """Return the gradient of a spike: what its layer gets, and what passes through the reset."""
    if carry is None or rule.detach_reset or rule.reset == "none":
        return g_s
    if rule.reset == "soft":
        return g_s - carry * threshold
    return torch.addcmul(g_s, carry, h, value=-1) if rule.reset_value == 0 else g_s + carry * (rule.reset_value - h)


def _reaching_potential(rule: UpdateRule, g_u: Tensor, carry: Tensor | None, s: Tensor) -> Tensor:
    """Return the gradient of the potential before the spike."""
    if carry is None:
        return g_u
    return torch.addcmul(g_u, carry, 1 - s) if rule.reset == "hard" else g_u + carry


def _reaching_threshold(rule: UpdateRule, g_u: Tensor, carry: Tensor | None, s: Tensor, threshold: Tensor) -> Tensor:
    """Return the gradient of a threshold that is a tensor: of what fires, and of what a soft reset takes away."""
    through_reset = carry is not None and rule.reset == "soft"
    return (-g_u - carry * s if through_reset else -g_u).sum_to_size(threshold.shape)  # type: ignore[operator]
