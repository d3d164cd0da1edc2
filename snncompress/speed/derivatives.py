"""Derivatives of a stated rule, traced once into plain tensor operations that run as they are and compile alike."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.fx import GraphModule
from torch.fx.experimental.proxy_tensor import make_fx

_EXAMPLE = (2, 3, 5)
"""Sizes of the example that is traced; only its number of dimensions ends up in the graph."""


@cache
def derivative(
    function: Callable[..., Tensor], kinds: tuple[str, ...], num_dims: int, dtype: torch.dtype
) -> GraphModule:
    """Trace the vector-Jacobian product of an elementwise function of tensors.

    Args:
        function: what is derived, (first, second, ...) to one tensor.
        kinds: for each input ``data``, of ``num_dims`` dimensions; ``channel``, of one value for each entry of the last
            dimension; or ``single``, of one value, without dimensions.
        num_dims: 1 for data flattened to [N], 3 for rows [B, L, C].
        dtype: precision of every input; casts are part of the graph.

    Returns:
        A graph (gradient of the output, *inputs) to the gradients of the inputs, each of its input's shape.
    """
    data = _EXAMPLE[3 - num_dims :]
    shapes = {"data": data, "channel": data[-1:], "single": ()}
    examples = [torch.ones(shapes[kind], dtype=dtype) for kind in kinds]

    def product(gradient: Tensor, *inputs: Tensor) -> tuple[Tensor, ...]:
        with torch.enable_grad():
            leaves = [
                _aligned(value.detach(), kind, num_dims).requires_grad_()
                for value, kind in zip(inputs, kinds, strict=True)
            ]
            found = torch.autograd.grad(function(*leaves), leaves, gradient, allow_unused=True)
        return tuple(
            _as_given(torch.zeros_like(leaf) if value is None else value, kind, num_dims)
            for value, leaf, kind in zip(found, leaves, kinds, strict=True)
        )

    return traced(product, torch.ones(data, dtype=dtype), *examples)


def _aligned(value: Tensor, kind: str, num_dims: int) -> Tensor:
    """Give one value for each channel the dimensions of data, so that no size of the example is written into the graph."""
    for _ in range(num_dims - 1 if kind == "channel" else 0):
        value = value.unsqueeze(0)
    return value


def _as_given(value: Tensor, kind: str, num_dims: int) -> Tensor:
    for _ in range(num_dims - 1 if kind == "channel" else 0):
        value = value.squeeze(0)
    return value


def traced(function: Callable[..., Any], *examples: Tensor) -> GraphModule:
    """Trace a function into a graph in which nothing is changed in place and nothing is computed in vain."""
    with torch.inference_mode(mode=False):  # whose tensors no derivative is taken of
        given = [value.clone() for value in examples]
        first = make_fx(function)(*given)
        graph: GraphModule = make_fx(torch.func.functionalize(first))(*given)
    graph.graph.eliminate_dead_code()
    graph.recompile()
    return graph


def reads(graph: GraphModule, index: int) -> bool:
    """Tell whether a traced derivative reads its input ``index`` (0 is the gradient of the output)."""
    inputs: list[Any] = [node for node in graph.graph.nodes if node.op == "placeholder"]
    return bool(inputs[index].users)
