"""Rules for products of any two tensors: of two activations, or of an activation and weights written as a product."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from snncompress.errors import CountError
from snncompress.measure.counting.arithmetic import coincidences, dense_products
from snncompress.measure.counting.calls import FunctionCall
from snncompress.measure.counting.marks import enliven, is_fixed, is_live
from snncompress.measure.counting.rows import Amounts
from snncompress.measure.counting.tags import like, tag_of
from snncompress.measure.counting.weighted import LETTERS, count_elements, presence, weigh

if TYPE_CHECKING:
    from snncompress.measure.counting.counter import Counter

_PAIR = 2
_FACTORS = {
    "mm": ("input", "mat2"),
    "bmm": ("input", "mat2"),
    "mv": ("input", "vec"),
    "dot": ("input", "tensor"),
    "addmm": ("input", "mat1", "mat2"),
    "baddbmm": ("input", "batch1", "batch2"),
    "addmv": ("input", "mat", "vec"),
}
"""Arguments of matrix products; the last two are multiplied."""


def matmul(counter: Counter, call: FunctionCall) -> None:
    """Count a matrix product; what is added to it comes first in its arguments."""
    a, b = call.given(*_FACTORS.get(call.name, ("input", "other")))[-_PAIR:]
    if call.name == "__rmatmul__":
        a, b = b, a
    _find_activation(counter, a, b, is_summed=a.shape[-1] > 1)
    product(counter, "matmul", a, b, *_matmul_labels(a, b))


def einsum(counter: Counter, call: FunctionCall) -> None:
    """Count ``einsum`` of two operands.

    Raises:
        CountError: if there are more, or the equation leaves axes unnamed.
    """
    equation, tensors = call.arguments[0], call.tensors
    if len(tensors) == 1:
        return
    if not isinstance(equation, str) or len(tensors) > _PAIR or "..." in equation:
        raise CountError(
            f"{counter.place} calls einsum({equation!r}) of {len(tensors)} operands; write it as products of two, without '...'"
        )
    given, arrow, result = equation.replace(" ", "").partition("->")
    left, right = given.split(",")
    if any(len(set(labels)) < len(labels) for labels in (left, right)):
        raise CountError(
            f"{counter.place} calls einsum({equation!r}), which takes a diagonal; write it with torch.diagonal"
        )
    common = set(left) & set(right)
    _find_activation(counter, *tensors, is_summed=bool(common - set(result) if arrow else common))
    product(counter, "einsum", tensors[0], tensors[1], left, right)


def attention(counter: Counter, call: FunctionCall) -> None:
    """Count ``softmax(q k^T) v``; softmax leaves no zero except where a mask does."""
    q, k, v, mask, _, is_causal = call.given("query", "key", "value", "attn_mask", "dropout_p", "is_causal")
    if call.named.get("enable_gqa"):
        k, v = (like(x, x.repeat_interleave(q.shape[-3] // x.shape[-3], -3)) for x in (k, v))
    keys = like(k, k.transpose(-2, -1))
    product(counter, "attention q k", q, keys, *_matmul_labels(q, keys))
    weights = _visible(q, k, mask, is_causal=bool(is_causal))
    enliven(weights)
    count_elements(counter, "softmax", "softmax", weights)
    product(counter, "attention weights v", weights, v, *_matmul_labels(weights, v))


def multiply(counter: Counter, call: FunctionCall) -> None:
    """Count an element-wise product: of two activations, or of an activation and weights; not within a neuron."""
    tensors = call.tensors
    if counter.is_inside_state or len(tensors) < _PAIR:
        return
    a, b = tensors[-_PAIR:]
    if any(not x.dim() or (x.numel() == 1 and not is_live(x)) for x in (a, b)):
        return
    weights = [x for x in (a, b) if not is_live(x)]
    if len(weights) == _PAIR:
        return
    if weights and sum(size > 1 for size in weights[0].shape) < _PAIR:  # one factor for each channel
        count_elements(counter, "scale", "scale", call.result)
        return
    letters = LETTERS[: max(a.dim(), b.dim())]
    product(counter, "product", a, b, letters[len(letters) - a.dim() :], letters[len(letters) - b.dim() :])


def _find_activation(counter: Counter, a: Tensor, b: Tensor, *, is_summed: bool) -> None:
    """Mark the factor that weights meet though nobody saw it depend on the input: the first state of a recurrent layer.

    Raises:
        CountError: if neither factor is known to come from the input or from weights.
    """
    unknown = [x for x in (a, b) if not is_fixed(x)]
    if is_live(a) or is_live(b) or not is_summed:
        return
    if len(unknown) == _PAIR:
        raise CountError(
            f"{counter.place} multiplies two tensors of which the counter has not seen whether they come from the network's "
            "input (made by NumPy, or by a compiled function?); make them with functions of torch"
        )
    enliven(unknown)


def product(counter: Counter, operation: str, a: Tensor, b: Tensor, labels_a: str, labels_b: str) -> None:
    """Count a sum of products of two tensors, labelled as in ``einsum``."""
    sizes = _sizes(a, b, labels_a, labels_b)
    if not is_live(a) and not is_live(b):  # a weight computed from others; no activation takes part
        counter.among_weights[counter.path] += dense_products(a.shape, b.shape, labels_a, labels_b)
        return
    if not is_live(a) or not is_live(b):
        x, weight, labels_x, labels_weight = (a, b, labels_a, labels_b) if is_live(a) else (b, a, labels_b, labels_a)
        weight, labels_weight = _without_repeats(weight, labels_weight, sizes)
        weigh(counter, operation, _expanded(x, labels_x, sizes), weight, labels_x, labels_weight)
        return
    row = counter.row(operation, "attention", _PAIR)
    row.is_first = False
    found = [presence(x, state, tag_of(x)) for x, state in zip((a, b), row.states, strict=True)]
    steps = counter.num_steps(a)
    if steps != counter.num_steps(b) or labels_a[:1] != labels_b[:1] or a.shape[:1] != b.shape[:1]:
        steps = 1
    n_a, n_b = (_expanded(n, labels, sizes) for n, labels in zip(found, (labels_a, labels_b), strict=True))
    pairs = coincidences(n_a, n_b, labels_a, labels_b, labels_a[0] if steps > 1 else "")
    amounts = Amounts(
        dense=dense_products(a.shape, b.shape, labels_a, labels_b),
        num_steps=steps,
        pairs=pairs.reshape(steps, -1).sum(1),
        nonzero=tuple(one.sum(dtype=torch.float64) for one in found),
        sizes=(a.numel(), b.numel()),
    )
    row.calls.append(amounts)


def _matmul_labels(a: Tensor, b: Tensor) -> tuple[str, str]:
    """Label the axes of a matrix product: rows ``y``, columns ``z``, the summed one ``x``, leading axes aligned at the right."""
    leads = [max(0, x.dim() - 2) for x in (a, b)]
    lead = LETTERS[: max(leads)]
    left = lead[len(lead) - leads[0] :] + ("yx" if a.dim() > 1 else "x")
    right = lead[len(lead) - leads[1] :] + ("xz" if b.dim() > 1 else "x")
    return left, right


def _visible(q: Tensor, k: Tensor, mask: Tensor | None, *, is_causal: bool) -> Tensor:
    """Return attention weights that are a positive real number wherever a query sees a key."""
    seen = (q[..., :1] * 0 + k[..., :1].transpose(-2, -1) * 0) + 0.5
    if is_causal:
        seen = seen.tril()
    if mask is not None:
        seen = seen * (mask if mask.dtype is torch.bool else mask.ne(float("-inf")))
    return seen


def _sizes(a: Tensor, b: Tensor, labels_a: str, labels_b: str) -> dict[str, int]:
    sizes = dict(zip(labels_a, a.shape, strict=True))
    for label, size in zip(labels_b, b.shape, strict=True):
        sizes[label] = max(size, sizes.get(label, 1))
    return sizes


def _expanded(x: Tensor, labels: str, sizes: Mapping[str, int]) -> Tensor:
    """Expand axes of size 1 that meet a longer one: each of their entries takes part as often."""
    shape = [sizes[label] for label in labels]
    return x if list(x.shape) == shape else like(x, x.expand(shape))


def _without_repeats(weight: Tensor, labels: str, sizes: Mapping[str, int]) -> tuple[Tensor, str]:
    """Take away axes of size 1 that meet a longer one: the same weights serve all of its positions."""
    repeated = [axis for axis, label in enumerate(labels) if weight.shape[axis] < sizes[label]]
    kept = "".join(label for axis, label in enumerate(labels) if axis not in repeated)
    return (weight.squeeze(repeated) if repeated else weight), kept
