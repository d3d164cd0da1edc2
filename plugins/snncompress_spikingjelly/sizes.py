"""What all SpikingJelly networks share: sizes that the data decide, and the settings of their neurons."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import BeforeValidator, Field

from snncompress import Count, Number, SizedArchitecture, Sizes, as_tuple

if TYPE_CHECKING:
    from torch import nn

    from snncompress import Time

Stages = Annotated[tuple[Count, Count, Count], BeforeValidator(as_tuple)]
"""One whole number for each of three stages."""


class MultiStepNetwork(SizedArchitecture):
    """Hold the settings of a SpikingJelly network in step mode ``m``: x_TBCHW in, [T, B, C] or [B, C] out."""

    tau: Annotated[Number, Field(gt=1)] = Field(
        2.0, description="Membrane time constant of every neuron, in time steps."
    )
    threshold: Annotated[Number, Field(gt=0)] = Field(
        1.0, description="Firing threshold of every neuron; attention neurons fire at half of it, as in the library."
    )
    surrogate: Literal["sigmoid", "atan"] = Field(
        "sigmoid", description="Surrogate gradient, as steep as the library has it."
    )
    detach_reset: bool = Field(default=True, description="Whether the gradient is cut through the reset.")

    needs_code: ClassVar[bool] = False
    builds_on_meta: ClassVar[bool] = True
    averaged: ClassVar[bool] = False
    """Whether the network itself returns the mean over time."""

    def build(self) -> tuple[nn.Module, Time]:
        """Return a freshly initialised module in step mode ``m`` and its time.

        Raises:
            ModelError: while a size is open.
        """
        from snncompress import Time
        from snncompress_spikingjelly.tuning import tune

        sizes = self.sizes()
        module = tune(
            self._module(sizes),
            tau=self.tau,
            threshold=self.threshold,
            surrogate=self.surrogate,
            detach_reset=self.detach_reset,
        )
        return module, Time("multi_step", T=sizes.timesteps, output="averaged" if self.averaged else "per_step")

    def _module(self, sizes: Sizes) -> nn.Module:
        raise TypeError(f"{type(self).__name__} must define _module() for {sizes}")
