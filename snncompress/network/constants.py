"""What a module holds besides its state dict: arrays in plain attributes, and buffers that are not stored."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

_OF_TORCH = frozenset(vars(nn.Module()))
"""Where torch itself keeps parameters, buffers, children and hooks."""


def differing_constants(one: nn.Module, other: nn.Module) -> Iterator[str]:
    """Yield the names of the arrays outside the state dict that two modules of one architecture do not share."""
    here, there = constants(one), constants(other)
    for name in dict.fromkeys((*here, *there)):
        if name not in here or name not in there or not _equal(here[name], there[name]):
            yield name


def constants(root: nn.Module) -> dict[str, Any]:
    """Return the tensors and arrays outside the state dict by name, those in lists and mappings too."""
    stored = root.state_dict(keep_vars=True)
    known = {id(value) for value in stored.values()}
    return {
        name: value
        for path, module in root.named_modules()
        for name, value in _arrays(_held(module), path)
        if name not in stored and id(value) not in known and not _is_computed(name, value, stored)
    }


def _held(module: nn.Module) -> dict[str, Any]:
    """Return what stands in a module's attributes, and its buffers: torch names those that are not stored nowhere else."""
    own = {name: value for name, value in vars(module).items() if name not in _OF_TORCH}
    return {**own, **module._buffers}  # noqa: SLF001 - see above


def _is_computed(name: str, value: Any, stored: Mapping[str, Any]) -> bool:
    """Tell whether a tensor follows from stored ones, as the weight behind a pruning or normalising hook does."""
    follows = any(name + ending in stored for ending in ("_orig", "_g"))
    return follows or (isinstance(value, Tensor) and value.grad_fn is not None)


def _arrays(value: Any, name: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, (Tensor, np.ndarray)):
        yield name, value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _arrays(item, f"{name}.{key}".removeprefix("."))
    elif isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            yield from _arrays(item, f"{name}.{index}")


def _equal(one: Any, other: Any) -> bool:
    if isinstance(one, Tensor) and isinstance(other, Tensor):
        if one.shape != other.shape or one.dtype != other.dtype or one.is_meta or other.is_meta:
            return one.shape == other.shape and one.dtype == other.dtype
        return (
            torch.allclose(one, other, rtol=0, atol=0, equal_nan=True)
            if one.is_floating_point()
            else torch.equal(one, other)
        )
    if isinstance(one, Tensor) or isinstance(other, Tensor):
        return False
    return bool(one.dtype == other.dtype and one.tobytes() == other.tobytes())
