"""A network by what a user calls it: an artifact folder, a run, a pipeline file, a model reference."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from snncompress.components import Inputs
from snncompress.errors import InputError, ModelError, near
from snncompress.pipeline import load_pipeline, read_model, recipes
from snncompress.places import ARTIFACT_FILE, artifact_folder
from snncompress.plugins import Host
from snncompress.record import PLAN_FILE, RECORD_FILE
from snncompress.references import PLACE

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

    if is_folder(reference):
        network = load_network(artifact_folder(Path(reference)), host, allow_code=allow_code, values=values)
        _require_as_stored(network, reference, overrides, timesteps)
        return network
    if is_pipeline(reference):
        pipeline = load_pipeline(reference, host, overrides=overrides).pipeline
        _require_permission(pipeline.data, allow_code=allow_code)
        if timesteps not in (None, pipeline.timesteps):
            raise InputError(f"{reference!r} sets its time steps itself; leave timesteps out, or set the file's own")
        model, inputs, timesteps = pipeline.model, pipeline.data.inputs(), pipeline.timesteps
    else:
        _require_model(reference, host)
        model = read_model(reference, host, overrides=overrides)
    _require_permission(model, allow_code=allow_code)
    return open_architecture(model.resolved(inputs, timesteps), host, timesteps=timesteps, values=values)


def _require_as_stored(network: Network, reference: str, overrides: Sequence[str], timesteps: int | None) -> None:
    """Raise InputError where an artifact is asked for with other settings than it has."""
    if overrides:
        raise InputError(f"{reference!r} is an artifact, which has no settings to replace ({overrides[0]!r})")
    if timesteps not in (None, network.time.T):
        raise InputError(f"{reference!r} is an artifact that runs {network.time.T} time step(s); leave timesteps out")


def is_folder(reference: str) -> bool:
    """Tell whether a user means a folder: one that is there, or a path that leads nowhere."""
    if reference.strip() and Path(reference).is_dir():
        return True
    is_path = "/" in reference and ":" not in reference and "{" not in reference
    return is_path and not is_pipeline(reference) and not Path(reference).is_file()


def is_pipeline(reference: str) -> bool:
    """Tell whether a user means a pipeline file or a recipe."""
    return reference.endswith((".yaml", ".yml")) or reference.startswith("recipe:")


def _require_permission(thing: Any, *, allow_code: bool) -> None:
    if getattr(thing, "needs_code", False) and not allow_code:
        raise ModelError(f"{thing.use!r} runs your own code; allow it with --allow-code")


def _require_model(reference: str, host: Host) -> None:
    """Raise ModelError where something that is no model reference can be recognised."""
    kinds = "an artifact folder, the folder of a run, a pipeline file (.yaml) or a model reference"
    if Path(reference).is_file():
        hint = f"; give its folder, {str(Path(reference).parent)!r}" if _lies_in_artifact(Path(reference)) else ""
        raise ModelError(f"{reference!r} is a file, where {kinds} should be given{hint}")
    if not reference.strip():
        raise ModelError(f"the network should be {kinds}, not {reference!r}")
    if not near(reference, host.catalogue["architectures"]) and (best := near(reference, recipes(host), most=1)):
        raise ModelError(f"{reference!r} is no network; did you mean 'recipe:{best[0]}'?")
    if re.fullmatch(PLACE, reference) and not reference.startswith("file:"):
        raise ModelError(
            f"{reference!r} is no network; did you mean '{{use: python, function: \"{reference}\"}}'? (it needs --allow-code)"
        )


def _lies_in_artifact(file: Path) -> bool:
    return any((file.parent / name).is_file() for name in (ARTIFACT_FILE, RECORD_FILE))


def inputs_behind(
    reference: str, host: Host, overrides: Sequence[str] = (), *, allow_code: bool = False
) -> Inputs | None:
    """Return the sizes of the data that a pipeline file names, or that a run had; None where nothing says them."""
    if is_folder(reference):
        return _noted(artifact_folder(Path(reference)).parent / PLAN_FILE)
    if not is_pipeline(reference):
        return None
    data = load_pipeline(reference, host, overrides=overrides).pipeline.data
    _require_permission(data, allow_code=allow_code)
    return data.inputs()


def _noted(file: Path) -> Inputs | None:
    try:
        noted = json.loads(file.read_text(encoding="utf-8"))["inputs"]
        return Inputs(tuple(noted["shape"]), noted["num_classes"], noted["kind"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None  # an artifact that lies elsewhere, or was saved by hand


def inputs_of(shape: str, num_classes: int) -> Inputs:
    """Return the sizes that ``C,H,W`` (or ``T,C,H,W`` for event frames) stands for."""
    sizes = shape.split(",")
    if not all(size.strip().isdigit() for size in sizes) or len(sizes) not in (3, 4):
        raise InputError(f"--input should be C,H,W (or T,C,H,W for event frames), not {shape!r}")
    numbers = tuple(int(size) for size in sizes)
    return Inputs(numbers, num_classes, "static" if len(numbers) == 3 else "frames")  # noqa: PLR2004 - C, H, W
