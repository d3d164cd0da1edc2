"""The C of one update rule: the template, and what the rule states written into it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files

import torch
from torch import Tensor
from torch.fx import GraphModule, Node

from snncompress.speed.derivatives import derivative, traced
from snncompress.speed.native.expressions import evaluated, literal, translate
from snncompress.speed.rule import UpdateRule

REAL = {torch.float32: "float", torch.float64: "double"}


@dataclass
class Prepared:
    """The values that the C takes besides data, one for each column or one for all: which, and how torch makes them."""

    wanted: list[tuple[GraphModule, int, Node]] = field(default_factory=list)
    with_threshold: bool = False

    def name_of(self, graph: GraphModule, num_data: int, node: Node) -> str:
        """Return the C name of a node of a graph, remembering that it is wanted."""
        entry = (graph, num_data, node)
        if entry not in self.wanted:
            self.wanted.append(entry)
        return f"q{self.wanted.index(entry) + self.with_threshold}"

    @property
    def count(self) -> int:
        """How many values there are."""
        return len(self.wanted) + self.with_threshold

    def values(self, p: Sequence[Tensor]) -> list[Tensor]:
        """Return the values for the neuron's tensors ``p``."""
        first = [p[0]] if self.with_threshold else []
        return first + [evaluated(graph, [node], num_data, p)[0] for graph, num_data, node in self.wanted]


@dataclass(frozen=True)
class RuleSource:
    """The C of a rule, and what it takes."""

    text: str
    prepared: Prepared


@cache
def rule_source(rule: UpdateRule, num_parameters: int, dtype: torch.dtype) -> RuleSource:
    """Write a rule as C for one precision.

    Raises:
        UntranslatableError: if an operation of the rule has no C here.
    """
    prepared = Prepared(with_threshold=rule.threshold is None)
    data = ("data",) * (2 + num_parameters)
    charge = traced(rule.charge, *(torch.ones(5, dtype=dtype) for _ in data))
    gradient = derivative(rule.charge, data, 1, dtype)
    surrogate = derivative(rule.surrogate, ("data",), 1, dtype)
    forward = translate(charge, ("v", "x"), lambda node: prepared.name_of(charge, 2, node), dtype, exact=True)
    backward = translate(
        gradient, ("g", "v", "x"), lambda node: prepared.name_of(gradient, 3, node), dtype, exact=False
    )
    fired = translate(surrogate, ("g", "u"), lambda _: "", dtype, exact=False)
    tensors = [f"q{index}" for index in range(prepared.count)]
    taken = "".join(f", real {name}" for name in tensors)
    given = "".join(f", TENSOR({index})" for index in range(prepared.count))
    results = [f"*out{index} = {result};" for index, result in enumerate(backward.results)]
    outs = "".join(f", real *out{index}" for index in range(2 + num_parameters))
    sums = " ".join(f"part[{index} * g->C + c + i] += o{index};" for index in range(num_parameters))
    places = ", ".join(["&g_v", "&g_in", *(f"&o{index}" for index in range(num_parameters))])
    own = "".join(f"real o{index}; " for index in range(num_parameters))
    lines = [
        f"static inline real charge_of(real v, real x{taken}) {{ {' '.join(forward.lines)} return {forward.results[0]}; }}",
        f"static inline void backward_of(real g, real v, real x{taken}{outs}) {{ {' '.join([*backward.lines, *results])} }}",
        f"static inline real surrogate_of(real g, real u) {{ {' '.join(fired.lines)} return {fired.results[0]}; }}",
        f"#define CHARGE_ARGUMENTS(v, x, i) v, x{given}",
        f"#define BACKWARD(reaching, v, x, i) {own}backward_of(reaching, v, x{given}, {places}); {sums}",
        *_macros(rule),
    ]
    template = (files("snncompress.speed.native") / "neuron.c").read_text(encoding="utf-8")
    text = template.replace("/* RULE */", "\n".join(lines))
    for name, value in {
        "NUM_TENSORS": str(prepared.count),
        "NUM_GRADIENTS": str(num_parameters),
        "INITIAL": literal(rule.initial),
        "COMPARE": ">" if rule.strict else ">=",
    }.items():
        text = text.replace(name, value)
    return RuleSource(f"#define REAL {REAL[dtype]}\n{text}", prepared)


def norm_source(dtype: torch.dtype) -> str:
    """Return the C of batch norm for one precision."""
    text = (files("snncompress.speed.native") / "norm.c").read_text(encoding="utf-8")
    return f"#define REAL {REAL[dtype]}\n{text}"


def _macros(rule: UpdateRule) -> list[str]:
    threshold = "TENSOR(0)" if rule.threshold is None else literal(rule.threshold)
    value = literal(rule.reset_value)
    after = {"none": "(h)", "soft": "((h) - (s) * THRESHOLD(i))", "hard": f"((s) != 0 ? {value} : (h))"}[rule.reset]
    through = {"none": "(real)0", "soft": "(-(carry) * THRESHOLD(i))", "hard": f"((carry) * ({value} - (h)))"}[
        rule.reset
    ]
    kept = "((carry) * ((real)1 - (s)))" if rule.reset == "hard" else "(carry)"
    reaching = f"-(g_u){' - (carry) * (s)' if rule.reset == 'soft' else ''}"
    return [
        f"#define THRESHOLD(i) {threshold}",
        f"#define AFTER(h, s, i) {after}",
        f"#define THROUGH_RESET(carry, h, i) {'(real)0' if rule.detach_reset else through}",
        f"#define KEPT(carry, s) {kept}",
        f"#define THRESHOLD_GRADIENT(g_u, carry, s, i) {f'part[c + i] += {reaching}' if rule.threshold is None else '(void)0'}",
    ]
