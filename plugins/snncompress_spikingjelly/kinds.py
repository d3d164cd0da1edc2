"""The neurons that SpikingJelly can put in the place of others; importing this imports no torch."""

from __future__ import annotations

import copy
from dataclasses import replace
from math import isclose
from typing import TYPE_CHECKING, Any, ClassVar

from snncompress import NeuronDescription, each

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor, nn

    from snncompress import Intrinsic, Per, Values

_COMMON = ("sigmoid", "atan")
_SHORTEST = 1 + 1e-6
"""The library's tau must be above 1."""


class _Kind:
    """What the kinds share: building from a description, and from the neuron of the library that was there."""

    learns: ClassVar[tuple[Intrinsic, ...]] = ()
    per: ClassVar[tuple[Per, ...]] = ()
    scales: ClassVar[bool] = False
    varies: ClassVar[bool] = False
    leaks: ClassVar[bool] = True

    def obstacles(self, neuron: NeuronDescription, *, abroad: bool) -> Sequence[str]:
        """Return what of ``neuron`` this kind cannot do."""
        own = neuron.unlike(leaks=self.leaks, varies=self.varies)
        return [*self._of_library(neuron, abroad=abroad), *own]

    def build(self, old: nn.Module, arguments: Mapping[str, Any]) -> nn.Module:
        """Return the new neuron, with the values of the description."""
        neuron = NeuronDescription.from_json(arguments["neuron"])
        if not (self.leaks and _decays(neuron)):
            neuron = _undivided(neuron)
        node: Any = self._node(neuron, _settings(old, neuron), arguments)
        node.store_v_seq = bool(getattr(old, "store_v_seq", False))
        return node  # type: ignore[no-any-return]

    def transfer(self, old: nn.Module, new: nn.Module) -> None:
        """Do nothing: the description holds every value."""

    def _of_library(self, neuron: NeuronDescription, *, abroad: bool) -> list[str]:
        """Return what no neuron of the library can do."""
        found = {
            "it never resets, and a neuron of SpikingJelly does": neuron.reset == "none",
            "a spike takes its threshold away at the next step, behind the leak, and here at once": (
                neuron.delayed and neuron.reset == "soft" and neuron.tau is not None
            ),
            "it leaks to a resting potential and is reset by subtraction": neuron.reset == "soft" and neuron.rest != 0,
            "it forgets everything within a step (tau is not above 1)": any(tau <= 1 for tau in each(neuron.tau)),
            "its input is divided by something else than tau in each channel": (
                isinstance(neuron.divisor, tuple) and not _decays(neuron)
            ),
            "its surrogate gradient is none of SpikingJelly's": (
                abroad and (neuron.surrogate is None or neuron.surrogate[0] not in _COMMON)
            ),
        }
        return [what for what, holds in found.items() if holds]

    def _node(self, neuron: NeuronDescription, settings: dict[str, Any], arguments: Mapping[str, Any]) -> nn.Module:
        del neuron, settings, arguments
        raise TypeError(f"{type(self).__name__} must define _node()")


class IF(_Kind):
    """``IFNode``."""

    summary = "integrate and fire, without leak (IFNode)"
    leaks = False

    def _node(self, neuron: NeuronDescription, settings: dict[str, Any], arguments: Mapping[str, Any]) -> nn.Module:
        from spikingjelly.activation_based.neuron import IFNode

        del neuron, arguments
        node: nn.Module = IFNode(**settings)
        return node


class LIF(_Kind):
    """``LIFNode``."""

    summary = "leaky integrate and fire (LIFNode)"

    def _node(self, neuron: NeuronDescription, settings: dict[str, Any], arguments: Mapping[str, Any]) -> nn.Module:
        from spikingjelly.activation_based.neuron import LIFNode

        del arguments
        node: nn.Module = LIFNode(**settings, **_leak(neuron))
        return node


class PLIF(_Kind):
    """``ParametricLIFNode``."""

    summary = "leaky integrate and fire with a trainable leak for each layer (ParametricLIFNode)"
    learns = ("leak",)
    per = ("layer",)

    def _node(self, neuron: NeuronDescription, settings: dict[str, Any], arguments: Mapping[str, Any]) -> nn.Module:
        from spikingjelly.activation_based.neuron import ParametricLIFNode

        del arguments
        leak = _leak(neuron)
        node: nn.Module = ParametricLIFNode(init_tau=leak.pop("tau"), **settings, **leak)
        return node


class SLIF(_Kind):
    """``SLIFNode``."""

    summary = "leaky integrate and fire with trainable thresholds and leaks (sLIF, our reading)"
    learns = ("threshold", "leak")
    per = ("channel", "layer", "neuron")
    scales = True
    varies = True

    def obstacles(self, neuron: NeuronDescription, *, abroad: bool) -> Sequence[str]:
        """Return what of ``neuron`` this kind cannot do."""
        found = super().obstacles(neuron, abroad=abroad)
        positive = all(value > 0 for value in each(neuron.threshold))
        return [*found, *([] if positive else ["its threshold is not positive, so no factor moves it up and down"])]

    def _node(self, neuron: NeuronDescription, settings: dict[str, Any], arguments: Mapping[str, Any]) -> nn.Module:
        from snncompress import start_of
        from snncompress_spikingjelly.nodes import SLIFNode

        shape, leak = arguments["shape"], _leak(neuron)
        leaks = tuple(1 / tau for tau in each(neuron.tau)) or (1 / leak["tau"],)
        start, threshold_offset = start_of(neuron.threshold, shape, "threshold")
        leak_start, leak_offset = start_of(leaks, shape, "leak")
        if len(leaks) > 1:
            leak["tau"] = max(_SHORTEST, 1 / leak_start)
        node = SLIFNode(**{**settings, "v_threshold": start}, **leak)
        offsets: dict[Intrinsic, Tensor] = {"threshold": threshold_offset, "leak": leak_offset}
        node.hold_offsets(offsets, arguments)
        return node


class ALIF(_Kind):
    """``ALIFNode``."""

    summary = "leaky integrate and fire whose threshold adapts to its own spikes by a trainable strength"
    learns = ("adaptation",)
    per = ("channel", "layer", "neuron")
    scales = True

    def _node(self, neuron: NeuronDescription, settings: dict[str, Any], arguments: Mapping[str, Any]) -> nn.Module:
        import torch

        from snncompress_spikingjelly.nodes import ALIFNode

        node = ALIFNode(**settings, **_leak(neuron))
        node.hold_offsets({"adaptation": torch.zeros(arguments["shape"])}, arguments)
        return node


def _settings(old: nn.Module, neuron: NeuronDescription) -> dict[str, Any]:
    """Return what every neuron of the library takes."""
    return {
        "v_threshold": _mean(neuron.threshold),
        "v_reset": None if neuron.reset != "hard" else neuron.rest,
        "surrogate_function": _surrogate(old, neuron),
        "detach_reset": neuron.detached,
        "step_mode": "m" if neuron.takes_sequence else "s",
    }


def _surrogate(old: Any, neuron: NeuronDescription) -> nn.Module:
    """Return a copy of the surrogate gradient that was there, or the one of that name; atan where there is none."""
    from spikingjelly.activation_based.base import MemoryModule

    from snncompress_spikingjelly.description import SURROGATES
    from snncompress_spikingjelly.nodes import StrictlyAbove

    if isinstance(old, MemoryModule):
        kept: nn.Module = copy.deepcopy(old.surrogate_function)
        return kept
    name, numbers = neuron.surrogate or ("atan", ())
    kind: Any = SURROGATES.get(name)
    function = SURROGATES["atan"]() if kind is None else kind(*numbers)
    return StrictlyAbove(function) if neuron.strict else function


def _leak(neuron: NeuronDescription) -> dict[str, Any]:
    return {"tau": 2.0 if neuron.tau is None else max(_SHORTEST, _mean(neuron.tau)), "decay_input": _decays(neuron)}


def _mean(values: Values) -> float:
    found = each(values)
    return sum(found) / len(found)


def _undivided(neuron: NeuronDescription) -> NeuronDescription:
    """Return the neuron with its potentials in units of the input, which then need not be divided."""
    unit = _mean(neuron.divisor)
    thresholds = tuple(value * unit for value in each(neuron.threshold))
    threshold = thresholds if isinstance(neuron.threshold, tuple) else thresholds[0]
    return replace(neuron, divisor=1.0, threshold=threshold, rest=neuron.rest * unit)


def _decays(neuron: NeuronDescription) -> bool:
    """Tell whether the input is divided by tau, up to the rounding of a value that came from another library."""
    taus, divisors = each(neuron.tau), each(neuron.divisor)
    return len(taus) == len(divisors) and all(
        isclose(tau, divisor, rel_tol=1e-6) for tau, divisor in zip(taus, divisors, strict=True)
    )
