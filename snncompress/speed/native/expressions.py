"""Traced tensor operations as C statements on single numbers."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.fx import GraphModule, Node

SAME = frozenset(
    [
        "detach",
        "alias",
        "clone",
        "view",
        "expand",
        "_to_copy",
        "lift_fresh",
        "lift_fresh_copy",
        "unsqueeze",
        "squeeze",
        "reshape",
    ]
)
"""Operations that leave single numbers as they are."""

CONSTANT = {"ones_like": 1.0, "zeros_like": 0.0, "new_ones": 1.0, "new_zeros": 0.0}

EXACT: Mapping[str, str] = {
    "neg": "(-{0})",
    "mul": "({0} * {1})",
    "div": "({0} / {1})",
    "reciprocal": "((real)1 / {0})",
    "abs": "fabs({0})",
    "square": "({0} * {0})",
    "sign": "sign_of({0})",
    "sgn": "sign_of({0})",
    "relu": "({0} < 0 ? (real)0 : {0})",
    "maximum": "({0} > {1} || {0} != {0} ? {0} : {1})",
    "minimum": "({0} < {1} || {0} != {0} ? {0} : {1})",
    "ge": "(real)({0} >= {1})",
    "gt": "(real)({0} > {1})",
    "le": "(real)({0} <= {1})",
    "lt": "(real)({0} < {1})",
    "eq": "(real)({0} == {1})",
    "ne": "(real)({0} != {1})",
    "logical_and": "(real)({0} != 0 && {1} != 0)",
    "bitwise_and": "(real)({0} != 0 && {1} != 0)",
    "logical_or": "(real)({0} != 0 || {1} != 0)",
    "bitwise_or": "(real)({0} != 0 || {1} != 0)",
    "logical_not": "(real)({0} == 0)",
    "bitwise_not": "(real)({0} == 0)",
    "where": "({0} != 0 ? {1} : {2})",
    "masked_fill": "({1} != 0 ? {2} : {0})",
    "clamp_min": "({0} < {1} || {1} != {1} ? {1} : {0})",
    "clamp_max": "({0} > {1} || {1} != {1} ? {1} : {0})",
    "floor": "floor({0})",
    "ceil": "ceil({0})",
    "threshold_backward": "({1} <= {2} ? (real)0 : {0})",
}
"""Operations that C rounds as torch does."""

ROUNDED: Mapping[str, str] = {
    "sqrt": "sqrt({0})",
    "exp": "exponential({0})",
    "sigmoid": "sigmoid({0})",
    "tanh": "tangent({0})",
    "log": "log({0})",
    "log1p": "log1p({0})",
    "rsqrt": "((real)1 / sqrt({0}))",
    "erf": "erf({0})",
    "sin": "sin({0})",
    "cos": "cos({0})",
    "atan": "atan({0})",
    "sigmoid_backward": "({0} * ((real)1 - {1}) * {1})",
    "tanh_backward": "({0} * ((real)1 - {1} * {1}))",
}
"""Operations whose last bits may differ from torch's: welcome in derivatives, not in what decides about a spike."""


_ROOT = 0.5

_TRUTHS = frozenset(
    [
        "ge",
        "gt",
        "le",
        "lt",
        "eq",
        "ne",
        *(f"{kind}_{name}" for kind in ("logical", "bitwise") for name in ("and", "or", "not")),
    ]
)
"""Operations that give 0 or 1, which every precision holds."""


class UntranslatableError(Exception):
    """An operation that has no C here; the rule then runs another way."""


@dataclass
class Translation:
    """C for one traced function.

    Attributes:
        lines: statements, in order.
        results: an expression for each output.
        prepared: nodes that depend on the neuron's tensors alone: torch computes them once a call.
    """

    lines: list[str] = field(default_factory=list)
    results: list[str] = field(default_factory=list)
    prepared: list[Node] = field(default_factory=list)


def translate(
    graph: GraphModule, data: Sequence[str], name_of: Callable[[Node], str], dtype: torch.dtype, *, exact: bool
) -> Translation:
    """Translate a graph of operations on tensors of one shape.

    Args:
        graph: what is translated; its first inputs are data, the others the neuron's tensors.
        data: C names of the data inputs.
        name_of: gives the C name of a value that depends on the neuron's tensors alone.
        dtype: what C computes in.
        exact: whether to refuse operations that C rounds otherwise.

    Raises:
        UntranslatableError: if an operation has no C here.
    """
    translator = _Translator(graph, data, name_of, dtype, exact=exact)
    for node in graph.graph.nodes:
        translator.take(node)
    return translator.done


class _Translator:
    """What is known of the nodes of one graph so far."""

    def __init__(
        self,
        graph: GraphModule,
        data: Sequence[str],
        name_of: Callable[[Node], str],
        dtype: torch.dtype,
        *,
        exact: bool,
    ) -> None:
        self.graph, self.name_of, self.dtype, self.exact = graph, name_of, dtype, exact
        self.waiting = list(data)
        self.done = Translation()
        self.names: dict[Node, str] = {}
        self.tensors: set[Node] = set()
        self.fixed: set[Node] = set()

    def take(self, node: Node) -> None:
        """Translate the next node."""
        if node.op == "placeholder":
            if self.waiting:
                self.names[node] = self.waiting.pop(0)
            else:
                self.tensors.add(node)
        elif node.op == "output":
            (found,) = node.args
            results = found if isinstance(found, (list, tuple)) else [found]
            self.done.results = [self.spoken(value) for value in results]
        else:
            self._compute(node)

    def _compute(self, node: Node) -> None:
        used = [value for value in node.all_input_nodes if value not in self.fixed]
        if (number := _fixed_value(self.graph, node)) is not None:
            self.names[node] = literal(number)
            self.fixed.add(node)
        elif used and all(value in self.tensors for value in used):
            self.tensors.add(node)
        else:
            self.names[node] = f"n{len(self.names)}"
            expression = _expression(node, self.spoken, self.dtype, exact=self.exact)
            self.done.lines.append(f"const real {self.names[node]} = {expression};")

    def spoken(self, value: Any) -> str:
        """Return the C of an argument."""
        if not isinstance(value, Node):
            return literal(value)
        if value not in self.tensors:
            return self.names[value]
        if value not in self.done.prepared:
            self.done.prepared.append(value)
        return self.name_of(value)


def evaluated(graph: GraphModule, wanted: Sequence[Node], num_data: int, p: Sequence[Tensor]) -> list[Tensor]:
    """Return the values of nodes that depend on the neuron's tensors alone, by torch itself."""
    inputs = [node for node in graph.graph.nodes if node.op == "placeholder"][num_data:]
    known: dict[Node, Any] = dict(zip(inputs, p, strict=True))

    def value_of(item: Any) -> Any:
        if not isinstance(item, Node):
            return item
        if item not in known and (number := _fixed_value(graph, item)) is not None:
            known[item] = torch.tensor(number, dtype=p[0].dtype, device=p[0].device)
        elif item not in known:
            name = _name(item)
            arguments = [value_of(one) for one in item.args]
            known[item] = arguments[0] if name in SAME - {"_to_copy"} else item.target(*arguments, **item.kwargs)  # type: ignore[operator]
        return known[item]

    return [value_of(node) for node in wanted]


def literal(value: Any) -> str:
    """Return a number as C, to the last bit."""
    if isinstance(value, bool):
        return f"((real){int(value)})"
    if not isinstance(value, (int, float)):
        raise UntranslatableError(f"a value of type {type(value).__name__}")
    if math.isnan(value):
        return "((real)NAN)"
    if math.isinf(value):
        return "((real)INFINITY)" if value > 0 else "((real)-INFINITY)"
    return f"((real){float(value).hex()})"


def _fixed(value: Tensor) -> float:
    if value.numel() != 1:
        raise UntranslatableError("a fixed tensor of several values")
    return value.item()


def _fixed_value(graph: GraphModule, node: Node) -> Any:
    """Return the number that a node stands for, None where it depends on inputs."""
    return _fixed(getattr(graph, str(node.target))) if node.op == "get_attr" else _constant(node)


def _name(node: Node) -> str:
    packet = getattr(node.target, "overloadpacket", node.target)
    return str(getattr(packet, "__name__", packet))


def _constant(node: Node) -> Any:
    """Return the number that an operation fills its result with, None for other operations."""
    name = _name(node)
    if name in ("full_like", "full", "new_full"):
        return node.args[2] if name == "new_full" else node.args[1]
    return node.args[0] if name == "scalar_tensor" else CONSTANT.get(name)


def _expression(node: Node, spoken: Callable[[Any], str], dtype: torch.dtype, *, exact: bool) -> str:
    name, arguments = _name(node), list(node.args)
    if name in SAME:
        if name == "_to_copy" and not _keeps(arguments[0], node.kwargs.get("dtype") or dtype, dtype, exact=exact):
            raise UntranslatableError(f"a cast to {node.kwargs['dtype']}")
        return spoken(arguments[0])
    if name in ("add", "sub", "rsub"):
        return _sum(name, arguments, node.kwargs.get("alpha", 1), spoken, exact=exact)
    if name == "pow":
        return _power(arguments, spoken, exact=exact)
    if name == "clamp":
        return _clamped(arguments, spoken)
    known = EXACT.get(name) or (None if exact else ROUNDED.get(name))
    if known is None or node.kwargs:
        raise UntranslatableError(f"the operation {name!r}")
    return known.format(*(spoken(value) for value in arguments))


def _keeps(value: Any, to: Any, dtype: torch.dtype, *, exact: bool) -> bool:
    """Tell whether a cast leaves a value as it is, or nearly so where it need not be exact."""
    return bool(to == dtype or (to.is_floating_point and (not exact or _name(value) in _TRUTHS)))


def _sum(name: str, arguments: list[Any], alpha: Any, spoken: Callable[[Any], str], *, exact: bool) -> str:
    if exact and alpha != 1:
        raise UntranslatableError("a sum with a factor, which torch rounds once in most places and twice in others")
    if name == "rsub":
        arguments, name = [arguments[1], arguments[0]], "sub"
    first, second = (spoken(value) for value in arguments[:2])
    scaled = second if alpha == 1 else f"({literal(alpha)} * {second})"
    return f"({first} {'+' if name == 'add' else '-'} {scaled})"


def _power(arguments: list[Any], spoken: Callable[[Any], str], *, exact: bool) -> str:
    base, exponent = arguments
    value = spoken(base)
    known = {1: value, 2: f"({value} * {value})", _ROOT: f"sqrt({value})", -1: f"((real)1 / {value})"}
    known[-2] = f"((real)1 / ({value} * {value}))"
    known[3] = f"({value} * {value} * {value})"
    if exact and (isinstance(exponent, Node) or exponent not in known or exponent == _ROOT):
        raise UntranslatableError(f"the power {exponent}")
    if isinstance(exponent, Node) or exponent not in known:
        return f"pow({value}, {spoken(exponent)})"
    return known[exponent]


def _clamped(arguments: list[Any], spoken: Callable[[Any], str]) -> str:
    value, low, high = [*arguments, None, None][:3]
    found = spoken(value)
    if low is not None:
        found = EXACT["clamp_min"].format(found, spoken(low))
    return found if high is None else EXACT["clamp_max"].format(found, spoken(high))
