"""Rules for operations of an activation with weights, and what an operand holds."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from string import ascii_letters
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from snncompress.counts import Kind
from snncompress.measure.counting.arithmetic import coincidences, dense_products, fan_out, met, summed, taps
from snncompress.measure.counting.calls import FunctionCall
from snncompress.measure.counting.marks import enliven, is_fixed
from snncompress.measure.counting.rows import Amounts, OperandState, RowBuilder
from snncompress.measure.counting.tags import Tag, like, tag_of

if TYPE_CHECKING:
    from snncompress.measure.counting.counter import Counter

LETTERS = "abcdefgh"
"""Labels of axes that lead."""


def presence(x: Tensor, state: OperandState, tag: Tag) -> Tensor:
    """Return how many events each entry of x stands for (1 where it is not zero), and note what x holds."""
    if tag.events is not None:
        state.known = "spike_counts"
        return tag.events
    if tag.is_positive and x.dtype is torch.float32:
        return x
    found = x.ne(0).to(torch.float32)
    if tag.operand == "scaled_spikes":
        state.known = state.known or "scaled_spikes"
    elif tag.operand != "spikes":
        if state.is_binary:
            state.is_binary = torch.equal(x.abs().to(torch.float32), found)
        if not state.is_binary and state.is_integer and tag.operand != "integers":
            state.is_integer = torch.equal(x.trunc(), x)
    return found


def count_elements(counter: Counter, operation: str, kind: Kind, x: Tensor) -> None:
    """Count the entries of x as a row of something that makes no multiply-accumulates."""
    row = counter.row(operation, kind)
    row.is_first = False
    row.calls.append(Amounts(x.numel(), counter.num_steps(x)))


def linear(counter: Counter, call: FunctionCall) -> None:
    """Count ``linear``."""
    x, weight, bias = call.given("input", "weight", "bias")
    if among_weights(counter, x, call.result.numel() * x.shape[-1]):
        return
    lead = LETTERS[: x.dim() - 1]
    weigh(counter, "linear", x, weight, f"{lead}i", "oi" if weight.dim() > 1 else "i")
    if bias is not None:
        count_elements(counter, "bias", "bias", call.result)


def cell(counter: Counter, call: FunctionCall) -> None:
    """Count one step of a recurrent cell: its gates weigh the input and the state."""
    x, state, of_input, of_state, bias, _ = call.given("input", "hx", "w_ih", "w_hh", "b_ih", "b_hh")
    hidden = state[0] if isinstance(state, (list, tuple)) else state
    for operand, weight in ((x, of_input), (hidden, of_state)):
        lead = LETTERS[: operand.dim() - 1]
        weigh(counter, "cell", operand, weight, f"{lead}i", "oi")
    if bias is not None:
        count_elements(counter, "bias", "bias", call.result[0] if isinstance(call.result, tuple) else call.result)


def among_weights(counter: Counter, x: Tensor, dense: int) -> bool:
    """Tell whether x follows from weights alone, so that no activation takes part: the audit alone wants to know."""
    if is_fixed(x):
        counter.among_weights[counter.path] += dense
        return True
    enliven(x)  # a constant made on the way, such as the first state of a recurrent layer
    return False


def weigh(counter: Counter, operation: str, x: Tensor, weight: Tensor, labels_x: str, labels_weight: str) -> None:
    """Count a sum of products of an activation and weights, labelled as in ``einsum``."""
    row = _row_of(counter, operation, weight)
    steps = counter.num_steps(x)
    found = presence(x, row.states[0], tag_of(x))
    shared = "".join(label for label in labels_x if label in labels_weight)
    if labels_x.endswith(shared) and (steps == 1 or len(shared) < x.dim()):
        step = next(letter for letter in ascii_letters if letter not in labels_x + labels_weight)
        n, labels = summed(found, steps, len(shared)), step + shared
    else:
        n, labels, step, steps = found, labels_x, "", 1
    nonzero = counter.of_weight(weight, "nonzero", lambda: weight.ne(0).double())
    amounts = Amounts(
        dense=dense_products(x.shape, weight.shape, labels_x, labels_weight),
        num_steps=steps,
        fanout=coincidences(n, torch.ones_like(nonzero), labels, labels_weight, step),
        pairs=coincidences(n, nonzero, labels, labels_weight, step),
        nonzero=(n.sum(dtype=torch.float64),),
        sizes=(x.numel(),),
    )
    _enter(row, x, amounts)


def convolution(counter: Counter, call: FunctionCall) -> None:
    """Count a convolution or a transposed one, exactly at borders."""
    is_transposed = "transpose" in call.name
    rest = ("output_padding", "groups", "dilation") if is_transposed else ("dilation", "groups")
    x, weight, bias, stride, padding, *more = call.given("input", "weight", "bias", "stride", "padding", *rest)
    given = dict(zip(rest, more, strict=True))
    groups, num_axes, result = given["groups"] or 1, weight.dim() - 2, call.result
    dense = (x.numel() if is_transposed else result.numel()) * prod(weight.shape[1:])
    if among_weights(counter, x, dense):
        return
    if x.dim() == num_axes + 1:  # one sample without a batch axis
        x, result = like(x, x.unsqueeze(0)), result.unsqueeze(0)
    dilations = _each(given["dilation"], 1, num_axes)
    geometry = zip(
        *(x.shape[2:], result.shape[2:], weight.shape[2:], _each(stride, 1, num_axes)),
        *(_paddings(padding, weight.shape[2:], dilations), dilations),
        strict=True,
    )
    reach = [
        taps(size, out, kernel, stride=step, padding=pad, dilation=dilation, transposed=is_transposed)
        for size, out, kernel, step, pad, dilation in geometry
    ]
    row = _row_of(counter, call.name, weight)
    steps = counter.num_steps(x)
    n_SCX = summed(presence(x, row.states[0], tag_of(x)), steps, num_axes + 1)
    met_SCK = met(n_SCX, reach)
    behind_CK = counter.of_weight(weight, "fan-out", lambda: fan_out(weight, groups, transposed=is_transposed))
    width = weight.shape[1] if is_transposed else weight.shape[0] // groups
    amounts = Amounts(
        dense=dense,
        num_steps=steps,
        fanout=met_SCK.flatten(1).sum(1) * width,
        pairs=(met_SCK * behind_CK).flatten(1).sum(1),
        nonzero=(n_SCX.sum(),),
        sizes=(x.numel(),),
    )
    _enter(row, x, amounts)
    if bias is not None:
        count_elements(counter, "bias", "bias", result)


def _row_of(counter: Counter, operation: str, weight: Tensor) -> RowBuilder:
    """Return the row of a weight: all calls with it in one module are one row, named after it if it is not ``weight``."""
    name = counter.name_of(weight)
    local = name.removeprefix(f"{counter.path}." if counter.path else "")
    row = counter.row(operation if local in ("", "weight") else f"{operation}({local})", "synapse", 1, merge=bool(name))
    row.weights = weight.numel()
    row.weights_nonzero = counter.of_weight(weight, "count", lambda: int(weight.count_nonzero()))
    return row


def _enter(row: RowBuilder, x: Tensor, amounts: Amounts) -> None:
    tag = tag_of(x)
    row.is_first = row.is_first and tag.is_input
    row.scale_folded = row.scale_folded or tag.operand in ("scaled_spikes", "spike_counts")
    row.calls.append(amounts)


def _each(value: Any, default: int, count: int) -> list[int]:
    if value is None:
        return [default] * count
    values = [value] if isinstance(value, int) else list(value)
    return values * count if len(values) == 1 else values


def _paddings(padding: Any, kernel: Sequence[int], dilations: Sequence[int]) -> list[int]:
    if padding == "valid":
        return [0] * len(kernel)
    if padding == "same":  # the shorter side comes first where the total is odd
        return [dilation * (size - 1) // 2 for size, dilation in zip(kernel, dilations, strict=True)]
    return _each(padding, 0, len(kernel))
