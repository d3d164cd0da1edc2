"""Batch norm in training, alone or with the neuron behind it, accurate over rows: by C, torch, or torch's compiler."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

from snncompress.speed.compiling import compiled_copy, sizes_vary
from snncompress.speed.kernels import Kernels, NeuronKind, Tensors
from snncompress.speed.native.expressions import UntranslatableError
from snncompress.speed.native.library import Columns, native_norm, native_rule
from snncompress.speed.rule import UpdateRule
from snncompress.speed.steps import Gradients
from snncompress.speed.structure import NORMS

_ROUGHLY = 4
"""Samples whose mean shifts the values before they are squared: any number near the mean will do."""


@dataclass(frozen=True)
class NormKind:
    """What one kernel is made for.

    Attributes:
        rule: of the neuron behind the norm; None: the norm alone.
        steps: time steps T of the neuron.
        constant: whether the input is the same at each step: one step in, T steps out.
        eps: the norm's.
    """

    rule: UpdateRule | None
    steps: int
    constant: bool
    eps: float


@dataclass(frozen=True)
class Normed:
    """What comes out: values or spikes, the last membrane, and the statistics of the batch.

    Attributes:
        output: rows [T, B, L, C].
        membrane: [B, L, C]; None for the norm alone.
        mean_C: of the batch.
        variance_C: of the batch, divided by n.
    """

    output: Tensor
    membrane: Tensor | None
    mean_C: Tensor
    variance_C: Tensor


def normed(
    kind: NormKind, rows: Tensor, weight_C: Tensor, bias_C: Tensor, parameters: Sequence[Tensor], *, kernels: Kernels
) -> Normed:
    """Normalise rows [T or 1, B, L, C] by the statistics of the batch, and run the neuron behind.

    ``parameters`` are the neuron's tensors, each without dimensions or [C].
    """
    kernel = _kernel(kind, kernels, len(parameters), rows.dtype)
    return Normed(*_NormNeuron.apply(kernel, rows, weight_C, bias_C, *parameters))


@cache
def _kernel(kind: NormKind, kernels: Kernels, num_parameters: int, dtype: torch.dtype) -> _Traced | _Native:
    if kernels == "native":
        try:
            return _Native(kind, num_parameters, dtype)
        except UntranslatableError:
            return _Traced(kind, compiled=False)
    return _Traced(kind, compiled=kernels == "inductor")


class _Native:
    """C: statistics, then norm and neuron in one pass; backward neuron and norm in one pass and a half."""

    def __init__(self, kind: NormKind, num_parameters: int, dtype: torch.dtype) -> None:
        self.kind = kind
        self._norm = native_norm(dtype)
        self._rule = None if kind.rule is None else native_rule(kind.rule, num_parameters, dtype)

    def forward(self, rows: Tensor, weight: Tensor, bias: Tensor, p: Tensors) -> tuple[Any, tuple[Tensor, ...]]:
        x, whole = rows.detach(), self._whole(rows)
        affine = [value.detach().contiguous() for value in (weight, bias)]
        columns, variance = self._norm.statistics(x, whole, (affine[0], affine[1]), self.kind.eps)
        if self._rule is None:
            return (self._norm.apply(x, whole, columns), None, columns[0], variance), (columns,)
        size, steps = self._step(rows), self.kind.steps
        spikes, membrane = self._rule.forward(x, None, p, size, steps, record=False, columns=columns)
        return (spikes, membrane, columns[0], variance), (columns,)

    def backward(
        self, g_output: Tensor, g_membrane: Tensor | None, rows: Tensor, kept: Tensors, p: Tensors
    ) -> tuple[Tensor, ...]:
        (columns,) = kept
        whole, g = self._whole(rows), g_output.contiguous()
        if self._rule is None:
            sums = self._norm.gradient_sums(rows, whole, columns, g)
            return self._norm.backward(rows, whole, columns, g, sums, in_place=False)
        step, reaching = self._step(rows), None if g_membrane is None else g_membrane.contiguous()
        g_values, _, sums = self._rule.backward(rows, None, p, step, g, reaching, record=False, columns=columns)
        found = self._norm.backward(rows, whole, columns, g_values, sums, in_place=True)
        return *found, *step.gradients_of(p, sums)

    def _whole(self, rows: Tensor) -> Columns:
        return Columns.of(rows.numel() // rows.shape[-1], rows.shape[-1])

    def _step(self, rows: Tensor) -> Columns:
        return Columns.of(rows[0].numel() // rows.shape[-1], rows.shape[-1])


def _total(rows: Tensor) -> Tensor:
    """Sum rows [T, B, L, C] to [C] as sums of short sums, as accurate as a pairwise one."""
    return rows.sum(2).sum(1).sum(0)


def _num_values(rows: Tensor) -> int:
    return rows.shape[0] * rows.shape[1] * rows.shape[2]


def _statistics(rows: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean and variance in one pass, shifted so that no cancellation is left."""
    shift = rows[0, :_ROUGHLY].mean(1).mean(0)
    shifted = rows - shift
    mean = _total(shifted) / _num_values(rows)
    square = _total(shifted * shifted) / _num_values(rows)
    return shift + mean, square - mean * mean


class _Traced:
    """Torch, as it is or compiled; the backward pass computes the potentials again from the norm's input."""

    def __init__(self, kind: NormKind, *, compiled: bool) -> None:
        self.kind = kind
        self.compiled = compiled
        self._neuron = None if kind.rule is None else NeuronKind(kind.rule, 3, kind.steps, kind.constant, record=False)
        self._forward = compiled_copy(self.forward_steps) if compiled else self.forward_steps
        self._backward: dict[Any, Any] = {}

    def forward(self, rows: Tensor, weight: Tensor, bias: Tensor, p: Tensors) -> tuple[Any, tuple[Tensor, ...]]:
        found = self._forward(*self._ready(rows, weight, bias, *p))
        return found, (weight, bias, *found[2:])

    def backward(
        self, g_output: Tensor, g_membrane: Tensor | None, rows: Tensor, kept: Tensors, p: Tensors
    ) -> tuple[Tensor, ...]:
        layout = (rows.dtype, *(value.dim() for value in p))
        if layout not in self._backward:
            self._backward[layout] = self._backward_for(p, rows.dtype)
        membrane = None if g_membrane is None else self._ready(g_membrane)[0]
        first, *others = self._ready(rows, *kept, *p)
        found: tuple[Tensor, ...] = self._backward[layout](
            self._ready(g_output.contiguous())[0], membrane, first, *others
        )
        return found

    def _ready(self, rows: Tensor, *others: Tensor) -> list[Tensor]:
        if not self.compiled:
            return [value.detach() for value in (rows, *others)]
        first = 1 if rows.dim() == 4 else 0  # noqa: PLR2004 - [T, B, L, C]: the number of steps is fixed
        return [sizes_vary(rows, first), *(sizes_vary(value) for value in others)]

    def forward_steps(self, rows: Tensor, weight: Tensor, bias: Tensor, *p: Tensor) -> Any:
        mean, variance = _statistics(rows)
        scale = weight * torch.rsqrt(variance + self.kind.eps)
        values = rows * scale + (bias - mean * scale)
        if self._neuron is None:
            return values, None, mean, variance
        spikes, _, membranes = self._neuron.run(values, None, p)
        return torch.stack(spikes), self._neuron.membranes(membranes), mean, variance

    def _backward_for(self, p: tuple[Tensor, ...], dtype: torch.dtype) -> Any:
        kind, neuron = self.kind, self._neuron
        gradients = None if neuron is None else Gradients.of(neuron.rule, neuron.num_dims, p, dtype)

        def backward(
            g_output: Tensor,
            g_membrane: Tensor | None,
            rows: Tensor,
            weight: Tensor,
            bias: Tensor,
            mean: Tensor,
            variance: Tensor,
            *p: Tensor,
        ) -> Any:
            inverse = torch.rsqrt(variance + kind.eps)
            scale = weight * inverse
            g_values = g_output
            g_p: list[Tensor] = []
            if neuron is not None and gradients is not None:
                values = rows * scale + (bias - mean * scale)
                g_values, _, g_p = neuron.run_back(gradients, g_output, g_membrane, values, None, p)
            count = _num_values(rows)
            standard = (rows - mean) * inverse
            g_bias, g_weight = _total(g_values), _total(g_values * standard)
            g_rows = scale * (g_values - g_bias / count - standard * (g_weight / count))
            return (g_rows, g_weight, g_bias, *g_p)

        return compiled_copy(backward) if self.compiled else backward


class _NormNeuron(torch.autograd.Function):
    """The norm, and the neuron behind it, as autograd sees them."""

    @staticmethod
    def forward(ctx: Any, kernel: _Traced | _Native, rows: Tensor, weight: Tensor, bias: Tensor, *p: Tensor) -> Any:
        (output, membrane, mean, variance), kept = kernel.forward(rows, weight, bias, p)
        ctx.kernel, ctx.num_kept = kernel, len(kept)
        ctx.save_for_backward(rows, *kept, *p)
        ctx.set_materialize_grads(False)
        ctx.mark_non_differentiable(mean, variance)
        return output, membrane, mean, variance

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, g_output: Tensor | None, g_membrane: Tensor | None, *_: Any) -> Any:
        rows, *rest = ctx.saved_tensors
        if g_output is None:
            g_output = rows.new_zeros((ctx.kernel.kind.steps, *rows.shape[1:]))
        kept, p = tuple(rest[: ctx.num_kept]), tuple(rest[ctx.num_kept :])
        return None, *ctx.kernel.backward(g_output, g_membrane, rows, kept, p)


def knows(norm: Any, x: Tensor) -> bool:
    """Tell whether the layout of a norm's input is known: of [A, B, C], only the norms of torch itself say what is what."""
    if type(norm) not in NORMS and isinstance(norm, nn.BatchNorm1d) and x.dim() == 3:  # noqa: PLR2004 - see above
        return False
    return bool(split(norm, x)[1].shape[2] == norm.num_features)


def split(norm: nn.Module, x: Tensor) -> tuple[tuple[int, ...], Tensor]:
    """Return the sizes in front of the channels, and x as y_TBC... (T is 1 where there is no time)."""
    with_time = x.dim() == (5 if isinstance(norm, nn.BatchNorm2d) else 4)
    return ((x.shape[0], x.shape[1]), x) if with_time else ((x.shape[0],), x.unsqueeze(0))


def by_channel(value: Tensor) -> Tensor:
    """Return a tensor of a neuron without dimensions, or as [C]."""
    return value.reshape(()) if value.numel() == 1 else value.reshape(-1)


def keep_statistics(norm: Any, mean_C: Tensor, variance_C: Tensor, count: int) -> None:
    """Update the running statistics as torch's batch norm does: the variance divided by n - 1."""
    if not norm.track_running_stats:
        return
    with torch.no_grad():
        norm.num_batches_tracked.add_(1)
        momentum = 1.0 / float(norm.num_batches_tracked) if norm.momentum is None else norm.momentum
        norm.running_mean.lerp_(mean_C.to(norm.running_mean.dtype), momentum)
        variance_C = variance_C * (count / max(1, count - 1))
        norm.running_var.lerp_(variance_C.to(norm.running_var.dtype), momentum)
