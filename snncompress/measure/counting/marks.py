"""Marks on tensors while a network runs: whether they depend on its input.

A mark is an attribute of the tensor, or of the tensor that it is a view of. All are taken off when the counting ends.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from torch import Tensor

from snncompress.measure.counting.calls import flat

TAG = "_snncompress_tag"
"""The attribute that holds a tensor's tag."""

_LIVE, _FIXED = "_snncompress_live", "_snncompress_fixed"


def is_live(x: Tensor) -> bool:
    """Tell whether a tensor depends on the network's input; parameters, buffers and what follows from them alone do not."""
    return _is_marked(x, _LIVE)


def is_fixed(x: Tensor) -> bool:
    """Tell whether a tensor follows from parameters and buffers alone.

    What is neither fixed nor live was made on the way: the first state of a recurrent layer, or what NumPy returned.
    """
    return _is_marked(x, _FIXED) and not is_live(x)


def enliven(value: Any) -> None:
    """Mark every tensor in a value as depending on the network's input."""
    _mark(value, _LIVE)


def fix(value: Any) -> None:
    """Mark every tensor in a value as following from parameters and buffers alone."""
    _mark(value, _FIXED)


def untag(values: Iterable[Any]) -> None:
    """Take the tags off tensors."""
    _unmark(values, TAG)


def forget(values: Iterable[Any]) -> None:
    """Take every mark and tag off tensors that outlive the counting."""
    _unmark(values, TAG, _LIVE, _FIXED)


def version_of(x: Tensor) -> int:
    """Return how often a tensor has been changed in place; -1 where torch does not say, under ``inference_mode``."""
    return -1 if x.is_inference() else x._version  # noqa: SLF001 - torch offers it nowhere else


def _mark(value: Any, mark: str) -> None:
    for item in flat(value):
        if isinstance(item, Tensor):
            setattr(item, mark, True)


def _is_marked(x: Tensor, mark: str) -> bool:
    """Tell whether a tensor carries a mark, or the tensor that it is a view of."""
    return hasattr(x, mark) or (x._is_view() and hasattr(x._base, mark))  # noqa: SLF001 - torch offers it nowhere else


def _unmark(values: Iterable[Any], *names: str) -> None:
    for value in values:
        for name in names:
            if isinstance(value, Tensor) and hasattr(value, name):
                delattr(value, name)
