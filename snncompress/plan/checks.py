"""What is wrong with a pipeline before anything runs: in its time steps and encoding, and as strategies and metrics see it.

Where the check of a plugin fails itself, the plugin is named.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from snncompress.components import Inputs
from snncompress.errors import ModelError, PluginError, StateError
from snncompress.pipeline import Pipeline
from snncompress.plugins import Host, guarded, returned
from snncompress.strategy import Facts, Problem, Strategy, Where

if TYPE_CHECKING:
    from snncompress.network import Network, Time

Located = tuple[Where, Problem]
"""A problem, and where it is in the pipeline."""


def problems_of_step(strategy: Strategy, facts: Facts, host: Host) -> tuple[Problem, ...]:
    """Return what a strategy says of its settings on a network."""
    return _checked(strategy.check, facts, host.named("strategies", strategy.use))


def problems_of_metrics(pipeline: Pipeline, facts: Facts, host: Host) -> list[Located]:
    """Return what the metrics say that say anything."""
    return [
        (("measure", index, *problem.where), problem)
        for index, metric in enumerate(pipeline.measure)
        if (check := getattr(metric, "check", None)) is not None
        for problem in _checked(check, facts, host.named("metrics", metric.use))
    ]


def problems_of_timesteps(pipeline: Pipeline, time: Time) -> list[Located]:
    """Find a number of time steps that the network does not take."""
    wanted = pipeline.timesteps
    if wanted is None or wanted == time.T:
        return []
    what = "this model has no time steps" if time.runner == "none" else f"this model runs {time.T} time step(s)"
    return [(("timesteps",), Problem((), f"{what}, and {wanted} are asked for", "leave it out"))]


def fault_of_norms(network: Network, run: Callable[[], object]) -> str:
    """Say what is wrong where a network has a norm for each step, and too few; ``run`` runs it on an empty batch."""
    from snncompress.network.step_parts import has_fewer_norms

    if has_fewer_norms(network.module, network.time.T):
        try:
            run()
        except (ModelError, StateError) as error:
            return str(error)
    return ""


def problems_of_encoding(pipeline: Pipeline, inputs: Inputs, time: Time) -> list[Located]:
    """Find an encoding, or event frames, that the network does not take."""
    encode, is_frames = pipeline.encode.use, inputs.kind == "frames"
    if time.input == "static" and (is_frames or encode != "direct"):
        what = f"the model takes a still image, not {'event frames' if is_frames else f'what {encode!r} gives'}"
        return [(("encode",), Problem((), what, "use encode: direct and still images, or another model"))]
    if is_frames and encode != "direct":
        what = f"event frames bring their time steps, so {encode!r} would not be applied"
        return [(("encode",), Problem((), what, "leave it out"))]
    if is_frames and inputs.shape[0] != time.T:
        what = f"the data bring {inputs.shape[0]} time steps and the model runs {time.T}"
        return [(("encode",), Problem((), what, f"set timesteps: {inputs.shape[0]}"))]
    return []


def _checked(check: Callable[[Facts], Iterable[Problem]], facts: Facts, whose: str) -> tuple[Problem, ...]:
    what = f"check of {whose}"
    return guarded(lambda: tuple(returned(one, Problem, what, PluginError) for one in check(facts)), what, PluginError)
