"""What a function hands on: functions that only move values about keep tags, pools and sums change them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import prod
from typing import Any

import torch
from torch import Tensor

from snncompress.measure.counting.calls import FunctionCall, flat
from snncompress.measure.counting.marks import enliven, fix, is_fixed, is_live
from snncompress.measure.counting.tags import NOTHING, Tag, tag_of, tagged

JOINS = frozenset(("stack", "cat", "concat", "concatenate", "hstack", "vstack"))
MOVES = JOINS | frozenset(
    (
        *("reshape", "view", "view_as", "reshape_as", "flatten", "unflatten", "permute", "transpose", "t", "swapaxes"),
        *("swapdims", "movedim", "moveaxis", "contiguous", "squeeze", "unsqueeze", "__getitem__", "narrow", "select"),
        *("index_select", "gather", "chunk", "split", "tensor_split", "unbind", "expand", "expand_as", "repeat"),
        *("tile", "clone", "detach", "roll", "flip", "to", "float", "double", "half", "bfloat16", "type_as", "cpu"),
        *("cuda", "pixel_shuffle", "pixel_unshuffle"),
    )
)
"""Functions whose results hold nothing but the values that they were given."""

_NUMBERS = frozenset(("arange", "linspace", "logspace", "eye", "tril_indices", "triu_indices"))
"""Functions that make constants, never the state of a layer."""

_OF_THE_FIRST = frozenset(("view_as", "reshape_as", "expand_as", "type_as", "to"))
"""Functions whose second tensor gives a shape or a type, and no values."""

MAX_POOLS = frozenset(f"{kind}max_pool{axes}d" for kind in ("", "adaptive_") for axes in (1, 2, 3))
AVERAGE_POOLS = frozenset(f"avg_pool{axes}d" for axes in (1, 2, 3))
ADAPTIVE_POOLS = frozenset(f"adaptive_avg_pool{axes}d" for axes in (1, 2, 3))
_SUMS = frozenset(("add", "__add__", "__radd__", "__iadd__", "add_", "sum"))
_SIGNATURE = ("input", "kernel_size", "stride", "padding", "ceil_mode", "count_include_pad", "divisor_override")
"""Arguments of the average pools."""


def hand_on(call: FunctionCall) -> None:
    """Mark the result of a function as live where an argument is, and tag it where the arguments' tags say what it holds."""
    tensors = _sources(call)
    if not any(is_live(value) for value in tensors):
        are_fixed = any(map(is_fixed, tensors)) and all(is_fixed(value) or not value.dim() for value in tensors)
        if are_fixed or call.name in _NUMBERS:
            fix(call.result)
        return
    enliven(call.result)
    enliven(_written(call))
    tags = [tag_of(value) for value in tensors]
    if all(tag is NOTHING for tag in tags):
        return
    first = tags[0]
    if call.name in MOVES:
        _moved(call, tags)
    elif call.name in MAX_POOLS and first.operand in ("spikes", "scaled_spikes") and isinstance(call.result, Tensor):
        tagged(call.result, Tag(first.operand, is_positive=first.is_positive))
    elif call.name in AVERAGE_POOLS | ADAPTIVE_POOLS and first.operand not in (None, "integers", "real"):
        _pooled(call, first)
    elif call.name in _SUMS and _adds_whole_numbers(call, tags):
        tagged(call.result, Tag("integers"))


def _sources(call: FunctionCall) -> list[Tensor]:
    """Return the tensors whose values are in the result; a fixed tensor that lends its type alone is none."""
    if call.name in _OF_THE_FIRST:
        return call.tensors[:1]
    if call.name == "new_tensor":
        return call.tensors[1:]
    if call.name.startswith("new_") or call.name.endswith("_like"):
        return [value for value in call.tensors if is_live(value)]
    return call.tensors


def _written(call: FunctionCall) -> list[Tensor]:
    """Return the tensors that a function has changed: what it wrote to, and the tensor that this is a view of."""
    is_in_place = call.name.endswith("_") and not call.name.endswith("__")
    if call.name == "__setitem__" or is_in_place or (call.name.startswith("__i") and call.name != "__iter__"):
        written = call.tensors[:1] if call.name == "__setitem__" else [call.result]
    else:
        written = [call.named.get("out")]
    found = [value for value in flat(written) if isinstance(value, Tensor)]
    return [*found, *(value._base for value in found if value._is_view() and value._base is not None)]  # noqa: SLF001 - torch offers it nowhere else


def _adds_whole_numbers(call: FunctionCall, tags: Sequence[Tag]) -> bool:
    is_whole = all(tag.operand in ("spikes", "integers") for tag in tags)
    return is_whole and isinstance(call.result, Tensor) and not any(isinstance(value, float) for value in call.values)


def _moved(call: FunctionCall, tags: Sequence[Tag]) -> None:
    is_joined = call.name in JOINS
    sources = tags if is_joined else tags[:1]
    operands = {tag.operand for tag in sources}
    if len(operands) > 1:
        if operands == {"spikes", "integers"}:
            _tag_all(call.result, Tag("integers"))
        if operands == {"spikes", "scaled_spikes"}:  # a layer with a scale may stay silent, or its scale be 1
            _tag_all(call.result, Tag("scaled_spikes"))
        return
    tag = replace(
        sources[0],
        is_positive=all(source.is_positive for source in sources),
        is_input=all(source.is_input for source in sources),
    )
    if tag.events is None:
        _tag_all(call.result, tag)
        return
    events = [source.events for source in sources]
    named = {key: value for key, value in call.named.items() if key not in ("tensors", "input")}
    moved = call.function(events if is_joined else events[0], *call.arguments[1:], **named)
    for value, event in zip(flat(call.result), flat(moved), strict=True):
        tagged(value, replace(tag, events=event))


def _tag_all(value: Any, tag: Tag) -> None:
    for item in flat(value):
        if isinstance(item, Tensor) and tag is not NOTHING:
            tagged(item, tag)


def _pooled(call: FunctionCall, tag: Tag) -> None:
    """Tag average-pooled spikes with the number of spikes in each window."""
    x = call.arguments[0] if call.arguments else call.named["input"]
    window = _window(call, x)
    if window is None:
        return
    events = tag.events if tag.events is not None else x.ne(0).to(torch.float32)
    rest = {key: value for key, value in call.named.items() if key != "input"}
    pooled = call.function(events, *call.arguments[1:], **rest)
    tagged(call.result, Tag("spike_counts", events=(pooled * window).round().double()))


def _window(call: FunctionCall, x: Tensor) -> int | None:
    """Return the one number by which the pool divides everywhere, or None where borders are divided by less."""
    num_axes = int(call.name[-2])
    if call.name in ADAPTIVE_POOLS:
        pairs = list(zip(x.shape[-num_axes:], call.result.shape[-num_axes:], strict=True))
        return prod(size // out for size, out in pairs) if all(size % out == 0 for size, out in pairs) else None
    given: Mapping[str, Any] = {**dict(zip(_SIGNATURE, call.arguments, strict=False)), **call.named}
    if given.get("divisor_override"):
        return int(given["divisor_override"])
    has_padding = any(flat(given.get("padding", 0)))
    if given.get("ceil_mode", False) or (has_padding and not given.get("count_include_pad", True)):
        return None
    sizes = list(flat(given["kernel_size"]))
    return int(prod(sizes if len(sizes) == num_axes else sizes * num_axes))
