"""The neurons of SpikingJelly that the fast path can run, each by its update rule, in the library's own expressions."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from spikingjelly.activation_based import neuron
from torch import Tensor, nn

from snncompress import Fusible, StateError, UpdateRule
from snncompress_spikingjelly.nodes import SLIFNode, StrictlyAbove
from snncompress_spikingjelly.surrogates import Surrogate, replaced, stated_surrogate


def integrate(v: Tensor, x: Tensor) -> Tensor:
    """Return the potential of a neuron without leak."""
    return v + x


@dataclass(frozen=True)
class Leak:
    """A fixed leak towards ``rest``; the input decays with the membrane or not."""

    tau: float
    rest: float
    decay_input: bool

    def __call__(self, v: Tensor, x: Tensor) -> Tensor:
        """Return the potential before the spike."""
        above = v - self.rest if self.rest else v
        return v + (x - above) / self.tau if self.decay_input else v - above / self.tau + x


@dataclass(frozen=True)
class TrainableLeak:
    """A leak by 1 / tau = sigmoid(w)."""

    rest: float
    decay_input: bool

    def __call__(self, v: Tensor, x: Tensor, w: Tensor) -> Tensor:
        """Return the potential before the spike."""
        part = w.sigmoid()
        above = v - self.rest if self.rest else v
        return v + (x - above) * part if self.decay_input else v - above * part + x


@dataclass(frozen=True)
class LeakOfTensors:
    """A leak by tensors of the neuron, behind its threshold."""

    rest: float
    decay_input: bool

    def __call__(self, v: Tensor, x: Tensor, threshold: Tensor, tau: Tensor) -> Tensor:
        """Return the potential before the spike."""
        del threshold
        above = v - self.rest if self.rest else v
        return v + (x - above) / tau if self.decay_input else v - above / tau + x


@dataclass(frozen=True)
class RectifiedLeak:
    """A fixed leak, scaled by k and cut off below zero."""

    leak: Leak

    def __call__(self, v: Tensor, x: Tensor, k: Tensor) -> Tensor:
        """Return the potential before the spike."""
        return torch.relu(k * self.leak(v, x))


@dataclass(frozen=True)
class SimpleLeak:
    """The leak of ``SimpleLIFNode``, which adds in another order."""

    tau: float
    rest: float
    decay_input: bool

    def __call__(self, v: Tensor, x: Tensor) -> Tensor:
        """Return the potential before the spike."""
        return v + (self.rest - v + x) / self.tau if self.decay_input else v + (self.rest - v) / self.tau + x


@dataclass(frozen=True)
class Quadratic:
    """A drift away from the critical voltage, quadratic in the membrane."""

    tau: float
    factor: float
    rest: float
    critical: float

    def __call__(self, v: Tensor, x: Tensor) -> Tensor:
        """Return the potential before the spike."""
        return v + (x + self.factor * (v - self.rest) * (v - self.critical)) / self.tau


@dataclass(frozen=True)
class _Kind:
    """How a class of neurons states itself: its charge, and which attributes are numbers and tensors of its rule.

    Where ``derives``, the tensors are those that its method ``derived`` makes the rule's tensors of, of any shape.
    """

    charge: Callable[[Any], Callable[..., Tensor]]
    numbers: tuple[str, ...] = ()
    tensors: tuple[str, ...] = ()
    derives: bool = False


def _leak(node: Any) -> Leak:
    return Leak(float(node.tau), _rest(node), bool(node.decay_input))


def _rest(node: Any) -> float:
    return 0.0 if node.v_reset is None else float(node.v_reset)


_INTEGRATES = _Kind(lambda _: integrate)
_KINDS: dict[type[nn.Module], _Kind] = {
    neuron.IFNode: _INTEGRATES,
    neuron.SimpleIFNode: _INTEGRATES,
    neuron.HalfThresholdIFNode: _INTEGRATES,
    neuron.LIFNode: _Kind(_leak, ("tau",)),
    neuron.SimpleLIFNode: _Kind(
        lambda node: SimpleLeak(float(node.tau), _rest(node), bool(node.decay_input)), ("tau",)
    ),
    neuron.ParametricLIFNode: _Kind(lambda node: TrainableLeak(_rest(node), bool(node.decay_input)), tensors=("w",)),
    neuron.KLIFNode: _Kind(lambda node: RectifiedLeak(_leak(node)), ("tau",), ("k",)),
    SLIFNode: _Kind(
        lambda node: LeakOfTensors(_rest(node), bool(node.decay_input)),
        ("tau",),
        ("threshold_offset", "leak_offset"),
        derives=True,
    ),
    neuron.QIFNode: _Kind(
        lambda node: Quadratic(float(node.tau), float(node.a0), float(node.v_rest), float(node.v_c)),
        ("tau", "a0", "v_rest", "v_c"),
    ),
}

_OTHERS: dict[type[nn.Module], str] = {
    neuron.EIFNode: "its exponential rounds otherwise once compiled",
    neuron.ILIFNode: "it may fire more than once a step",
    neuron.ActivationAwareIFNode: "it fires at an offset from its threshold",
    neuron.GatedLIFNode: "its gates change from step to step",
    neuron.MPBNLIFNode: "it normalises its membrane over the batch",
    **dict.fromkeys((neuron.TernaryIFNode, neuron.TernaryLIFNode), "its spikes have a sign"),
    **dict.fromkeys((neuron.OTTTLIFNode, neuron.SLTTLIFNode), "it learns online, step by step"),
    **dict.fromkeys(
        (neuron.IzhikevichNode, neuron.RAFNode, neuron.CUBALIFNode, neuron.ComplementaryLIFNode),
        "it keeps a second state beside its membrane",
    ),
}


def fusible(node: Any) -> Fusible | str:
    """Return how the fast path may run a neuron of the library, or why it may not."""
    kind = _KINDS.get(type(node))
    if kind is None:
        return _unknown(node)
    if reason := _unusual(node) or _without_numbers(node, kind) or _peculiar(node):
        return reason
    function = node.surrogate_function
    surrogate = stated_surrogate(function.surrogate if isinstance(function, StrictlyAbove) else function)
    if isinstance(surrogate, str):
        return surrogate
    tensors = tuple(getattr(node, name) for name in kind.tensors)
    derived = node.derived if kind.derives else None
    return Fusible(_rule(node, kind, surrogate), tensors, takes_sequence=node.step_mode == "m", derived=derived)


def _rule(node: Any, kind: _Kind, surrogate: Surrogate) -> UpdateRule:
    return UpdateRule(
        charge=kind.charge(node),
        surrogate=surrogate,
        threshold=None if kind.derives else float(node.v_threshold),
        reset="soft" if node.v_reset is None else "hard",
        reset_value=_rest(node),
        initial=float(node.get_reset_value("v")),
        detach_reset=bool(node.detach_reset),
        strict=isinstance(node.surrogate_function, StrictlyAbove),
    )


def _unknown(node: nn.Module) -> str:
    if reason := _OTHERS.get(type(node)):
        return reason
    name = type(node).__name__
    known = next((kind.__name__ for kind in type(node).__mro__ if kind in _KINDS), None)
    return (
        f"{name} is derived from {known} and may compute otherwise" if known else f"no update rule is known of {name}"
    )


def _unusual(node: Any) -> str:
    """Say what makes an instance compute otherwise than its class, if anything does."""
    if names := replaced(node):
        return f"its {names[0]} was replaced"
    if getattr(node, "store_v_seq", False):
        return "it stores its membrane at each step (store_v_seq)"
    if getattr(node, "_neuron_precision", None) is not None:
        return "it computes in a precision of its own"
    return ""


def _without_numbers(node: Any, kind: _Kind) -> str:
    """Name an attribute that must be a plain number, or a tensor of one value, and is not."""
    numbers = {name: getattr(node, name) for name in ("v_threshold", "v_reset", *kind.numbers)}
    numbers["reset value"] = node.get_reset_value("v")
    if node.v_reset is None:
        del numbers["v_reset"]
    for name, value in numbers.items():
        if not (isinstance(value, int | float) and math.isfinite(value)):
            return f"its {name} is not a finite number"
    for name in () if kind.derives else kind.tensors:
        value = getattr(node, name)
        if not isinstance(value, Tensor) or value.dim():
            return f"its {name} is not a tensor of one value"
    return ""


def _peculiar(node: Any) -> str:
    """Say which setting of its class has no rule, if it has one."""
    if getattr(node, "tau", 2.0) <= 1:
        return "its tau is not above 1"
    if type(node) is neuron.KLIFNode and node.scale_reset:
        return "its reset rescales the membrane (scale_reset)"
    if type(node) is neuron.SimpleLIFNode and node.v_reset is None:
        return "it has no soft reset"
    if type(node) is neuron.SimpleLIFNode and node.v_reset and not node.decay_input:
        return "its first step leaks by a number, which rounds otherwise"
    return ""


def membrane(node: Any, x_B: Tensor) -> Tensor | None:
    """Return the membrane that a neuron starts from where that is not its rule's initial value.

    Raises:
        StateError: if what it kept has another shape than ``x_B`` and its class does not start anew by itself.
    """
    if not isinstance(node.v, Tensor) and node.v == node.get_reset_value("v"):
        return None
    v_B = node.materialize_states((x_B,), tuple(node.memories()), "s")[0]
    if not isinstance(v_B, Tensor):  # SimpleIFNode and SimpleLIFNode add what they take to a number
        return torch.full_like(x_B, v_B, requires_grad=False)
    if v_B.shape != x_B.shape:
        raise StateError(
            f"a {type(node).__name__} holds a membrane of shape {list(v_B.shape)} and was given an input of shape "
            f"{list(x_B.shape)}; reset the network between batches"
        )
    return v_B.to(torch.promote_types(v_B.dtype, x_B.dtype))


def keep_membrane(node: Any, v_B: Tensor) -> None:
    """Leave the membrane in a neuron, as a tensor of its own: the library's ``detach`` refuses views."""
    node.v = _NoView.apply(v_B)


class _NoView(torch.autograd.Function):
    """The same values, in the same memory, that autograd does not take for a view of another tensor."""

    @staticmethod
    def forward(ctx: Any, value: Tensor) -> Tensor:
        del ctx
        return value.data

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        del ctx
        return gradients[0]
