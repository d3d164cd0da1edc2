"""Copies of modules that train as the original does."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from torch import nn


def copied(module: nn.Module) -> nn.Module:
    """Return a deep copy that keeps the hooks on gradients of parameters, which torch leaves behind.

    A hook that is a method of a part of the module becomes that of the part's copy. snnTorch's LeakyParallel holds its leak
    on a diagonal by such a hook: without it, training fills the matrix.
    """
    made = copy.deepcopy(module)
    twins = dict(zip(module.modules(), made.modules(), strict=True))
    for old, new in zip(module.parameters(), made.parameters(), strict=True):
        hooks = old._backward_hooks or {}  # noqa: SLF001 - torch offers them nowhere else
        for hook in hooks.values() if new.requires_grad else ():
            new.register_hook(_of_the_copy(hook, twins))  # type: ignore[no-untyped-call] # torch leaves it untyped
    return made


def _of_the_copy(hook: Any, twins: Mapping[nn.Module, nn.Module]) -> Any:
    holder = getattr(hook, "__self__", None)
    return getattr(twins[holder], hook.__name__) if isinstance(holder, nn.Module) and holder in twins else hook
