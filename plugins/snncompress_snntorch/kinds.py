"""The neurons that snnTorch can put in the place of others; importing this imports no torch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from snncompress import NeuronDescription, each

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor, nn

    from snncompress import Intrinsic, Per, Values

_KEPT = ("init_hidden", "output", "reset_delay")
"""What a neuron of the library is, besides its description."""

COMMON = ("sigmoid", "atan")
_USUAL = ("atan", (2.0,))
"""Surrogate gradients that have the same formula in every library, each with one number, and the one that takes the place of
others."""

_MECHANISMS = {"hard": "zero", "soft": "subtract", "none": "none"}


class _Kind:
    """What the kinds share: building from a description, and from the neuron of the library that was there."""

    learns: ClassVar[tuple[Intrinsic, ...]] = ()
    per: ClassVar[tuple[Per, ...]] = ()
    scales: ClassVar[bool] = False
    leaks: ClassVar[bool] = True

    def obstacles(self, neuron: NeuronDescription, *, abroad: bool) -> Sequence[str]:
        """Return what of ``neuron`` this kind cannot do."""
        surrogate = neuron.surrogate[0] if neuron.surrogate else None
        found = {
            "a spike takes its threshold away at once, and here at the next step, behind the leak": (
                abroad and not neuron.delayed and neuron.reset == "soft" and neuron.tau is not None
            ),
            "its reset passes gradients into the spike, and here it never does": not neuron.detached,
            "its threshold is not above its resting potential, and here it would be reset before it fires": (
                abroad and any(value <= 0 for value in each(_shifted(neuron)))
            ),
            "its surrogate gradient is none of snnTorch's": abroad and surrogate not in COMMON,
        }
        own = neuron.unlike(leaks=self.leaks, varies=True)
        return [*(what for what, holds in found.items() if holds), *own]

    def build(self, old: nn.Module, arguments: Mapping[str, Any]) -> nn.Module:
        """Return the new neuron, with the values of the description; on the CPU, for the library cannot build without values."""
        import torch

        neuron = NeuronDescription.from_json(arguments["neuron"])
        places = arguments["num_places"]
        with torch.device("cpu"):
            settings = {
                "beta": _tensor(neuron.beta if self.leaks else 1.0, places),
                "threshold": _tensor(_shifted(neuron), places),
                "reset_mechanism": _MECHANISMS[neuron.reset],
                **_kept(old, neuron),
            }
            stand_in = {"divisor": _tensor(neuron.divisor, places), "takes_sequence": neuron.takes_sequence}
            return self._neuron(settings, stand_in, arguments)

    def transfer(self, old: nn.Module, new: nn.Module) -> None:
        """Do nothing: the description holds every value."""

    def _neuron(self, settings: dict[str, Any], stand_in: dict[str, Any], arguments: Mapping[str, Any]) -> nn.Module:
        """Return a ``Leaky``, as the library has it where that will do."""
        import snntorch
        import torch

        from snncompress_snntorch.nodes import StandIn

        del arguments
        rounded = any(settings[name].dtype is torch.float64 for name in ("beta", "threshold"))
        plain = not (stand_in["takes_sequence"] or rounded or bool((stand_in["divisor"] != 1).any()))
        neuron: nn.Module = snntorch.Leaky(**settings) if plain else StandIn(**settings, **stand_in)
        return neuron


class IF(_Kind):
    """``Leaky`` without leak."""

    summary = "integrate and fire, without leak (Leaky with beta 1)"
    leaks = False


class LIF(_Kind):
    """``Leaky``."""

    summary = "leaky integrate and fire (Leaky)"


class PLIF(_Kind):
    """``Leaky`` with ``learn_beta``."""

    summary = "leaky integrate and fire with a trainable leak (Leaky with learn_beta)"
    learns = ("leak",)
    per = ("channel", "layer", "neuron")

    def _neuron(self, settings: dict[str, Any], stand_in: dict[str, Any], arguments: Mapping[str, Any]) -> nn.Module:
        """Return a ``Leaky`` that learns a beta of the asked shape."""
        shape = arguments["shape"]
        if len(shape) == 1:
            shape = [*shape, *[1] * arguments["num_places"]]
        beta = settings["beta"].float() if shape else settings["beta"].float().mean()
        beta = beta.expand(shape).clone()
        return super()._neuron({**settings, "beta": beta, "learn_beta": True}, stand_in, arguments)


class SLIF(_Kind):
    """``SLeaky``."""

    summary = "leaky integrate and fire with trainable thresholds and leaks (sLIF, our reading)"
    learns = ("threshold", "leak")
    per = ("channel", "layer", "neuron")
    scales = True

    def obstacles(self, neuron: NeuronDescription, *, abroad: bool) -> Sequence[str]:
        """Return what of ``neuron`` this kind cannot do."""
        found = {
            "its threshold is zero, so no factor moves it": not abroad and 0 in each(neuron.threshold),
            "it forgets everything within a step (beta 0), so its leak cannot move": 0 in each(neuron.beta),
        }
        return [*super().obstacles(neuron, abroad=abroad), *(what for what, holds in found.items() if holds)]

    def _neuron(self, settings: dict[str, Any], stand_in: dict[str, Any], arguments: Mapping[str, Any]) -> nn.Module:
        import torch

        from snncompress_snntorch.nodes import SLeaky

        neuron = SLeaky(**settings, **stand_in)
        offsets: dict[Intrinsic, Tensor] = {name: torch.zeros(arguments["shape"]) for name in self.learns}
        neuron.hold_offsets(offsets, arguments)
        return neuron


class ALIF(_Kind):
    """``ALeaky``."""

    summary = "leaky integrate and fire whose threshold adapts to its own spikes by a trainable strength"
    learns = ("adaptation",)
    per = ("channel", "layer", "neuron")
    scales = True

    def _neuron(self, settings: dict[str, Any], stand_in: dict[str, Any], arguments: Mapping[str, Any]) -> nn.Module:
        import torch

        from snncompress_snntorch.nodes import ALeaky

        neuron = ALeaky(**settings, **stand_in)
        neuron.hold_offsets({"adaptation": torch.zeros(arguments["shape"])}, arguments)
        return neuron


def _kept(old: Any, neuron: NeuronDescription) -> dict[str, Any]:
    """Return the settings that a neuron of the library keeps; of another one, those that make it look the same."""
    import snntorch

    from snncompress_snntorch.surrogates import LibrarySurrogate

    if isinstance(old, snntorch.Leaky):
        return {**{name: getattr(old, name) for name in _KEPT}, "spike_grad": old.spike_grad}
    known = neuron.surrogate is not None and neuron.surrogate[0] in COMMON
    name, numbers = neuron.surrogate if neuron.surrogate and known else _USUAL
    return {"init_hidden": True, "spike_grad": LibrarySurrogate(name, numbers, strict=neuron.strict)}


def _shifted(neuron: NeuronDescription) -> Values:
    """Return the threshold above the resting potential: here that is zero."""
    if isinstance(neuron.threshold, tuple):
        return tuple(value - neuron.rest for value in neuron.threshold)
    return neuron.threshold - neuron.rest


def _tensor(values: Values, num_places: int) -> Tensor:
    """Return one number, in float64 where float32 would round it (that promotes nothing), or one for each channel."""
    import torch

    if not isinstance(values, tuple):
        exact, short = torch.tensor(values, dtype=torch.float64), torch.tensor(values, dtype=torch.float32)
        return short if float(short) == values else exact
    return torch.tensor(values).reshape(-1, *[1] * num_places)
