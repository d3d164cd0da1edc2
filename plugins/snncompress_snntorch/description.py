"""Neurons of snnTorch in words of no library."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import snntorch
import torch
from torch import Tensor

from snncompress import Intrinsic, NeuronDescription, Values
from snncompress_snntorch.kinds import COMMON
from snncompress_snntorch.nodes import ALeaky, SLeaky, StandIn
from snncompress_snntorch.rules import peculiarities
from snncompress_snntorch.surrogates import stated

if TYPE_CHECKING:
    from typing import Literal

    from snncompress_snntorch.surrogates import LibrarySurrogate

_DESCRIBED = (snntorch.Leaky, StandIn, SLeaky)
_RESETS: dict[str, Literal["hard", "soft", "none"]] = {"zero": "hard", "subtract": "soft", "none": "none"}


def describe(neuron: Any) -> NeuronDescription | str:
    """Return what a neuron of the library is, or why that cannot be said."""
    if type(neuron) not in _DESCRIBED:
        return f"no description is known of {type(neuron).__name__}"
    if reason := _peculiar(neuron):
        return reason
    values = intrinsics(neuron)
    beta, threshold = (_number_or_channels(value) for value in (1 - values["leak"], values["threshold"]))
    divisor = _number_or_channels(getattr(neuron, "divisor", torch.ones(())))
    if () in (beta, threshold, divisor):
        return "its values differ from place to place"
    surrogate = stated(neuron.spike_grad)
    return NeuronDescription(
        tau=_tau(beta),
        beta=beta,
        divisor=divisor,
        threshold=threshold,
        reset=_RESETS[neuron.reset_mechanism],
        delayed=bool(neuron.reset_delay),
        strict=isinstance(surrogate, str) or surrogate.strict,
        surrogate=_neutral(surrogate),
        takes_sequence=bool(getattr(neuron, "takes_sequence", False)),
        more=tuple(_more(neuron)),
    )


def intrinsics(neuron: Any) -> dict[Intrinsic, Tensor]:
    """Return threshold and leak in float64, one value or one for each channel or neuron; adaptation too where it adapts.

    Nothing of a class whose values are not known.
    """
    if type(neuron) not in (*_DESCRIBED, ALeaky):
        return {}
    with torch.no_grad():
        if isinstance(neuron, SLeaky):
            threshold, beta = neuron.derived(neuron.threshold_offset.double(), neuron.leak_offset.double())
            return {"threshold": threshold.double(), "leak": 1 - beta.double()}
        adapts = isinstance(neuron, ALeaky)
        found: dict[Intrinsic, Tensor] = {
            "threshold": (neuron.threshold_start if adapts else neuron.threshold).detach().double(),
            "leak": 1 - neuron.beta.detach().double().clamp(0, 1),
        }
        return {**found, "adaptation": neuron.adaptation_offset.detach().double()} if adapts else found


def _peculiar(neuron: Any) -> str:
    """Say what the neuron does that no other kind could."""
    reasons = {
        **peculiarities(neuron),
        "its threshold is negative, so it is reset before it fires": bool((neuron.threshold < 0).any()),
        "some of its channels leak and others do not": 0 < int((neuron.beta >= 1).sum()) < neuron.beta.numel(),
    }
    return next((reason for reason, holds in reasons.items() if holds), "")


def _more(neuron: Any) -> list[str]:
    """Return what only a neuron of this library can take over."""
    taken_back = neuron.reset_mechanism == "subtract" and not neuron.reset_delay
    found = {
        "its membrane is passed in by the caller (init_hidden=False)": not neuron.init_hidden,
        "it returns its membrane too (output=True)": neuron.output,
        "it takes its reset back where the membrane is still above the threshold (reset_delay=False)": taken_back,
    }
    return [what for what, holds in found.items() if holds]


def _number_or_channels(value: Tensor) -> Values:
    """Return a number where all values are equal, one for each channel of [C] or [C, 1, ...], and nothing else."""
    flat = value.detach().double().flatten()
    if bool((flat == flat[0]).all()):
        return float(flat[0])
    return tuple(flat.tolist()) if value.shape[0] == value.numel() else ()


def _tau(beta: Values) -> Values | None:
    if isinstance(beta, tuple):
        return tuple(1 / (1 - value) for value in beta)
    return None if beta >= 1 else 1 / (1 - beta)


def _neutral(surrogate: LibrarySurrogate | str) -> tuple[str, tuple[float, ...]] | None:
    if isinstance(surrogate, str) or surrogate.name not in COMMON:
        return None
    return surrogate.name, surrogate.arguments
