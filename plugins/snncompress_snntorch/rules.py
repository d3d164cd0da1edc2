"""Neurons of snnTorch, stated for the fast path: what one time step computes, in the library's own order.

A spike resets the membrane at the step after it: the charge compares the membrane of before with the threshold, and
lets no gradient through the comparison, as the library detaches it. So nothing is left to reset behind a spike. Where
``reset_delay`` is False, the library resets behind the spike too, without another reset at the next step.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import snntorch
import torch
from torch import Tensor, nn

from snncompress import Fusible, UpdateRule
from snncompress_snntorch.nodes import SLeaky, StandIn
from snncompress_snntorch.precision import SpikesInInputDtype
from snncompress_snntorch.surrogates import LibrarySurrogate, stated

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Reset = Literal["subtract", "zero", "none"]

_MECHANISMS: dict[str, Reset] = {"_base_sub": "subtract", "_base_zero": "zero", "_base_int": "none"}
"""The library's method for each reset mechanism, chosen when a neuron is made."""

_MORE_STATES = (
    snntorch.Synaptic,
    snntorch.Alpha,
    snntorch.SLSTM,
    snntorch.SConv2dLSTM,
    snntorch.DeltaLeaky,
)
_RECURRENT = (snntorch.RLeaky, snntorch.RSynaptic)
_WHOLE_SEQUENCE = (snntorch.StateLeaky, snntorch.AssociativeLeaky, snntorch.LeakyParallel)


@dataclass(frozen=True)
class LeakyCharge:
    """One step of ``snntorch.Leaky``: clamp(beta) * v + x, the reset of the spike before included."""

    reset: Reset
    strict: bool = True

    def __call__(self, v: Tensor, x: Tensor, threshold: Tensor, beta: Tensor) -> Tensor:
        """Return the potential before the spike."""
        leak = beta.clamp(0, 1)
        if self.reset == "none":
            return leak * v + x
        fired = (v > threshold if self.strict else v >= threshold).to(v.dtype)
        if self.reset == "zero":
            return leak * ((1 - fired) * v) + x
        return leak * v + x - fired * threshold


@dataclass(frozen=True)
class DividedCharge:
    """One step of a ``StandIn``: that of ``Leaky`` for a divided input."""

    own: LeakyCharge

    def __call__(self, v: Tensor, x: Tensor, threshold: Tensor, beta: Tensor, divisor: Tensor) -> Tensor:
        """Return the potential before the spike."""
        return self.own(v, x / divisor, threshold, beta)


@dataclass(frozen=True)
class LapicqueCharge:
    """One step of ``snntorch.Lapicque``, an RC circuit, the reset of the spike before included."""

    reset: Reset

    def __call__(
        self, v: Tensor, x: Tensor, threshold: Tensor, resistance: Tensor, capacity: Tensor, time_step: Tensor
    ) -> Tensor:
        """Return the potential before the spike."""
        constant = resistance * capacity
        h = x * resistance * (1 / constant) * time_step + (1 - time_step / constant) * v
        if self.reset == "none":
            return h
        fired = (v > threshold).to(v.dtype)
        return h - fired * (h if self.reset == "zero" else threshold)


def fusible(module: nn.Module) -> Fusible | str:
    """Return how the fast path may run a neuron of the library, or why it may not."""
    if type(module) not in _STATED:
        return _why_unstated(module)
    neuron: Any = module
    names, charge = _STATED[type(module)]
    mechanism = _mechanism(neuron)
    if mechanism is None or mechanism != neuron.reset_mechanism:
        return "its reset mechanism was changed after it was made"
    reason = _why_special(neuron)
    if reason is not None:
        return reason
    surrogate = _surrogate_of(neuron)
    if isinstance(surrogate, str):
        return surrogate
    parameters = _tensors_of(neuron, names)
    if isinstance(parameters, str):
        return parameters
    strict = surrogate.strict
    if not _is_delayed(neuron) and mechanism == "zero":
        rule = UpdateRule(charge("none", strict), surrogate, threshold=None, reset="hard", strict=strict)
    else:
        rule = UpdateRule(charge(mechanism, strict), surrogate, threshold=None, reset="none", strict=strict)
    return Fusible(
        rule,
        parameters,
        takes_sequence=bool(getattr(neuron, "takes_sequence", False)),
        returns_membranes=bool(neuron.output),
        derived=partial(_moved, neuron) if isinstance(neuron, SLeaky) else None,
    )


def _moved(neuron: SLeaky, threshold_offset: Tensor, leak_offset: Tensor, divisor: Tensor) -> tuple[Tensor, ...]:
    """Return the tensors of the rule of a neuron with offsets."""
    moved = neuron.derived(threshold_offset, leak_offset)
    return *(value.to(threshold_offset.dtype) for value in moved), divisor


def _divided(reset: Reset, strict: bool) -> DividedCharge:  # noqa: FBT001 - as a charge is made
    return DividedCharge(LeakyCharge(reset, strict))


def _lapicque(reset: Reset, strict: bool) -> LapicqueCharge:  # noqa: FBT001 - as a charge is made
    assert strict  # noqa: S101 - no stand-in is a Lapicque
    return LapicqueCharge(reset)


_STATED: dict[type[nn.Module], tuple[tuple[str, ...], Callable[[Reset, bool], Callable[..., Tensor]]]] = {
    snntorch.Leaky: (("threshold", "beta"), LeakyCharge),
    snntorch.Lapicque: (("threshold", "R", "C", "time_step"), _lapicque),
    StandIn: (("threshold", "beta", "divisor"), _divided),
    SLeaky: (("threshold_offset", "leak_offset", "divisor"), _divided),
}
"""The names of a neuron's tensors in the order that its charge takes them, or makes them of, and the charge."""


def membrane(module: nn.Module, x_B: Tensor) -> Tensor | None:
    """Return the membrane that the neuron kept; the library begins at zero where the shape of its input has changed."""
    kept: Any = module.mem
    return kept if kept.shape == x_B.shape else None


def keep_membrane(module: nn.Module, v_B: Tensor) -> None:
    """Leave the membrane in the neuron, with its graph, as the library does."""
    module.mem = v_B


def _why_unstated(module: nn.Module) -> str:
    kind = type(module).__name__
    if isinstance(module, _RECURRENT):
        return f"the spikes of a {kind} come back into it through weights"
    if isinstance(module, _MORE_STATES):
        return f"a {kind} keeps more than one state"
    if isinstance(module, _WHOLE_SEQUENCE):
        return f"a {kind} takes all steps at once by itself"
    return f"{kind} is a class of its own, whose update is not known"


def _why_special(neuron: Any) -> str | None:
    """Return why a neuron computes something else than the plain update of its class, if it does."""
    reasons = {
        "its membrane is passed in by the caller (init_hidden=False)": not neuron.init_hidden,
        **peculiarities(neuron),
        "its reset is not delayed, and undone where the membrane is still above the threshold (reset_delay=False)": (
            not _is_delayed(neuron) and _may_stay_above_the_threshold(neuron)
        ),
    }
    return next((reason for reason, holds in reasons.items() if holds), None)


def peculiarities(neuron: Any) -> dict[str, bool]:
    """Return what an instance may do that its class does not by itself, and whether it does."""
    replaced = sorted(_METHODS & vars(neuron).keys())
    return {
        "inhibition lets one neuron of a layer fire": neuron.inhibition,
        "its membrane is quantised (state_quant)": neuron.state_quant,
        "its surrogate gradient is switched off (surrogate_disable)": neuron.surrogate_disable,
        f"its method {replaced and replaced[0]!r} was replaced": bool(replaced),
        "its spikes are graded (graded_spikes_factor)": _grades(neuron.graded_spikes_factor),
    }


def _is_delayed(neuron: Any) -> bool:
    """Tell whether a spike resets the membrane at the step after it; a Lapicque knows nothing else."""
    return bool(getattr(neuron, "reset_delay", True))


def _may_stay_above_the_threshold(neuron: Any) -> bool:
    """Tell whether a membrane behind a spike can be above the threshold: the library then takes the reset back.

    Not where it is zero then, and every threshold is at least zero and stays so.
    """
    if neuron.reset_mechanism == "zero":
        return bool(neuron.threshold.requires_grad or (neuron.threshold < 0).any())
    return bool(neuron.reset_mechanism == "subtract")


_METHODS = frozenset(
    {"forward", "fire", "mem_reset", "_base_state_function", "_base_sub", "_base_zero", "_base_int", "__call__"}
)


def _grades(factor: Tensor) -> bool:
    return factor.requires_grad or factor.numel() != 1 or factor.dim() > 1 or factor.item() != 1


def _mechanism(neuron: Any) -> Reset | None:
    """Return the reset that the neuron computes: its ``reset_mechanism`` can be changed without effect."""
    method = neuron.state_function
    if getattr(method, "__self__", None) is not neuron:
        return None
    return _MECHANISMS.get(method.__name__)


def _surrogate_of(neuron: Any) -> LibrarySurrogate | str:
    surrogate = neuron.spike_grad
    while isinstance(surrogate, SpikesInInputDtype):
        surrogate = surrogate.surrogate
    return stated(surrogate)


def _tensors_of(neuron: Any, names: Sequence[str]) -> tuple[Tensor, ...] | str:
    """Return the tensors of a neuron that computes in one precision, its spikes too.

    Where a user says ``threshold=1`` the library keeps an integer tensor.
    """
    exact = isinstance(neuron.spike_grad, SpikesInInputDtype)
    tensors = [getattr(neuron, name) for name in names]
    if isinstance(neuron, StandIn):  # keeps single numbers in float64, which promote nothing
        tensors = [value if value.dim() or value.requires_grad else value.to(_precision(exact)) for value in tensors]
    found = {value.dtype for value in tensors if value.is_floating_point()}
    if not found:
        found = {_precision(exact)}
    if len(found) > 1 or not found <= {torch.float32, *([torch.float64] if exact else [])}:
        return f"it computes in {' and '.join(sorted(map(str, found)))} where its spikes are torch.float32"
    (precision,) = found
    return tuple(value if value.is_floating_point() else value.to(precision) for value in tensors)


def _precision(exact: bool) -> torch.dtype:  # noqa: FBT001 - one of two precisions
    return torch.float64 if exact else torch.float32
