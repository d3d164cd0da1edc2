"""Update rules of every form for the tests of the fast path, and their formulas followed by plain autograd."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from snncompress.speed.rule import UpdateRule


class _Bell(torch.autograd.Function):
    """Spikes where the input is at least (or above) zero; their gradient is 1 / (1 + |alpha u|)^2."""

    @staticmethod
    def forward(ctx, u, alpha, strict):
        ctx.save_for_backward(u)
        ctx.alpha = alpha
        return (u > 0 if strict else u >= 0).to(u.dtype)

    @staticmethod
    def backward(ctx, gradient):
        (u,) = ctx.saved_tensors
        return gradient / (1 + (ctx.alpha * u).abs()) ** 2, None, None


@dataclass(frozen=True)
class Bell:
    alpha: float = 2.0
    strict: bool = False

    def __call__(self, u: Tensor) -> Tensor:
        return _Bell.apply(u, self.alpha, self.strict)


def integrate(v: Tensor, x: Tensor) -> Tensor:
    return v + x


def leak(v: Tensor, x: Tensor) -> Tensor:
    return v + (x - v) / 2.5


def curved(v: Tensor, x: Tensor) -> Tensor:
    """Its derivatives read membrane and input."""
    return v + x * (1 + x * 0.25) - v * v * 0.125


def trained_leak(v: Tensor, x: Tensor, w: Tensor) -> Tensor:
    return v + (x - v) * w.sigmoid()


def trained_threshold(v: Tensor, x: Tensor, threshold: Tensor) -> Tensor:
    del threshold
    return v * 0.75 + x


def two_tensors(v: Tensor, x: Tensor, threshold: Tensor, beta: Tensor) -> Tensor:
    """The reset of the spike before is part of the charge, as in snnTorch."""
    fired = (v > threshold).to(v.dtype)
    return beta.clamp(0, 1) * v + x - fired * threshold


RULES = {
    "integrate, soft": (UpdateRule(integrate, Bell(), 0.8, reset="soft"), 0),
    "integrate, hard, strict": (UpdateRule(integrate, Bell(strict=True), 1.0, strict=True), 0),
    "leak, hard, detached": (UpdateRule(leak, Bell(1.5), 0.6, detach_reset=True), 0),
    "leak to a value": (UpdateRule(leak, Bell(), 0.5, reset_value=-0.3, initial=0.2), 0),
    "curved, hard": (UpdateRule(curved, Bell(), 0.7), 0),
    "curved, no reset": (UpdateRule(curved, Bell(), 0.7, reset="none"), 0),
    "trained leak, hard": (UpdateRule(trained_leak, Bell(), 0.5), 1),
    "trained threshold, soft": (UpdateRule(trained_threshold, Bell(), None, reset="soft"), 1),
    "trained threshold, hard, detached": (UpdateRule(trained_threshold, Bell(), None, detach_reset=True), 1),
    "two tensors, no reset": (
        UpdateRule(two_tensors, Bell(3.0, strict=True), None, reset="none", strict=True),
        2,
    ),
}
"""By name: a rule, and how many tensors it takes."""


def step_by_step(
    rule: UpdateRule, x_TB: Tensor, v_B: Tensor | None, p: tuple[Tensor, ...], steps: int
) -> tuple[Tensor, Tensor]:
    """Follow the formulas in the docstring of ``UpdateRule``; return spikes and the membranes of all steps."""
    threshold = p[0] if rule.threshold is None else rule.threshold
    v = torch.full_like(x_TB[0], rule.initial) if v_B is None else v_B
    spikes, membranes = [], []
    for step in range(steps):
        h = rule.charge(v, x_TB[min(step, len(x_TB) - 1)], *p)
        s = rule.surrogate(h - threshold)
        spikes.append(s)
        passed = s.detach() if rule.detach_reset else s
        if rule.reset == "hard":
            v = passed * rule.reset_value + (1 - passed) * h
        elif rule.reset == "soft":
            v = h - passed * threshold
        else:
            v = h
        membranes.append(v)
    return torch.stack(spikes), torch.stack(membranes)


def numbers(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    """Return numbers at which neurons of these rules fire now and then."""
    drawn = torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return (drawn * 0.9 + 0.2).to(dtype)


def outcome(
    run: Callable[..., tuple[Tensor, Tensor]],
    x_TB: Tensor,
    v_B: Tensor | None,
    p: tuple[Tensor, ...],
    *,
    record: bool,
) -> tuple[Tensor, Tensor, tuple[Tensor, ...]]:
    """Return spikes, membranes (all, or the last) and the gradients of input, first membrane and tensors."""
    x, *rest = leaves = [
        value.detach().clone().requires_grad_() for value in (x_TB, *p, *([] if v_B is None else [v_B]))
    ]
    spikes, membranes = run(x, rest[len(p)] if v_B is not None else None, tuple(rest[: len(p)]))
    weights = [numbers(*value.shape, seed=seed, dtype=value.dtype) for seed, value in ((91, spikes), (92, membranes))]
    loss = (spikes * weights[0]).sum() + (membranes * weights[1]).sum() * (1.0 if record else 0.5)
    return spikes.detach(), membranes.detach(), torch.autograd.grad(loss, leaves)
