"""The surrogate gradients of snnTorch, told apart by value and computed in the precision of the potential."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from types import FunctionType
from typing import Any

import torch
from snntorch import surrogate as library
from torch import Tensor


@dataclass(frozen=True)
class LibrarySurrogate:
    """A surrogate of ``snntorch.surrogate`` by its name and numbers; two of the same are equal.

    The library's own functions return spikes, and so take gradients, in float32 only. They fire above the threshold;
    what is not ``strict`` fires at it too, as a neuron of another library did.
    """

    name: str
    arguments: tuple[float, ...]
    strict: bool = True

    def __call__(self, potential: Tensor) -> Tensor:
        """Return the spikes, of the shape and precision of ``potential``."""
        spikes: Tensor = _Spike.apply(potential, self)
        return spikes

    def gradient(self, potential: Tensor, gradient: Tensor) -> Tensor:
        """Return the gradient that the library's formula lets through to ``potential``."""
        function, _ = _KNOWN[self.name]
        record = _Record()
        function.forward(record, potential, *self.arguments)
        found = function.backward(record, gradient)
        through: Tensor = found if isinstance(found, Tensor) else found[0]
        return through


def stated(surrogate: object) -> LibrarySurrogate | str:
    """Return which surrogate of the library a neuron's ``spike_grad`` is, or why that cannot be told."""
    if isinstance(surrogate, LibrarySurrogate):
        return surrogate
    applied = getattr(surrogate, "__self__", None)
    for name in _WITHOUT_NUMBERS:
        if applied is _KNOWN[name][0] and surrogate == applied.apply:
            return LibrarySurrogate(name, ())
    if not isinstance(surrogate, FunctionType) or not _is_the_librarys(surrogate):
        return f"its surrogate gradient {_name_of(surrogate)} is not one of snntorch.surrogate"
    name = surrogate.__qualname__.partition(".")[0]
    if name not in _KNOWN:
        return _UNKNOWN.get(name, f"its surrogate gradient {name} states no formula")
    values = inspect.getclosurevars(surrogate).nonlocals
    numbers = [values[argument] for argument in _KNOWN[name][1]]
    for argument, value in zip(_KNOWN[name][1], numbers, strict=True):
        if not isinstance(value, int | float):
            return f"{argument} of its surrogate gradient {name} is a {type(value).__name__}, not a number"
    return LibrarySurrogate(name, tuple(float(value) for value in numbers))


def _is_the_librarys(surrogate: FunctionType) -> bool:
    factory = getattr(library, surrogate.__qualname__.partition(".")[0], None)
    return isinstance(factory, FunctionType) and surrogate.__code__ in factory.__code__.co_consts


def _name_of(surrogate: object) -> str:
    return str(getattr(surrogate, "__qualname__", type(surrogate).__qualname__))


class _Record:
    """What a function of the library keeps from its forward for its backward pass."""

    saved_tensors: tuple[Tensor, ...] = ()

    def save_for_backward(self, *tensors: Tensor) -> None:
        self.saved_tensors = tensors


class _Spike(torch.autograd.Function):
    """Fire above zero; let gradients through by the library's formula, in the precision of the potential."""

    @staticmethod
    def forward(ctx: Any, potential: Tensor, surrogate: LibrarySurrogate) -> Tensor:
        ctx.save_for_backward(potential)
        ctx.surrogate = surrogate
        return (potential > 0 if surrogate.strict else potential >= 0).to(potential.dtype)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (potential,) = ctx.saved_tensors
        return ctx.surrogate.gradient(potential, gradient), None


class _Triangular(library.Triangular):  # type: ignore[misc]
    """The library's formula without an index of a length that depends on values, which no compiler takes."""

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (potential,) = ctx.saved_tensors
        through = gradient * ctx.threshold
        return torch.where(potential >= 0, -through, through), None


_KNOWN: dict[str, tuple[Any, tuple[str, ...]]] = {
    "atan": (library.ATan, ("alpha",)),
    "fast_sigmoid": (library.FastSigmoid, ("slope",)),
    "heaviside": (library.Heaviside, ()),
    "SFS": (library.SparseFastSigmoid, ("slope", "B")),
    "sigmoid": (library.Sigmoid, ("slope",)),
    "spike_rate_escape": (library.SpikeRateEscape, ("beta", "slope")),
    "straight_through_estimator": (library.StraightThroughEstimator, ()),
    "triangular": (_Triangular, ("threshold",)),
}
"""By name: the autograd function, and the names of its numbers in the order that it takes them."""

_WITHOUT_NUMBERS = [name for name, (_, arguments) in _KNOWN.items() if not arguments]

_UNKNOWN = {
    "custom_surrogate": "its surrogate gradient is a function of the user's own",
    "SSO": "its surrogate gradient SSO draws random numbers",
    "LSO": "its surrogate gradient LSO draws random numbers",  # it applies the operator of SSO
}
