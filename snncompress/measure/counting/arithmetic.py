"""The exact arithmetic of counting: pure tensor functions, all results whole numbers in float64.

A product of an activation and a weight happens where both are not zero. Which activations meet which weights follows from
shapes alone, so it is enough to know how often each position is not zero: samples are summed away first (exactly: a sum
of ones over fewer than 2**24 entries is a whole number of float32, and longer sums are taken in float64), and what remains
is small. Nothing is kept per sample, and no second convolution is run.

Shapes: S steps (T, or 1 where a call holds one step), M everything summed away, C channels, K taps of a kernel.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import torch
from torch import Tensor

_LETTERS = "abcdefgh"
_EXACT = 2**24
"""From here on float32 does not hold every whole number."""


def summed(x: Tensor, num_steps: int, kept: int) -> Tensor:
    """Sum x, steps slowest in its first axis, over all but the steps and the last ``kept`` axes; [S, ...] in float64."""
    shape = x.shape[x.dim() - kept :]
    return _exact_sum(x.reshape(num_steps, -1, *shape), [1])


def taps(size: int, out: int, kernel: int, *, stride: int, padding: int, dilation: int, transposed: bool) -> Tensor:
    """Return [kernel, size]: 1 where the input at a position meets that tap of the kernel, along one axis."""
    tap, position = torch.arange(kernel)[:, None], torch.arange(size)[None, :]
    if transposed:
        target = position * stride - padding + tap * dilation
        return ((target >= 0) & (target < out)).double()
    shifted = position + padding - tap * dilation
    target = shifted.div(stride, rounding_mode="floor")
    return ((shifted % stride == 0) & (target >= 0) & (target < out)).double()


def met(n_SCX: Tensor, reach: Sequence[Tensor]) -> Tensor:
    """Return [S, C, K...]: how many of the inputs counted in n_SCX meet each tap; ``reach`` is one [K, X] for each axis."""
    axes = _LETTERS[: len(reach)]
    terms = [f"st{axes}", *(f"{axis.upper()}{axis}" for axis in axes)]
    return torch.einsum(f"{','.join(terms)}->st{axes.upper()}", n_SCX, *(one.to(n_SCX) for one in reach))


def fan_out(weight: Tensor, groups: int, *, transposed: bool) -> Tensor:
    """Return [C, K...]: the weights that are not zero behind each input channel and tap of a convolution."""
    nonzero = weight.ne(0).double()
    if transposed:  # [C, out / groups, K...]
        return nonzero.sum(1)
    grouped = nonzero.reshape(
        groups, weight.shape[0] // groups, *weight.shape[1:]
    )  # [groups, out / groups, C / groups, K...]
    return grouped.sum(1).flatten(0, 1)


def coincidences(a: Tensor, b: Tensor, labels_a: str, labels_b: str, step: str = "") -> Tensor:
    """Count pairs of a sum of products: entries of a and b that meet, as ``einsum`` labels them; [S] or [] in float64.

    a and b hold how often each entry is not zero; an axis that only one of them has is summed away first. ``step`` is
    the label of the steps, kept in the result.
    """
    left, labels_a = _reduced(a, labels_a, labels_b + step)
    right, labels_b = _reduced(b, labels_b, labels_a + step)
    return torch.einsum(f"{labels_a},{labels_b}->{step}", left, right)


def _reduced(x: Tensor, labels: str, kept: str) -> tuple[Tensor, str]:
    alone = [axis for axis, label in enumerate(labels) if label not in kept]
    return (_exact_sum(x, alone) if alone else x.double()), "".join(label for label in labels if label in kept)


def _exact_sum(x: Tensor, axes: Sequence[int]) -> Tensor:
    entries = prod(x.shape[axis] for axis in axes)
    return x.sum(list(axes), dtype=torch.float64 if entries >= _EXACT else None).double()


def dense_products(shape_a: Sequence[int], shape_b: Sequence[int], labels_a: str, labels_b: str) -> int:
    """Return the number of products of an ``einsum`` of two operands if nothing were zero."""
    sizes = dict(zip(labels_a, shape_a, strict=True))
    for label, size in zip(labels_b, shape_b, strict=True):
        sizes[label] = max(size, sizes.get(label, 1))
    return prod(sizes.values())
