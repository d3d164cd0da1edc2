"""Disturb weights, and count the time steps: what an outside author would publish."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from snncompress import Measurement, Names, Number, Problem, Settings, Strategy, hookimpl

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from snncompress import Facts, Network, Run


class Noise(Strategy):
    """Add Gaussian noise to the synaptic weights."""

    use: Literal["good.noise"] = "good.noise"
    scale: Annotated[Number, Field(ge=0)] = Field(description="Standard deviation of the noise.")
    select: Names = Field(("synapse",), description="Selector of layers.")

    def check(self, facts: Facts) -> Iterable[Problem]:
        """Tell selectors that pick nothing."""
        return facts.check_selector(self.select)

    def apply(self, network: Network, run: Run) -> Network:
        """Return the network with disturbed weights."""
        import torch

        generator = torch.Generator().manual_seed(run.seed)
        tensors = network.tensors
        noisy = {
            name: tensors[name] + self.scale * torch.randn(tensors[name].shape, generator=generator)
            for name in network.inventory.weights(self.select)
        }
        run.note("num_tensors", len(noisy))
        return network.with_weights(noisy)


class Timesteps(Settings):
    """Count the time steps."""

    use: Literal["good.timesteps"] = "good.timesteps"

    def yields(self) -> tuple[str, ...]:
        """Return the one name."""
        return ("timesteps",)

    def measure(self, network: Network, bench: Any) -> Mapping[str, Measurement]:
        """Return T."""
        del bench
        return {"timesteps": Measurement(value=network.time.T, unit="steps", how="declared by the network")}


@hookimpl
def snncompress_strategies() -> list[type[Strategy]]:
    """Provide ``good.noise``."""
    return [Noise]


@hookimpl
def snncompress_metrics() -> list[type[Any]]:
    """Provide ``good.timesteps``."""
    return [Timesteps]
