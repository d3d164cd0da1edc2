"""How samples are presented to a network: time steps and encoder against what its declaration and the data say."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from snncompress.strategy import Problem, Where

if TYPE_CHECKING:
    from snncompress.components import Inputs
    from snncompress.network import Time
    from snncompress.pipeline import Pipeline


def check_presentation(pipeline: Pipeline, inputs: Inputs, time: Time) -> Iterator[tuple[Where, Problem]]:
    """Yield what cannot be presented so, or would not be."""
    if found := _encoding(pipeline.encode.use, inputs, time):
        yield ("encode",), Problem((), *found)
    if pipeline.timesteps not in (None, time.T):
        what = "this model has no time steps" if time.runner == "none" else f"this model runs {time.T} time step(s)"
        yield ("timesteps",), Problem((), f"{what}, and {pipeline.timesteps} are asked for", "leave it out")


def _encoding(encode: str, inputs: Inputs, time: Time) -> tuple[str, str] | None:
    """Return what is wrong with an encoder, and a hint."""
    has_frames = inputs.kind == "frames"
    if time.input == "static" and (has_frames or encode != "direct"):
        given = "event frames" if has_frames else f"what {encode!r} gives"
        return f"the model takes a still image, not {given}", "use encode: direct and still images, or another model"
    if has_frames and encode != "direct":
        return f"event frames bring their time steps, so {encode!r} would not be applied", "leave it out"
    if has_frames and inputs.shape[0] != time.T:
        steps = inputs.shape[0]
        return f"the data bring {steps} time steps and the model runs {time.T}", f"set timesteps: {steps}"
    return None
