"""Compiling a function once for all sizes, by torch's compiler."""

from __future__ import annotations

import types
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor


def compiled_copy(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function compiled on its own: the compiler counts recompilations by code object, not by function."""
    bound = getattr(function, "__self__", None)
    plain: Any = getattr(function, "__func__", function)
    copy = types.FunctionType(
        plain.__code__.replace(), plain.__globals__, plain.__name__, plain.__defaults__, plain.__closure__
    )
    copy.__kwdefaults__ = plain.__kwdefaults__
    whole: Any = copy if bound is None else types.MethodType(copy, bound)
    compiled: Callable[..., Any] = torch.compile(whole, fullgraph=True)
    return compiled


def sizes_vary(value: Tensor, first: int = 0) -> Tensor:
    """Return the bare values, every size from dimension ``first`` on declared as varying, so that one kernel serves all."""
    bare = value.detach()
    for dim in range(first, bare.dim()):
        if bare.shape[dim] > 1:
            torch._dynamo.maybe_mark_dynamic(bare, dim)  # noqa: SLF001 - the documented way to say so
    return bare
