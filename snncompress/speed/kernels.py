"""Neurons over all time steps at once: one autograd function, run by torch as it is, by C, or by torch's compiler."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Literal, Protocol

import torch
from torch import Tensor

from snncompress.speed.compiling import compiled_copy, sizes_vary
from snncompress.speed.layout import Layout
from snncompress.speed.native.expressions import UntranslatableError
from snncompress.speed.native.library import Columns, native_rule
from snncompress.speed.rule import Fusible, UpdateRule
from snncompress.speed.steps import Gradients, backward_steps, fired, forward_steps

LONGEST = 8
"""Steps that torch's compiler puts into one kernel; longer sequences run in pieces that share it."""

PRECISIONS = (torch.float32, torch.float64)
"""What is compiled; other precisions run in pure torch."""

Tensors = tuple[Tensor, ...]

Kernels = Literal["torch", "native", "inductor"]
"""Pure torch; C, for a CPU; torch's compiler, for other devices."""


def run_rule(
    rule: UpdateRule,
    x: Tensor,
    v_B: Tensor | None,
    parameters: Sequence[Tensor] = (),
    *,
    steps: int,
    record: bool = False,
    kernels: Kernels = "torch",
) -> tuple[Tensor, Tensor]:
    """Run a neuron over time.

    Args:
        rule: its update rule.
        x: its input x_TB..., or [1, B, ...] where it is the same at each step.
        v_B: its membrane before the first step, shaped as one step of ``x``; None: the rule's initial value.
        parameters: its tensors as the rule takes them.
        steps: the number of time steps T.
        record: whether the membranes behind all steps are wanted, not only the last one.
        kernels: what runs it; ``native`` falls back to ``torch`` where the rule has no C.

    Returns:
        spikes_TB... and the last membrane [B, ...], or with ``record`` all of them, [T, B, ...].
    """
    if kernels != "torch":
        x, v_B = _of_one_precision(x, v_B, parameters)
    layout = Layout.of(x, parameters)
    tensors = tuple(layout.parameter(value) for value in parameters)
    kind = NeuronKind(rule, layout.num_dims, steps, constant=len(x) != steps, record=record)
    first = None if v_B is None else layout.flat_step(v_B)
    spikes, membranes = _pieces(kind, layout.flat(x), first, tensors, kernels)
    return layout.unflat(spikes), layout.unflat(membranes) if record else layout.unflat_step(membranes)


def _of_one_precision(x: Tensor, v_B: Tensor | None, parameters: Sequence[Tensor]) -> tuple[Tensor, Tensor | None]:
    """Return input and membrane in the precision that torch's operations would promote them to."""
    dtype = x.dtype
    for value in (v_B, *parameters):
        if value is not None and value.dim():
            dtype = torch.promote_types(dtype, value.dtype)
    return x.to(dtype), None if v_B is None else v_B.to(dtype)


@dataclass(frozen=True)
class NeuronKind:
    """What one kernel is made for.

    Attributes:
        rule: the update rule.
        num_dims: dimensions of one step.
        steps: time steps.
        constant: whether the input is the same at each step, [1, ...].
        record: whether all membranes are returned.
    """

    rule: UpdateRule
    num_dims: int
    steps: int
    constant: bool
    record: bool

    def first(self, x: Tensor, v: Tensor | None) -> Tensor:
        """Return the membrane before the first step."""
        return torch.full_like(x[0], self.rule.initial) if v is None else v

    def inputs(self, x: Tensor) -> list[Tensor]:
        """Return the input of each step."""
        return [x.squeeze(0)] * self.steps if self.constant else list(x.unbind(0))

    def membranes(self, kept: list[Tensor]) -> Tensor:
        """Return the membranes that were asked for, of those behind each step."""
        return torch.stack(kept) if self.record else kept[-1]

    def run(self, x: Tensor, v: Tensor | None, p: Tensors) -> tuple[list[Tensor], list[Tensor], list[Tensor]]:
        """Return spikes, potentials and membranes of each step, by operations that a compiler can put together."""
        rule = self.rule
        first = self.first(x, v)
        return forward_steps(rule, self.inputs(x), first, p, lambda h, threshold, _: fired(rule, h, threshold))

    def run_back(
        self,
        gradients: Gradients,
        g_spikes: Tensor,
        g_membranes: Tensor | None,
        x: Tensor,
        v: Tensor | None,
        p: Tensors,
    ) -> tuple[Tensor, Tensor, list[Tensor]]:
        """Return the gradients of input, first membrane and tensors, the potentials computed again."""
        spikes, potentials, _ = self.run(x, v, p)
        reaching, inputs, first = self.reaching_membranes(g_membranes), self.inputs(x), self.first(x, v)
        g_xs, g_v, g_p = backward_steps(
            self.rule, gradients, g_spikes.unbind(0), reaching, spikes, potentials, inputs, first, p
        )
        return self.reaching_input(g_xs), g_v, g_p

    def reaching_membranes(self, g_membranes: Tensor | None) -> list[Tensor | None]:
        """Return the gradient that reaches the membrane behind each step from outside."""
        if g_membranes is None:
            return [None] * self.steps
        return list(g_membranes.unbind(0)) if self.record else [*[None] * (self.steps - 1), g_membranes]

    def reaching_input(self, g_xs: list[Tensor]) -> Tensor:
        """Return the gradient of the input, of those of each step."""
        found = torch.stack(g_xs)
        return found.sum(0, keepdim=True) if self.constant else found


def _pieces(
    kind: NeuronKind, x: Tensor, v: Tensor | None, p: tuple[Tensor, ...], kernels: Kernels
) -> tuple[Tensor, Tensor]:
    kernel = _kernel(kind, kernels, len(p), x.dtype)
    if kind.steps <= LONGEST or not isinstance(kernel, _Compiled):
        return _run(kernel, x, v, p)
    length = next((size for size in range(LONGEST, LONGEST // 2, -1) if kind.steps % size == 0), LONGEST)
    all_spikes, all_membranes = [], []
    for start in range(0, kind.steps, length):
        size = min(length, kind.steps - start)
        part = replace(kind, steps=size)
        one = x if kind.constant else x[start : start + size]
        spikes, membranes = _run(_kernel(part, kernels, len(p), x.dtype), one, v, p)
        v = membranes[-1] if kind.record else membranes
        all_spikes.append(spikes)
        all_membranes.append(membranes)
    assert v is not None  # noqa: S101 - there is at least one piece
    return torch.cat(all_spikes), torch.cat(all_membranes) if kind.record else v


def _run(kernel: _Kernel, x: Tensor, v: Tensor | None, p: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
    if torch.is_grad_enabled() and any(value is not None and value.requires_grad for value in (x, v, *p)):
        found: tuple[Tensor, Tensor] = _Fused.apply(kernel, x, v, *p)
        return found
    spikes, membranes, _ = kernel.forward(x, v, p, keep=False)
    return spikes, membranes


@cache
def _kernel(kind: NeuronKind, kernels: Kernels, num_parameters: int, dtype: torch.dtype) -> _Kernel:
    if kernels == "torch" or dtype not in PRECISIONS:
        return _Plain(kind)
    if kernels == "native":
        try:
            return _Native(kind, num_parameters, dtype)
        except UntranslatableError:  # torch's compiler would round otherwise too
            return _Plain(kind)
    return _Compiled(kind)


@cache
def _has_c(rule: UpdateRule, num_parameters: int) -> bool:
    try:
        native_rule(rule, num_parameters, torch.float32)
    except UntranslatableError:
        return False
    return True


def has_kernel(how: Fusible, kernels: Kernels) -> bool:
    """Tell whether a neuron can run in one kernel with what is in front of it."""
    return kernels != "native" or _has_c(how.rule, len(how.parameters))


class _Kernel(Protocol):
    """One way to run a neuron forward and backward, in the flat layout."""

    kind: NeuronKind

    def forward(
        self, x: Tensor, v: Tensor | None, p: tuple[Tensor, ...], *, keep: bool = True
    ) -> tuple[Tensor, Tensor, list[Tensor]]:
        """Return spikes, membranes as asked for, and the potentials if the backward pass needs them."""

    def backward(
        self,
        g_spikes: Tensor,
        g_membranes: Tensor | None,
        kept: Sequence[Tensor],
        x: Tensor,
        v: Tensor | None,
        p: Tensors,
    ) -> tuple[Tensor | None, ...]:
        """Return the gradients of the input, of the first membrane and of the neuron's tensors."""


class _Native:
    """C: one pass forward, one backward, which computes the potentials again."""

    def __init__(self, kind: NeuronKind, num_parameters: int, dtype: torch.dtype) -> None:
        self.kind = kind
        self._rule = native_rule(kind.rule, num_parameters, dtype)

    def forward(
        self, x: Tensor, v: Tensor | None, p: Tensors, *, keep: bool = True
    ) -> tuple[Tensor, Tensor, list[Tensor]]:
        del keep
        size = self._size(x)
        spikes, membranes = self._rule.forward(
            x.detach(), v if v is None else v.detach(), p, size, self.kind.steps, record=self.kind.record
        )
        return spikes, membranes, []

    def backward(
        self,
        g_spikes: Tensor,
        g_membranes: Tensor | None,
        kept: Sequence[Tensor],
        x: Tensor,
        v: Tensor | None,
        p: Tensors,
    ) -> tuple[Tensor | None, ...]:
        del kept
        size = self._size(x)
        reaching = None if g_membranes is None else g_membranes.contiguous()
        g_x, g_v, sums = self._rule.backward(x, v, p, size, g_spikes.contiguous(), reaching, record=self.kind.record)
        return g_x, g_v, *size.gradients_of(p, sums)

    def _size(self, x: Tensor) -> Columns:
        if self.kind.num_dims > 1:
            return Columns.of(x.shape[1], x.shape[2])
        return Columns.flat(x[0].numel())


class _Plain:
    """Pure torch: one pass an operation, spikes written where they stay, potentials kept for the backward pass."""

    def __init__(self, kind: NeuronKind) -> None:
        self.kind = kind

    def forward(
        self, x: Tensor, v: Tensor | None, p: Tensors, *, keep: bool = True
    ) -> tuple[Tensor, Tensor, list[Tensor]]:
        rule, v = self.kind.rule, self.kind.first(x, v)
        spikes = v.new_empty((self.kind.steps, *v.shape))
        compare = torch.gt if rule.strict else torch.ge

        def fire(h: Tensor, threshold: float | Tensor, step: int) -> Tensor:
            compare(h, threshold, out=spikes[step])
            return spikes[step]

        _, potentials, membranes = forward_steps(rule, self.kind.inputs(x), v, p, fire)
        return spikes, self.kind.membranes(membranes), potentials if keep else []

    def backward(
        self,
        g_spikes: Tensor,
        g_membranes: Tensor | None,
        kept: Sequence[Tensor],
        x: Tensor,
        v: Tensor | None,
        p: Tensors,
    ) -> tuple[Tensor | None, ...]:
        spikes, *potentials = kept
        v = self.kind.first(x, v)
        gradients = Gradients.of(self.kind.rule, self.kind.num_dims, p, v.dtype)
        g_xs, g_v, g_p = backward_steps(
            self.kind.rule,
            gradients,
            g_spikes.unbind(0),
            self.kind.reaching_membranes(g_membranes),
            spikes.unbind(0),
            potentials,
            self.kind.inputs(x) if gradients.reads_x else None,
            v,
            p,
        )
        return self.kind.reaching_input(g_xs), g_v, *g_p


class _Compiled:
    """One kernel forward and one backward, which computes the potentials again: that costs it nothing."""

    def __init__(self, kind: NeuronKind) -> None:
        self.kind = kind
        self._forward = compiled_copy(self._forward_steps)
        self._backward: dict[tuple[Any, ...], Any] = {}

    def _forward_steps(self, x: Tensor, v: Tensor, *p: Tensor) -> tuple[Tensor, Tensor]:
        spikes, _, membranes = self.kind.run(x, v, p)
        return torch.stack(spikes), self.kind.membranes(membranes)

    def forward(
        self, x: Tensor, v: Tensor | None, p: Tensors, *, keep: bool = True
    ) -> tuple[Tensor, Tensor, list[Tensor]]:
        del keep
        v = self.kind.first(x, v)
        spikes, membranes = self._forward(sizes_vary(x, 1), sizes_vary(v), *(sizes_vary(value) for value in p))
        return spikes, membranes, []

    def backward(
        self,
        g_spikes: Tensor,
        g_membranes: Tensor | None,
        kept: Sequence[Tensor],
        x: Tensor,
        v: Tensor | None,
        p: Tensors,
    ) -> tuple[Tensor | None, ...]:
        del kept
        v = self.kind.first(x, v)
        form = v.dtype, *(value.dim() for value in p)
        if form not in self._backward:
            self._backward[form] = self._compiled_backward(Gradients.of(self.kind.rule, self.kind.num_dims, p, v.dtype))
        found: tuple[Tensor, ...] = self._backward[form](
            sizes_vary(g_spikes.contiguous(), 1),
            None if g_membranes is None else sizes_vary(g_membranes.contiguous(), 1 if self.kind.record else 0),
            sizes_vary(x, 1),
            sizes_vary(v),
            *(sizes_vary(value) for value in p),
        )
        return found

    def _compiled_backward(self, gradients: Gradients) -> Any:
        kind = self.kind

        def backward(g_spikes: Tensor, g_membranes: Tensor | None, x: Tensor, v: Tensor, *p: Tensor) -> Any:
            g_x, g_v, g_p = kind.run_back(gradients, g_spikes, g_membranes, x, v, p)
            return (g_x, g_v, *g_p)

        return compiled_copy(backward)


class _Fused(torch.autograd.Function):
    """The fused neuron as autograd sees it."""

    @staticmethod
    def forward(ctx: Any, kernel: _Kernel, x: Tensor, v: Tensor | None, *p: Tensor) -> tuple[Tensor, Tensor]:
        spikes, membranes, potentials = kernel.forward(x, v, p)
        ctx.kernel, ctx.num_parameters = kernel, len(p)
        ctx.set_materialize_grads(False)
        ctx.spikes, ctx.version = (spikes.detach(), spikes._version) if potentials else (None, -1)  # noqa: SLF001 - no public way
        ctx.save_for_backward(x, v, *p, *potentials)
        return spikes, membranes

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, g_spikes: Tensor | None, g_membranes: Tensor | None) -> tuple[Any, ...]:
        x, v, *rest = ctx.saved_tensors
        p, potentials = tuple(rest[: ctx.num_parameters]), rest[ctx.num_parameters :]
        kept = [_spikes_again(ctx, p, potentials), *potentials] if potentials else []
        if g_spikes is None:
            g_spikes = x.new_zeros((ctx.kernel.kind.steps, *x.shape[1:]))
        g_x, g_v, *g_p = ctx.kernel.backward(g_spikes, g_membranes, kept, x, v, p)
        return None, g_x, None if v is None else g_v, *g_p


def _spikes_again(ctx: Any, p: Tensors, potentials: Sequence[Tensor]) -> Tensor:
    """Return the spikes of the forward pass: networks may add to them in place, and then they are compared anew."""
    spikes, ctx.spikes = ctx.spikes, None
    if spikes is not None and spikes._version == ctx.version:  # noqa: SLF001 - no public way
        found: Tensor = spikes
        return found
    rule = ctx.kernel.kind.rule
    return torch.stack([fired(rule, h, rule.threshold_of(p)) for h in potentials])
