"""What a tensor is known to hold while a network runs.

A tag is an attribute of the tensor, valid as long as the tensor is not changed in place (its version tells). What has no
tag is judged by its values.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from snncompress.counts import Operand
from snncompress.measure.counting.marks import TAG, enliven, is_live, version_of


@dataclass(frozen=True)
class Tag:
    """Say what a tensor holds.

    Attributes:
        operand: what its entries are; None where only ``is_input`` is known.
        events: how many spikes each entry stands for, of the tensor's shape, for ``spike_counts``.
        is_positive: whether spikes are 0 and 1, so that the tensor itself says how many there are, if it is in float32.
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
    if (version := version_of(x)) >= 0:
        setattr(x, TAG, replace(tag, version=version))
    return x


def tag_of(x: Tensor) -> Tag:
    """Return the tag of a tensor, or an empty one."""
    tag: Tag | None = getattr(x, TAG, None)
    return tag if tag is not None and tag.version == version_of(x) else NOTHING


def like(old: Tensor, new: Tensor) -> Tensor:
    """Return a rearranged view with what is known of the tensor that it shows; counts of events are not rearranged."""
    if is_live(old):
        enliven(new)
    tag = tag_of(old)
    return new if tag.events is not None else tagged(new, tag)


def spikes_in(x: Tensor, scale: Tensor | float | None) -> Tag:
    """Return the tag of what a neuron has put out, by its values and the scale that it declares."""
    nonzero = x.ne(0)
    if torch.equal(nonzero, x.eq(1)):
        return Tag("spikes", is_positive=True)
    size = x.abs()
    if torch.equal(nonzero, size.eq(1)):
        return Tag("spikes")
    if scale is not None:
        expected = torch.as_tensor(scale, dtype=x.dtype, device=x.device).abs()
        if torch.equal(nonzero, size.eq(expected) & nonzero):
            return Tag("scaled_spikes")
    return NOTHING
