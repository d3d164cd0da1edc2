"""Neurons of SpikingJelly in words of no library."""

from __future__ import annotations

from typing import Any

import torch
from spikingjelly.activation_based import neuron, surrogate
from torch import Tensor, nn

from snncompress import Intrinsic, NeuronDescription, Values
from snncompress_spikingjelly.nodes import ALIFNode, SLIFNode, StrictlyAbove
from snncompress_spikingjelly.surrogates import replaced, stated_surrogate

SURROGATES: dict[str, type[nn.Module]] = {"sigmoid": surrogate.Sigmoid, "atan": surrogate.ATan}
"""The surrogate gradients that have the same formula in every library, each with one number, ``alpha``."""

_DESCRIBED = (neuron.IFNode, neuron.LIFNode, neuron.ParametricLIFNode, SLIFNode)


def describe(node: Any) -> NeuronDescription | str:
    """Return what a neuron of the library is, or why that cannot be said."""
    if type(node) not in _DESCRIBED:
        return f"no description is known of {type(node).__name__}"
    if reason := _peculiar(node):
        return reason
    threshold, tau = (None if value is None else _number_or_channels(value) for value in _threshold_and_tau(node))
    if threshold is None or () in (threshold, tau):
        return "its values differ from place to place"
    decays = tau is not None and node.decay_input
    function = node.surrogate_function
    strict = isinstance(function, StrictlyAbove)
    return NeuronDescription(
        tau=tau,
        beta=_beta(tau),
        divisor=tau if tau is not None and decays else 1.0,
        threshold=threshold,
        reset="soft" if node.v_reset is None else "hard",
        rest=0.0 if node.v_reset is None else float(node.v_reset),
        detached=bool(node.detach_reset),
        strict=strict,
        surrogate=_surrogate(function.surrogate if strict else function),
        takes_sequence=node.step_mode == "m",
        more=("it keeps its membrane at each step (store_v_seq)",) if node.store_v_seq else (),
    )


def _peculiar(node: Any) -> str:
    """Say what the neuron does that no other kind could."""
    rest = 0.0 if node.v_reset is None else node.v_reset
    own = replaced(node)
    reasons = {
        "its threshold is not a plain number": isinstance(node.v_threshold, Tensor),
        "its membrane does not start where it rests (set_reset_value)": node.get_reset_value("v") != rest,
        f"its method {own and own[0]!r} was replaced": bool(own),
        "it computes in a precision of its own": getattr(node, "_neuron_precision", None) is not None,
    }
    return next((reason for reason, holds in reasons.items() if holds), "")


def intrinsics(node: Any) -> dict[Intrinsic, Tensor]:
    """Return threshold and leak in float64, one value or one for each channel or neuron; adaptation too where it adapts.

    Nothing of a class whose values are not known.
    """
    if type(node) not in (*_DESCRIBED, ALIFNode):
        return {}
    threshold, tau = _threshold_and_tau(node)
    found: dict[Intrinsic, Tensor] = {"threshold": threshold}
    if tau is not None:
        found["leak"] = 1 / tau
    if isinstance(node, ALIFNode):
        found["adaptation"] = node.adaptation_offset.detach().double()
    return found


def _threshold_and_tau(node: Any) -> tuple[Tensor, Tensor | None]:
    with torch.no_grad():
        if isinstance(node, SLIFNode):
            threshold, tau = node.derived(node.threshold_offset.double(), node.leak_offset.double())
            return threshold.reshape(node.threshold_offset.shape), tau.reshape(node.leak_offset.shape)
        threshold = torch.tensor(float(node.v_threshold), dtype=torch.float64)
        if isinstance(node, neuron.ParametricLIFNode):
            return threshold, 1 / node.w.double().sigmoid()
        leaks = isinstance(node, neuron.LIFNode)
        return threshold, torch.tensor(float(node.tau), dtype=torch.float64) if leaks else None


def _number_or_channels(value: Tensor) -> Values:
    """Return a number where all values are equal, one for each channel of [C], and nothing of more dimensions."""
    if bool((value == value.flatten()[0]).all()):
        return float(value.flatten()[0])
    return tuple(value.tolist()) if value.dim() == 1 else ()


def _beta(tau: Values | None) -> Values:
    if tau is None:
        return 1.0
    return tuple(1 - 1 / value for value in tau) if isinstance(tau, tuple) else 1 - 1 / tau


def _surrogate(function: Any) -> tuple[str, tuple[float, ...]] | None:
    stated = stated_surrogate(function)
    names = [name for name, kind in SURROGATES.items() if not isinstance(stated, str) and stated.kind is kind]
    return (names[0], stated.arguments) if names and not isinstance(stated, str) else None
