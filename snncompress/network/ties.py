"""Tied tensors: one parameter or buffer that stands in a module under several names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from torch import Tensor, nn

from snncompress.errors import EditError, ModelError

Value = TypeVar("Value")


def ties_of(module: nn.Module) -> dict[str, str]:
    """Return for every second name of a stored tensor the first one."""
    first: dict[int, str] = {}
    ties: dict[str, str] = {}
    for name, value in module.state_dict(keep_vars=True).items():
        if isinstance(value, Tensor):
            known = first.setdefault(id(value), name)
            if known != name:
                ties[name] = known
    return ties


def once(values: Mapping[str, Value], ties: Mapping[str, str]) -> dict[str, Value]:
    """Leave out what stands under a second name."""
    return {name: value for name, value in values.items() if name not in ties}


def under_every_name(values: Mapping[str, Value], ties: Mapping[str, str]) -> dict[str, Value]:
    """Give second names, where they are missing, what stands under the first, and the other way round."""
    known = {first: values[second] for second, first in ties.items() if second in values} | dict(values)
    return known | {second: known[first] for second, first in ties.items() if second not in known and first in known}


def merged_masks(masks: Mapping[str, Tensor], ties: Mapping[str, str]) -> dict[str, Tensor]:
    """Return each mask under the first name of its tensor; what either of two masks removes is removed."""
    merged: dict[str, Tensor] = {}
    for name, mask in masks.items():
        first = ties.get(name, name)
        merged[first] = merged[first] & mask if first in merged else mask
    return merged


def tie(module: nn.Module, ties: Mapping[str, str]) -> None:
    """Put the tensor of each first name in the place of its second one; raise EditError where a name has no tensor."""
    for second, first in ties.items():
        value, old = _tensor(module, first), _tensor(module, second)
        if old is not value:
            holder, _, leaf = second.rpartition(".")
            setattr(module.get_submodule(holder), leaf, value)


def _tensor(module: nn.Module, name: str) -> Tensor:
    holder, _, leaf = name.rpartition(".")
    try:
        value = getattr(module.get_submodule(holder), leaf)
    except AttributeError as error:
        raise EditError(f"the network has no tensor {name!r}") from error
    if not isinstance(value, Tensor):
        raise EditError(f"{name!r} of the network is not a tensor")
    return value


def require_whole(module: nn.Module) -> None:
    """Raise ModelError where two parameters share memory without being one: a copy of the module would part them."""
    places: dict[tuple[int, int], tuple[str, Tensor]] = {}
    for name, value in module.named_parameters():
        if value.is_meta or not value.numel():
            continue
        other, known = places.setdefault((value.data_ptr(), value.numel()), (name, value))
        if known is not value:
            raise ModelError(
                f"{other!r} and {name!r} share their memory but are two parameters, which a copy of the module would part; "
                "make them one: second.weight = first.weight, and transpose it in forward where that is needed"
            )
