"""Neurons in the manner of snnTorch that stand in for others: over whole sequences, with trained thresholds and leaks."""

from __future__ import annotations

from typing import Any

import snntorch
import torch
from torch import Tensor

from snncompress import Offsets, moved_beta, moved_threshold

ADAPTATION_DECAY = 0.9
"""Part of the adaptation that is left after a step."""


class StandIn(snntorch.Leaky):  # type: ignore[misc] # the library is untyped
    """A ``Leaky`` that divides its input, and may take all steps x_T... at once: a neuron of another library did so."""

    divisor: Tensor

    def __init__(self, *, divisor: Tensor, takes_sequence: bool, **settings: Any) -> None:
        super().__init__(**settings)
        self.register_buffer("divisor", divisor)
        self.takes_sequence = takes_sequence

    def forward(self, input_: Tensor, mem: Tensor | None = None) -> Any:
        """Return what ``Leaky`` does; the spikes of every step, spikes_T..., where it takes sequences."""
        if not self.takes_sequence:
            return self.step(input_, mem)
        return torch.stack([self.step(x_B) for x_B in input_])

    def step(self, x_B: Tensor, mem: Tensor | None = None) -> Any:
        """Return what ``Leaky`` does for one step."""
        return super().forward(x_B / self.divisor, mem)


class SLeaky(Offsets, StandIn):
    """A ``Leaky`` with a trainable threshold and a trainable leak (sLIF).

    Our reading of sLIF (arXiv 2508.01992, no public code): the threshold is ``threshold_start * exp(threshold_offset)``,
    and 1 - beta is moved by ``leak_offset`` in sigmoid space. The library reads both where it reads its own.
    """

    threshold_start: Tensor
    beta_start: Tensor
    threshold_offset: Tensor
    leak_offset: Tensor

    def derived(self, threshold_offset: Tensor, leak_offset: Tensor) -> tuple[Tensor, Tensor]:
        """Return threshold and beta of some offsets, broadcastable to one step."""
        return (
            moved_threshold(self.threshold_start, self.aligned(threshold_offset)),
            moved_beta(self.beta_start, self.aligned(leak_offset)),
        )

    @property
    def threshold(self) -> Tensor:
        """The threshold as it is now."""
        return moved_threshold(self.threshold_start, self.offset("threshold"))

    @property
    def beta(self) -> Tensor:
        """The part of the membrane that is left after a step, as it is now."""
        return moved_beta(self.beta_start, self.offset("leak"))

    def _threshold_buffer(self, threshold: Tensor, learn_threshold: bool) -> None:  # noqa: FBT001 - the library's signature
        del learn_threshold
        self.register_buffer("threshold_start", threshold)

    def _beta_buffer(self, beta: Tensor, learn_beta: bool) -> None:  # noqa: FBT001 - the library's signature
        del learn_beta
        self.register_buffer("beta_start", beta)


class ALeaky(Offsets, StandIn):
    """A ``Leaky`` whose threshold rises with its own spikes (adaptive LIF; Bellec et al. 2018).

    With the trace a, which decays by ``ADAPTATION_DECAY`` a step and grows by each spike, the threshold is
    ``threshold_start + adaptation_offset * a``. The strength starts at 0, where it is a ``Leaky``, and is trained.
    """

    threshold_start: Tensor
    trace: Tensor
    spk: Tensor

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.register_buffer("trace", torch.zeros(0), persistent=False)
        self.register_buffer("spk", torch.zeros(0), persistent=False)

    @property
    def threshold(self) -> Tensor:
        """The threshold as it is now."""
        return self.threshold_start + self.offset("adaptation") * self.trace

    def step(self, x_B: Tensor, mem: Tensor | None = None) -> Any:
        """Return what ``Leaky`` does for one step, and let the threshold follow.

        It begins anew where the membrane is another than the one it left: the library resets that, and knows no trace.
        """
        begins = (self.mem if mem is None else mem) is not getattr(self, "left", None)
        if begins or self.trace.shape != x_B.shape:
            self.trace, self.spk = torch.zeros_like(x_B), torch.zeros_like(x_B)
        returned = super().step(x_B, mem)
        self.left = self.mem
        self.spk = (returned[0] if isinstance(returned, tuple) else returned).detach()
        self.trace = ADAPTATION_DECAY * self.trace + self.spk
        return returned

    def mem_reset(self, mem: Tensor) -> Tensor:
        """Return the spikes of the step before where they are reset now, though the threshold has risen since."""
        if self.reset_delay:
            return self.spk
        reset: Tensor = super().mem_reset(mem)
        return reset

    def _threshold_buffer(self, threshold: Tensor, learn_threshold: bool) -> None:  # noqa: FBT001 - the library's signature
        del learn_threshold
        self.register_buffer("threshold_start", threshold)
