"""Artifacts: a folder with ``network.json`` and ``weights.safetensors``; never pickle.

A masked tensor is stored as its mask, one bit an entry, and its surviving values, so a sparse network is small on disk.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from snncompress.arguments import path_of
from snncompress.errors import ArtifactError, did_you_mean
from snncompress.network.answers import answers_of, require_same_answers
from snncompress.network.edits import Edit, edit_from_json
from snncompress.network.network import Network
from snncompress.network.opening import require_declared
from snncompress.network.rebuild import require_repeatable
from snncompress.network.source import FromArchitecture, Source
from snncompress.network.ties import merged_masks, once, tie, ties_of, under_every_name
from snncompress.network.time import Time
from snncompress.places import ARTIFACT_FILE, artifact_folder
from snncompress.plugins import Host, core_version

VERSION = 1
DESCRIPTION, WEIGHTS, SNAPSHOTS = ARTIFACT_FILE, "weights.safetensors", "snapshots"
_KEYS = {"architecture": dict, "time": dict, "edits": list, "snapshots": list}
_MASK, _SURVIVORS, _SHAPES = "#mask", "#survivors", "masked"
_ANSWERS, _TIED = "answers", "tied"
"""For every second name of a tensor the first one, under which it is stored; artifacts without it store both."""


def save(network: Network, folder: Path | str, *, snapshots: bool = False) -> Path:
    """Write ``network`` into ``folder``; snapshots too where asked. Returns the folder."""
    require_declared(network, "save")
    folder = path_of(folder, "folder")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ArtifactError(f"{str(folder)!r} cannot be a folder: {(error.strerror or str(error)).lower()}") from error
    ties = ties_of(network.module)
    description = {
        "version": VERSION,
        "written_by": core_version(),
        "architecture": network.source.reference,
        "time": network.time.to_json(),
        "edits": [edit.to_json() for edit in network.edits],
        "masked": sorted(network.masks),
        "snapshots": sorted(network.snapshots) if snapshots else [],
        **({_TIED: ties} if ties else {}),
        **({_ANSWERS: answers} if (answers := answers_of(network)) else {}),
    }
    _write(folder / WEIGHTS, once(network.tensors, ties), network.masks)
    if snapshots:
        (folder / SNAPSHOTS).mkdir(exist_ok=True)
        for name, tensors in network.snapshots.items():
            _write(folder / SNAPSHOTS / f"{name}.safetensors", once(tensors, ties), {})
    (folder / DESCRIPTION).write_text(json.dumps(description, indent=2) + "\n", encoding="utf-8")
    return folder


def load(folder: Path | str, *, allow_code: bool = False, host: Host | None = None) -> Network:
    """Build the network that an artifact folder holds.

    Args:
        folder: the artifact, for example ``runs/NAME/final``, or the folder of a run, ``runs/NAME``.
        allow_code: whether an artifact of your own module may import the code that builds it.
        host: the plugins; those installed by default.

    Raises:
        ArtifactError: if the folder is no artifact, is damaged, or needs a plugin or code that is not there.
    """
    place = artifact_folder(path_of(folder, "folder"))
    return load_network(place, host or Host.from_environment(), allow_code=allow_code)


def load_network(folder: Path, host: Host, *, allow_code: bool = False, values: bool = True) -> Network:
    """Build the network of an artifact; without ``values`` only its structure, on the meta device where possible."""
    reference = read_description(folder)["architecture"]
    source = FromArchitecture(_architecture(reference, host, folder, allow_code=allow_code))
    if source.architecture.needs_code:
        require_repeatable(source.initialised, reference["function"])
    if values:
        return restore(folder, source, host)
    with torch.device("meta" if source.architecture.builds_on_meta else "cpu"):
        return _structure(read_description(folder), source, host)


def restore(folder: Path, source: Source, host: Host) -> Network:
    """Build the network of an artifact on an architecture that is already known."""
    description = read_description(folder)
    ties = description.get(_TIED, {})
    tensors, masks = _read(folder / WEIGHTS)
    network = _structure(description, source, host)
    _require_same(network.tensors, under_every_name(tensors, ties), folder)
    network = network.with_weights(tensors)
    kept = {
        name: under_every_name(_read(folder / SNAPSHOTS / f"{name}.safetensors")[0], ties)
        for name in description["snapshots"]
    }
    require_same_answers(network, description.get(_ANSWERS), folder)
    return replace(network, masks=merged_masks(masks, ties_of(network.module)), snapshots=kept)


def _structure(description: Mapping[str, Any], source: Source, host: Host) -> Network:
    module, time = source.build()
    edits = _edits(description["edits"])
    for edit in edits:
        module, time = edit.replay(module, time, host)
    tie(module, description.get(_TIED, {}))
    return Network(module, Time.from_json(description["time"]), source, host, edits)


def _edits(described: Sequence[Any]) -> tuple[Edit, ...]:
    try:
        return tuple(edit_from_json(data) for data in described)
    except (KeyError, TypeError, AttributeError) as error:
        raise ArtifactError(f"{DESCRIPTION} is damaged: what it says of an edit cannot be read: {error}") from error


def read_description(folder: Path) -> dict[str, Any]:
    """Read ``network.json``; raise ArtifactError where the folder is no artifact."""
    file = folder / DESCRIPTION
    if not file.is_file():
        raise ArtifactError(f"{str(folder)!r} is no artifact: it holds no {DESCRIPTION}")
    try:
        description: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ArtifactError(f"{str(file)!r} is damaged: {error}") from error
    if not isinstance(description, dict) or "version" not in description:
        raise ArtifactError(f"{str(file)!r} is no description of an artifact")
    if description["version"] != VERSION:
        raise ArtifactError(
            f"{str(file)!r} has version {description['version']!r}; this snncompress reads version {VERSION}"
        )
    if missing := [name for name in _KEYS if name not in description]:
        raise ArtifactError(f"{str(file)!r} is damaged: it lacks {missing[0]!r}")
    if wrong := [name for name, kind in _KEYS.items() if not isinstance(description[name], kind)]:
        raise ArtifactError(f"{str(file)!r} is damaged: {wrong[0]!r} is {type(description[wrong[0]]).__name__!r}")
    if not isinstance(description["architecture"].get("use"), str):
        raise ArtifactError(f"{str(file)!r} is damaged: its architecture has no 'use'")
    return description


def _architecture(reference: Mapping[str, Any], host: Host, folder: Path, *, allow_code: bool) -> Any:
    known = host.catalogue["architectures"]
    name = reference["use"]
    if name not in known:
        raise ArtifactError(
            f"{str(folder)!r} needs the architecture {name!r}, which no plugin provides; {did_you_mean(name, known)}{host.excuse()}"
        )
    try:
        architecture = known[name].model_validate_json(json.dumps(reference))
    except ValidationError as error:
        raise ArtifactError(
            f"{str(folder)!r}: the settings of {name!r} do not fit the installed plugin: {error.errors()[0]['msg']}"
        ) from error
    if architecture.needs_code and not allow_code:
        raise ArtifactError(
            f"{str(folder)!r} is built by your own code ({architecture.function!r}); allow it with allow_code=True or --allow-code"
        )
    return architecture


def _write(file: Path, tensors: Mapping[str, Tensor], masks: Mapping[str, Tensor]) -> None:
    stored: dict[str, Tensor] = {}
    for name, value in tensors.items():
        plain = value.detach().cpu()
        if name in masks:
            mask = masks[name].cpu().flatten()
            stored[name + _MASK] = torch.from_numpy(np.packbits(mask.numpy(), bitorder="little"))
            stored[name + _SURVIVORS] = plain.flatten()[mask].clone()
        else:
            stored[name] = plain.clone().contiguous()
    shapes = {name: list(tensors[name].shape) for name in sorted(masks)}
    save_file(
        stored, file, metadata={_SHAPES: json.dumps(shapes)}
    )  # one entry: safetensors writes several in any order


def _read(file: Path) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    try:
        with safe_open(file, framework="pt") as opened:
            shapes: dict[str, list[int]] = json.loads((opened.metadata() or {}).get(_SHAPES, "{}"))
            stored = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118 - no mapping, has only keys()
    except (FileNotFoundError, SafetensorError) as error:
        raise ArtifactError(f"{str(file)!r} is missing or damaged: {error}") from error
    masks = {name: _unpack(stored.pop(name + _MASK), shape) for name, shape in shapes.items()}
    for name, mask in masks.items():
        survivors = stored.pop(name + _SURVIVORS)
        stored[name] = torch.zeros(mask.shape, dtype=survivors.dtype).masked_scatter_(mask, survivors)
    return stored, masks


def _unpack(bits: Tensor, shape: list[int]) -> Tensor:
    count = int(np.prod(shape))
    return torch.from_numpy(np.unpackbits(bits.numpy(), count=count, bitorder="little").astype(bool)).reshape(shape)


def _require_same(wanted: Mapping[str, Tensor], found: Mapping[str, Tensor], folder: Path) -> None:
    if different := sorted(set(wanted) ^ set(found)):
        side = "lacks" if different[0] in wanted else "has an unknown"
        raise ArtifactError(
            f"{str(folder)!r} does not fit its own description: {WEIGHTS} {side} tensor {different[0]!r}"
        )
