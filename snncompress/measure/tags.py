"""What is known of a tensor while a network runs: that it depends on the input, and that it holds spikes.

A tag is an attribute of the tensor, valid as long as the tensor is not changed in place (its version tells). Functions that
only move values about hand it on; every other function's result has none, and is judged by its values.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Any

import torch
from torch import Tensor

from snncompress.counts import Operand
from snncompress.measure.calls import FunctionCall, flat

_TAG, _LIVE = "_snncompress_tag", "_snncompress_live"

MOVES = frozenset(
    (
        *("reshape", "view", "view_as", "reshape_as", "flatten", "unflatten", "permute", "transpose", "t", "swapaxes"),
        *("swapdims", "movedim", "moveaxis", "contiguous", "squeeze", "unsqueeze", "__getitem__", "narrow", "select"),
        *(
            "index_select",
            "gather",
            "chunk",
            "split",
            "tensor_split",
            "unbind",
            "expand",
            "expand_as",
            "repeat",
            "tile",
        ),
        *("clone", "detach", "roll", "flip", "to", "float", "double", "half", "bfloat16", "type_as", "cpu", "cuda"),
        *("stack", "cat", "concat", "concatenate", "hstack", "vstack", "pixel_shuffle", "pixel_unshuffle"),
    )
)
"""Functions whose results hold nothing but the values that they were given."""

MAX_POOLS = frozenset(f"{kind}max_pool{axes}d" for kind in ("", "adaptive_") for axes in (1, 2, 3))
AVERAGE_POOLS = frozenset(f"avg_pool{axes}d" for axes in (1, 2, 3))
ADAPTIVE_POOLS = frozenset(f"adaptive_avg_pool{axes}d" for axes in (1, 2, 3))
_SUMS = frozenset(("add", "__add__", "__radd__", "__iadd__", "add_", "sum"))
_SIGNATURE = ("input", "kernel_size", "stride", "padding", "ceil_mode", "count_include_pad", "divisor_override")
"""Arguments of the average pools."""


@dataclass(frozen=True)
class Tag:
    """Say what a tensor holds.

    Attributes:
        operand: what its entries are; None where only ``is_input`` is known.
        events: how many spikes each entry stands for, of the tensor's shape, for ``spike_counts``.
        is_positive: whether spikes are 0 and 1 in float32, so that the tensor itself says how many there are.
        is_input: whether it is the network's own input, moved about at most.
        version: the tensor's version when it was tagged.
    """

    operand: Operand | None = None
    events: Tensor | None = None
    is_positive: bool = False
    is_input: bool = False
    version: int = 0


NOTHING = Tag()


def tagged(x: Tensor, tag: Tag) -> Tensor:
    """Attach a tag to a tensor and return the tensor."""
    setattr(x, _TAG, replace(tag, version=x._version))  # noqa: SLF001 - torch offers the version nowhere else
    return x


def tag_of(x: Tensor) -> Tag:
    """Return the tag of a tensor, or an empty one."""
    tag: Tag | None = getattr(x, _TAG, None)
    return tag if tag is not None and tag.version == x._version else NOTHING  # noqa: SLF001 - see above


def is_live(x: Tensor) -> bool:
    """Tell whether a tensor depends on the network's input; parameters, buffers and what follows from them alone do not."""
    return hasattr(x, _LIVE)


def enliven(value: Any) -> None:
    """Mark every tensor in a value as depending on the network's input."""
    for item in flat(value):
        if isinstance(item, Tensor):
            setattr(item, _LIVE, True)


def like(old: Tensor, new: Tensor) -> Tensor:
    """Return a rearranged view with what is known of the tensor that it shows; counts of events are not rearranged."""
    if is_live(old):
        enliven(new)
    tag = tag_of(old)
    return new if tag.events is not None else tagged(new, tag)


def hand_on(call: FunctionCall) -> None:
    """Mark the result of a function as live where an argument is, and tag it where the arguments' tags say what it holds."""
    tensors = call.tensors
    if not any(is_live(value) for value in tensors):
        return
    enliven(call.result)
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


def spikes_in(x: Tensor, scale: Tensor | float | None) -> Tag:
    """Return the tag of what a neuron has put out, by its values and the scale that it declares."""
    nonzero = x.ne(0)
    if torch.equal(nonzero, x.eq(1)):
        return Tag("spikes", is_positive=x.dtype is torch.float32)
    size = x.abs()
    if torch.equal(nonzero, size.eq(1)):
        return Tag("spikes")
    if scale is not None:
        expected = torch.as_tensor(scale, dtype=x.dtype, device=x.device).abs()
        if torch.equal(nonzero, size.eq(expected) & nonzero):
            return Tag("scaled_spikes")
    return NOTHING


def _adds_whole_numbers(call: FunctionCall, tags: Sequence[Tag]) -> bool:
    is_whole = all(tag.operand in ("spikes", "integers") for tag in tags)
    return is_whole and isinstance(call.result, Tensor) and not any(isinstance(value, float) for value in call.values)


def _moved(call: FunctionCall, tags: Sequence[Tag]) -> None:
    is_joined = isinstance(call.arguments[0], (list, tuple)) if call.arguments else False
    sources = tags if is_joined else tags[:1]
    operands = {tag.operand for tag in sources}
    if len(operands) > 1:
        if operands == {"spikes", "integers"}:
            _tag_all(call.result, Tag("integers"))
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
    moved = call.function(events if is_joined else events[0], *call.arguments[1:], **call.named)
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
    events = tag.events if tag.events is not None else x.ne(0).to(x.dtype)
    rest = {key: value for key, value in call.named.items() if key != "input"}
    pooled = call.function(events, *call.arguments[1:], **rest)
    tagged(call.result, Tag("spike_counts", events=(pooled * window).round()))


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
