"""The tensors in what modules and operations take and return."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from torch import Tensor


def tensors_in(value: Any) -> Iterator[Tensor]:
    """Yield the tensors in a value, however deep in tuples, lists and mappings."""
    if isinstance(value, Tensor):
        yield value
    for inner in value.values() if isinstance(value, Mapping) else value if isinstance(value, (tuple, list)) else ():
        yield from tensors_in(inner)


def place_in_memory(value: Tensor) -> int:
    """Return where a tensor's numbers lie: the same for its views."""
    return value.untyped_storage().data_ptr()
