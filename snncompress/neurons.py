"""What a neuron is without its library: the words in which kinds of neurons are translated into each other."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

Values = float | tuple[float, ...]
"""One number for a whole layer, or one for each channel."""

Intrinsic = Literal["threshold", "leak", "adaptation"]
"""What of a neuron can be trained besides the synapses in front of it."""

Per = Literal["channel", "layer", "neuron"]
"""What has a trainable value of its own."""


def each(values: Values | None) -> tuple[float, ...]:
    """Return the values one by one; none of None."""
    if values is None:
        return ()
    return values if isinstance(values, tuple) else (values,)


@dataclass(frozen=True)
class NeuronDescription:
    """State one neuron in plain numbers, so that any library can build it, and JSON can keep it.

    With the membrane v above ``rest`` and the input x, one step is::

        h = beta * v + x / divisor                       the potential before the spike; beta = 1 - 1 / tau
        s = h >= threshold                               (or > where ``strict``), 0 or 1
        v = (1 - s) * h                                  reset ``hard``
        v = h - s * threshold                            reset ``soft``
        v = h                                            reset ``none``

    Each library states the leak in its own way, ``tau`` or ``beta``; both stand here, so that neither is rounded
    on the way back into the library that it came from.

    Attributes:
        tau: time constant in steps; None: the neuron does not leak.
        beta: part of the membrane that is left after a step, 1 where it does not leak.
        divisor: what the input is divided by: ``tau`` where the input decays like the membrane, or 1.
        threshold: potential at which it fires, counted from zero and not from ``rest``.
        reset: what a spike does to the membrane.
        rest: where a hard reset leads, and where the membrane leaks to and starts.
        delayed: whether the reset happens at the next step, behind the leak: a ``soft`` one then takes away more.
        detached: whether the reset passes no gradient into the spike.
        strict: whether a potential equal to the threshold does not fire.
        surrogate: name and numbers of the surrogate gradient; None where only its own library knows it.
        takes_sequence: whether one call takes x_T..., all steps, or one step x_B...
        more: what else it does that this description cannot say, in a few words each.
    """

    tau: Values | None
    beta: Values
    divisor: Values
    threshold: Values
    reset: Literal["hard", "soft", "none"] = "hard"
    rest: float = 0.0
    delayed: bool = False
    detached: bool = True
    strict: bool = False
    surrogate: tuple[str, tuple[float, ...]] | None = None
    takes_sequence: bool = True
    more: tuple[str, ...] = ()

    @property
    def by_channel(self) -> bool:
        """Tell whether something differs from channel to channel."""
        return any(isinstance(value, tuple) for value in (self.tau, self.beta, self.divisor, self.threshold))

    def unlike(self, *, leaks: bool, varies: bool) -> list[str]:
        """Return what of it is not so in a kind that ``leaks`` or not, whose values vary from channel to channel or not."""
        tau = each(self.tau)
        span = "" if not tau else f"{tau[0]:g}" if len(tau) == 1 else f"{min(tau):g} to {max(tau):g}"
        found = {
            f"it leaks (tau {span}), and this one does not": bool(tau) and not leaks,
            "it does not leak, and this one does": not tau and leaks,
            "its values differ from channel to channel, and those of this one do not": self.by_channel and not varies,
        }
        return [what for what, holds in found.items() if holds]

    def to_json(self) -> dict[str, Any]:
        """Return the description as JSON data."""
        return dict(json.loads(json.dumps(asdict(self))))

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> NeuronDescription:
        """Return the description that ``to_json`` wrote."""
        return cls(**{field.name: _tuples(data[field.name]) for field in fields(cls)})


def _tuples(value: Any) -> Any:
    return tuple(_tuples(item) for item in value) if isinstance(value, list | tuple) else value
