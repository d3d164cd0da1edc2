"""A network by what a user calls it: an artifact folder, a run, a pipeline file, a model reference."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from snncompress.components import Inputs
from snncompress.errors import InputError, ModelError
from snncompress.pipeline import load_pipeline, read_model
from snncompress.plugins import Host

if TYPE_CHECKING:
    from snncompress.network import Network


def open_reference(
    reference: str,
    host: Host,
    inputs: Inputs,
    overrides: Sequence[str] = (),
    *,
    allow_code: bool = False,
    values: bool = True,
    timesteps: int | None = None,
) -> Network:
    """Open an artifact folder, the result of a run folder, a pipeline file's model, or a model reference.

    Args:
        reference: what the user calls it.
        host: the plugins.
        inputs: sizes for a model reference; a pipeline file brings its own.
        overrides: ``PATH=VALUE`` settings of the file or the reference.
        allow_code: whether a user's own code may run.
        values: whether to build it with values, or its structure alone.
        timesteps: T for a model reference; the model's own if None.
    """
    from snncompress.network import load_network, open_architecture

    for folder in (Path(reference), Path(reference) / "final"):
        if (folder / "network.json").is_file():
            network = load_network(folder, host, allow_code=allow_code, values=values)
            _require_as_stored(network, reference, overrides, timesteps)
            return network
    if reference.endswith((".yaml", ".yml")) or reference.startswith("recipe:"):
        pipeline = load_pipeline(reference, host, overrides=overrides).pipeline
        if timesteps not in (None, pipeline.timesteps):
            raise InputError(f"{reference!r} sets its time steps itself; leave timesteps out, or set the file's own")
        model, inputs, timesteps = pipeline.model, pipeline.data.inputs(), pipeline.timesteps
    else:
        model = read_model(reference, host, overrides=overrides)
    if model.needs_code and not allow_code:
        raise ModelError(f"{model.use!r} runs your own code; allow it with --allow-code")
    return open_architecture(model.resolved(inputs, timesteps), host, timesteps=timesteps, values=values)


def _require_as_stored(network: Network, reference: str, overrides: Sequence[str], timesteps: int | None) -> None:
    """Raise InputError where an artifact is asked for with other settings than it has."""
    if overrides:
        raise InputError(f"{reference!r} is an artifact, which has no settings to replace ({overrides[0]!r})")
    if timesteps not in (None, network.time.T):
        raise InputError(f"{reference!r} is an artifact that runs {network.time.T} time step(s); leave timesteps out")


def inputs_of(shape: str, num_classes: int) -> Inputs:
    """Return the sizes that ``C,H,W`` (or ``T,C,H,W`` for event frames) stands for."""
    sizes = shape.split(",")
    if not all(size.strip().isdigit() for size in sizes) or len(sizes) not in (3, 4):
        raise InputError(f"--input should be C,H,W (or T,C,H,W for event frames), not {shape!r}")
    numbers = tuple(int(size) for size in sizes)
    return Inputs(numbers, num_classes, "static" if len(numbers) == 3 else "frames")  # noqa: PLR2004 - C, H, W
