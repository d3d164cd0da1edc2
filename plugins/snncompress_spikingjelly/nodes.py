"""Neurons in the manner of SpikingJelly whose thresholds, leaks and adaptation are trained."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from spikingjelly.activation_based import neuron
from spikingjelly.activation_based.functional import lif_charge, voltage_reset
from torch import Tensor, nn

from snncompress import Offsets, moved_tau, moved_threshold

ADAPTATION_DECAY = 0.9
"""Part of the adaptation that is left after a step."""


class SLIFNode(Offsets, neuron.LIFNode):  # type: ignore[misc] # the library is untyped
    """A leaky integrate-and-fire neuron with a trainable threshold and a trainable leak (sLIF).

    Our reading of sLIF (arXiv 2508.01992, no public code): the threshold is ``v_threshold * exp(threshold_offset)``, and
    1 / tau is moved by ``leak_offset`` in sigmoid space. It computes what ``LIFNode`` does, in the same order.
    """

    v_threshold: float
    tau: float
    surrogate_function: Callable[[Tensor], Tensor]
    threshold_offset: Tensor
    leak_offset: Tensor

    def intrinsics(self) -> tuple[Tensor, Tensor]:
        """Return threshold and tau as they are now, broadcastable to one step."""
        return self.derived(self.threshold_offset, self.leak_offset)

    def derived(self, threshold_offset: Tensor, leak_offset: Tensor) -> tuple[Tensor, Tensor]:
        """Return threshold and tau of some offsets."""
        return (
            moved_threshold(self.v_threshold, self.aligned(threshold_offset)),
            moved_tau(self.tau, self.aligned(leak_offset)),
        )

    def single_step_functional_forward(
        self,
        inputs: tuple[Tensor, ...],
        states: tuple[Any, ...],
        intrinsics: tuple[Tensor, Tensor] | None = None,
    ) -> tuple[tuple[Tensor, ...], tuple[Any, ...]]:
        """Return the spikes of one step and the membrane behind it; threshold and tau may be given."""
        threshold, tau = intrinsics or self.intrinsics()
        h = lif_charge(inputs[0], states[0], tau, self.decay_input, self.v_reset)
        spikes = self.surrogate_function(h - threshold)
        v = voltage_reset(h, spikes, threshold, self.v_reset, self.detach_reset)
        return (spikes,), (v, *states[1:])

    def multi_step_functional_forward(
        self, inputs: tuple[Tensor, ...], states: tuple[Any, ...], **_: object
    ) -> tuple[tuple[Tensor, ...], tuple[Any, ...]]:
        """Return the spikes of all steps and the last membrane; threshold and tau are computed once."""
        by_steps: Any = neuron.BaseNode.multi_step_functional_forward
        found: tuple[tuple[Tensor, ...], tuple[Any, ...]] = by_steps(self, inputs, states, intrinsics=self.intrinsics())
        return found


class ALIFNode(Offsets, neuron.LIFNode):  # type: ignore[misc] # the library is untyped
    """A leaky integrate-and-fire neuron whose threshold rises with its own spikes (adaptive LIF; Bellec et al. 2018).

    With the trace a, which decays by ``ADAPTATION_DECAY`` a step and grows by each spike, the threshold is
    ``v_threshold + adaptation_offset * a``. The strength starts at 0, where it is a ``LIFNode``, and is trained.
    """

    v_threshold: float
    surrogate_function: Callable[[Tensor], Tensor]
    adaptation_offset: Tensor

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        node: Any = self
        node.register_memory("trace", 0.0)

    def single_step_functional_forward(
        self, inputs: tuple[Tensor, ...], states: tuple[Any, ...], **_: object
    ) -> tuple[tuple[Tensor, ...], tuple[Any, ...]]:
        """Return the spikes of one step, and membrane and trace behind it."""
        v, trace = states
        threshold = self.v_threshold + self.offset("adaptation") * trace
        h = lif_charge(inputs[0], v, self.tau, self.decay_input, self.v_reset)
        spikes = self.surrogate_function(h - threshold)
        v = voltage_reset(h, spikes, threshold, self.v_reset, self.detach_reset)
        return (spikes,), (v, ADAPTATION_DECAY * trace + (spikes.detach() if self.detach_reset else spikes))

    multi_step_functional_forward = neuron.BaseNode.multi_step_functional_forward

    def materialize_states(
        self, inputs: tuple[Tensor, ...], states: tuple[Any, ...], step_mode: str
    ) -> tuple[Any, ...]:
        """Return membrane and trace in the shape of one step of the input."""
        library: Any = super()
        v, trace = library.materialize_states(inputs, states, step_mode)
        fits = isinstance(trace, Tensor) and trace.shape == v.shape
        return v, trace.to(v) if fits else torch.zeros_like(v)


class StrictlyAbove(nn.Module):
    """A surrogate gradient of the library that fires only above the threshold, not at it."""

    def __init__(self, surrogate: nn.Module) -> None:
        super().__init__()
        self.surrogate = surrogate

    def forward(self, x: Tensor) -> Tensor:
        """Return the spikes, 1 where ``x`` is above 0."""
        spikes: Tensor = self.surrogate(x) - (x == 0).to(x.dtype)
        return spikes
