"""Encoders: how a still image becomes T time steps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from snncompress import DataError, Number, Settings

if TYPE_CHECKING:
    from torch import Generator, Tensor


class DirectEncoder(Settings):
    """Present the image itself at each step; the first layer sees real values."""

    use: Literal["direct"] = "direct"

    def encode(self, x_BCHW: Tensor, timesteps: int, generator: Generator) -> Tensor:
        """Return x_TBCHW, a view of the images; draws nothing."""
        from snncompress_data import ops

        del generator
        return ops.direct(x_BCHW, timesteps)


class PoissonEncoder(Settings):
    """Spike at each step with probability x * gain, clipped to 0..1."""

    needs_unit_interval: ClassVar[bool] = True

    use: Literal["poisson"] = "poisson"
    gain: Annotated[Number, Field(gt=0)] = Field(
        1.0, description="Factor from a pixel's value to its spike probability."
    )

    def encode(self, x_BCHW: Tensor, timesteps: int, generator: Generator) -> Tensor:
        """Return spikes_TBCHW drawn from ``generator``; raise DataError for values outside 0..1."""
        from snncompress_data import ops

        _require_unit_interval(x_BCHW, self.use)
        return ops.poisson(x_BCHW, timesteps, generator, self.gain)


class LatencyEncoder(Settings):
    """Spike once per pixel, the earlier the brighter: at step round((1 - x) * (T - 1))."""

    needs_unit_interval: ClassVar[bool] = True

    use: Literal["latency"] = "latency"
    threshold: Annotated[Number, Field(ge=0, le=1)] = Field(0.01, description="Pixels below this value never spike.")

    def encode(self, x_BCHW: Tensor, timesteps: int, generator: Generator) -> Tensor:
        """Return spikes_TBCHW; draws nothing; raise DataError for values outside 0..1."""
        from snncompress_data import ops

        del generator
        _require_unit_interval(x_BCHW, self.use)
        return ops.latency(x_BCHW, timesteps, self.threshold)


def _require_unit_interval(x_BCHW: Tensor, use: str) -> None:
    from snncompress_data import ops

    if not ops.within_unit_interval(x_BCHW):
        raise DataError(
            f"encode {use!r} needs pixels in 0..1, these lie in {float(x_BCHW.min()):.4g}..{float(x_BCHW.max()):.4g}; "
            "drop mean and std from the data, or use 'direct'"
        )
