"""The compiled C of one rule, and of batch norm, as functions of tensors."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor

from snncompress.speed.native.build import opened
from snncompress.speed.native.source import RuleSource, norm_source, rule_source
from snncompress.speed.rule import UpdateRule

WIDTH = 64
"""Columns that the C works on at once."""

_BLOCKS = 64
"""Blocks of rows: their number depends on the rows alone, so that sums do not depend on the number of threads."""


@dataclass(frozen=True)
class Columns:
    """Rows and columns as the C sees them: columns repeated where there are few.

    Attributes:
        rows: R.
        columns: C, a multiple of ``channels`` (or of 1, where one value serves all).
        channels: columns before they were repeated.
    """

    rows: int
    columns: int
    channels: int

    @classmethod
    def of(cls, rows: int, channels: int) -> Columns:
        """Repeat columns until they fill the width, where the rows can be taken together so."""
        repeat = 1
        while channels * repeat * 2 <= WIDTH and rows % (repeat * 2) == 0:
            repeat *= 2
        return cls(rows // repeat, channels * repeat, channels)

    @classmethod
    def flat(cls, count: int) -> Columns:
        """Give values without channels columns: as many as fill the width, if that divides them."""
        width = next(width for width in range(WIDTH, 0, -1) if count % width == 0)
        return cls(count // width, width, width)

    @property
    def blocks(self) -> int:
        """Number of blocks of rows."""
        return max(1, min(_BLOCKS, self.rows))

    def summed(self, sums: Tensor) -> Tensor:
        """Return sums [blocks, K, columns] as [K, channels]."""
        return torch.unflatten(sums, 2, (-1, self.channels)).sum((0, 2))

    def gradients_of(self, p: Sequence[Tensor], sums: Tensor) -> list[Tensor]:
        """Return the gradients of a rule's tensors, the first of the sums, each in its tensor's shape: [C], or one value."""
        totals = self.summed(sums) if p else ()
        return [(one if value.dim() else one.sum()).to(value.dtype) for one, value in zip(totals, p, strict=False)]


NUM_COLUMNS = 4
"""Mean, inverse deviation, scale and shift of a norm: what norm.c writes and neuron.c reads."""


@cache
def _given(count: int) -> type[ctypes.Structure]:
    """Return the mirror of ``Given`` in neuron.c for the number of values that a rule takes."""
    pointer, number = ctypes.c_void_p, ctypes.c_long
    numbers = [(name, number) for name in ("T", "R", "C", "blocks", "channels", "constant", "record")]
    pointers = [(name, pointer) for name in ("x", "columns", "v0")]
    arrays = [("tensors", pointer * (count + 1)), ("strides", number * (count + 1))]
    return type("Given", (ctypes.Structure,), {"_fields_": [*numbers, *pointers, *arrays]})


class _Native:
    """Compiled C."""

    def __init__(self, source: str) -> None:
        self._library, self._is_new = opened(source)

    def was_compiled(self) -> bool:
        """Tell whether it was compiled, and not found compiled; only who asks first is told so."""
        is_new, self._is_new = self._is_new, False
        return is_new


class NativeRule(_Native):
    """One rule in one precision.

    Raises:
        UntranslatableError: if an operation of the rule has no C.
        ModelError: if the compiler fails.
    """

    def __init__(self, rule: UpdateRule, num_parameters: int, dtype: torch.dtype) -> None:
        self.source: RuleSource = rule_source(rule, num_parameters, dtype)
        self.num_parameters = num_parameters
        super().__init__(self.source.text)

    def forward(
        self,
        x: Tensor,
        v0: Tensor | None,
        p: Sequence[Tensor],
        size: Columns,
        steps: int,
        *,
        record: bool,
        columns: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Run over [T or 1, rows, columns]; return spikes [T, ...] and the last membrane, or with ``record`` all.

        ``columns`` [4, channels] are those of a norm in front.
        """
        given, alive = self._given(x, v0, p, size, steps, columns, record=record)
        spikes = x.new_empty((steps, *x.shape[1:]))
        membranes = torch.empty_like(spikes) if record else x.new_empty(x.shape[1:])
        self._library.neuron_forward(ctypes.byref(given), _threads(), _at(spikes), _at(membranes))
        del alive
        return spikes, membranes

    def backward(
        self,
        x: Tensor,
        v0: Tensor | None,
        p: Sequence[Tensor],
        size: Columns,
        g_spikes: Tensor,
        g_membranes: Tensor | None,
        *,
        record: bool,
        columns: Tensor | None = None,
    ) -> tuple[Tensor, Tensor | None, Tensor]:
        """Return the gradients of input and first membrane, and sums [blocks, parameters + 2, columns] in double precision.

        The last two sums are those that a norm in front needs: of the gradient that reaches it, and of that times the
        standardised values.
        """
        given, alive = self._given(x, v0, p, size, len(g_spikes), columns, record=record)
        g_x, g_v0 = torch.empty_like(x), None if v0 is None else torch.empty_like(v0)
        sums = x.new_empty((size.blocks, self.num_parameters + 2, size.columns), dtype=torch.float64)
        places = (_at(value) for value in (g_spikes, g_membranes, g_x, g_v0, sums))
        self._library.neuron_backward(ctypes.byref(given), _threads(), *places)
        del alive
        return g_x, g_v0, sums

    def _given(
        self,
        x: Tensor,
        v0: Tensor | None,
        p: Sequence[Tensor],
        size: Columns,
        steps: int,
        columns: Tensor | None,
        *,
        record: bool,
    ) -> tuple[ctypes.Structure, list[Tensor]]:
        prepared = self.source.prepared.values([value.detach() for value in p])
        values = [value.to(x.dtype).contiguous() for value in prepared]  # a comparison is boolean
        numbers = (steps, size.rows, size.columns, size.blocks, size.channels, int(len(x) != steps), int(record))
        given: Any = _given(len(values))(*numbers, *(_at(value).value for value in (x, columns, v0)))
        for index, value in enumerate(values):
            given.tensors[index] = value.data_ptr()
            given.strides[index] = int(value.dim() > 0)
        return given, values


class NativeNorm(_Native):
    """Batch norm over rows [..., C] in one precision."""

    def __init__(self, dtype: torch.dtype) -> None:
        super().__init__(norm_source(dtype))

    def statistics(self, x: Tensor, size: Columns, affine: tuple[Tensor, Tensor], eps: float) -> tuple[Tensor, Tensor]:
        """Return columns [4, channels] (mean, inverse deviation, scale, shift) and the variance, divided by n."""
        sums = x.new_empty((size.blocks, 2, size.columns), dtype=torch.float64)
        columns, variance = x.new_empty((NUM_COLUMNS, size.channels)), x.new_empty(size.channels)
        places = (_at(value) for value in (sums, columns, variance))
        given = (_at(value) for value in (x, *affine))
        self._library.norm_statistics(*_sizes(size), *given, ctypes.c_double(eps), *places)
        return columns, variance

    def apply(self, x: Tensor, size: Columns, columns: Tensor) -> Tensor:
        """Return x scale + shift."""
        y = torch.empty_like(x)
        self._library.norm_apply(*_sizes(size), *(_at(value) for value in (x, columns, y)))
        return y

    def gradient_sums(self, x: Tensor, size: Columns, columns: Tensor, g: Tensor) -> Tensor:
        """Return sums [blocks, 2, columns]: of g, and of g times the standardised values."""
        sums = x.new_empty((size.blocks, 2, size.columns), dtype=torch.float64)
        self._library.norm_gradient_sums(*_sizes(size), *(_at(value) for value in (x, columns, g, sums)))
        return sums

    def backward(
        self, x: Tensor, size: Columns, columns: Tensor, g: Tensor, sums: Tensor, *, in_place: bool
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return the gradients of x, weight and bias; that of x in the place of g, if so wished."""
        g_x = g if in_place else torch.empty_like(x)
        g_bias, g_weight, means = (x.new_empty(shape) for shape in (size.channels, size.channels, (2, size.channels)))
        counts = (ctypes.c_long(number) for number in sums.shape)
        given = (_at(value) for value in (x, columns, g, sums))
        self._library.norm_backward(*_sizes(size), *given, *counts, *(_at(v) for v in (g_bias, g_weight, means, g_x)))
        return g_x, g_weight, g_bias


@cache
def native_rule(rule: UpdateRule, num_parameters: int, dtype: torch.dtype) -> NativeRule:
    """Return the compiled rule, made once."""
    return NativeRule(rule, num_parameters, dtype)


@cache
def native_norm(dtype: torch.dtype) -> NativeNorm:
    """Return compiled batch norm, made once."""
    return NativeNorm(dtype)


def _at(value: Tensor | None) -> ctypes.c_void_p:
    assert value is None or value.is_contiguous()  # noqa: S101 - the C knows no strides
    return ctypes.c_void_p(None if value is None else value.data_ptr())


def _threads() -> ctypes.c_long:
    return ctypes.c_long(torch.get_num_threads())


def _sizes(size: Columns) -> tuple[ctypes.c_long, ...]:
    return (_threads(), *(ctypes.c_long(value) for value in (size.rows, size.columns, size.channels, size.blocks)))
