"""What a neuron kind states of itself so that the fast path can run all its time steps at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from torch import Tensor


@dataclass(frozen=True)
class UpdateRule:
    """State one time step of a neuron with one membrane; derivatives are taken from it, not stated.

    With the membrane v, the input x and the neuron's tensors p, one step is::

        h = charge(v, x, *p)                             the potential before the spike
        s = h >= threshold                               (or > where ``strict``), 0 or 1
        v = s * reset_value + (1 - s) * h                reset ``hard``
        v = h - s * threshold                            reset ``soft``
        v = h                                            reset ``none``

    In the backward pass the derivative of s by (h - threshold) is that of ``surrogate``, and the reset passes no
    gradient into s where ``detach_reset``. Two rules that are equal share what is traced and compiled, so ``charge``
    and ``surrogate`` must be equal if and only if they compute the same: module-level functions, or instances of frozen
    dataclasses with ``__call__``.

    Attributes:
        charge: (v, x, *p) to h, all of one shape [B, ...]; torch operations without branches on values.
        surrogate: (h - threshold) to spikes, the library's own: its backward pass is what counts.
        threshold: the firing threshold; None: the first of the neuron's tensors is the threshold.
        reset: what a spike does to the membrane.
        reset_value: membrane behind a hard reset.
        initial: membrane before the first step.
        detach_reset: whether the reset passes no gradient into the spike.
        strict: whether a potential equal to the threshold does not fire.
    """

    charge: Callable[..., Tensor]
    surrogate: Callable[[Tensor], Tensor]
    threshold: float | None = 1.0
    reset: Literal["hard", "soft", "none"] = "hard"
    reset_value: float = 0.0
    initial: float = 0.0
    detach_reset: bool = False
    strict: bool = False

    def threshold_of(self, parameters: tuple[Tensor, ...]) -> float | Tensor:
        """Return the threshold: the rule's number, or the first of the neuron's tensors."""
        return parameters[0] if self.threshold is None else self.threshold


@dataclass(frozen=True)
class Fusible:
    """Say how the fast path may run one neuron module.

    Attributes:
        rule: its update rule.
        parameters: its tensors as the rule takes them, each of one value or broadcastable to one step [B, ...] of its
            input; they may be trainable. Where ``derived`` is given: its own tensors, of which the rule's are made.
        takes_sequence: whether its forward takes x_T... (else one step, x_B...).
        returns_membranes: whether its forward returns (spikes, membranes) and not spikes alone.
        derived: makes the rule's tensors, as many, of ``parameters``, at each call: autograd takes gradients on to those.
    """

    rule: UpdateRule
    parameters: tuple[Tensor, ...] = ()
    takes_sequence: bool = True
    returns_membranes: bool = False
    derived: Callable[..., tuple[Tensor, ...]] | None = None

    def tensors(self) -> tuple[Tensor, ...]:
        """Return the tensors that the rule takes, as they are now."""
        return self.parameters if self.derived is None else self.derived(*self.parameters)
