"""Reading a user's checkpoint: safetensors, or torch's own format without code."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from snncompress.arguments import path_of
from snncompress.errors import ModelError, listed
from snncompress.network.finite import not_finite
from snncompress.network.state_dicts import state_dict_in
from snncompress.network.ties import under_every_name
from snncompress.network.weight_hooks import hint_for
from snncompress.plugins import guarded

_HOW = "torch.save(module.state_dict(), ...)"


def read_checkpoint(
    file: Path, wanted: Mapping[str, Tensor], ties: Mapping[str, str] = MappingProxyType({})
) -> dict[str, Tensor]:
    """Read a state dict (safetensors, or torch's own format without code) that fits ``wanted`` exactly.

    Of tied tensors (``ties`` gives the first name of each second one) a checkpoint may hold one name or all.
    """
    file = path_of(file, "checkpoint")
    if not file.is_file():
        raise ModelError(f"checkpoint {str(file)!r} {'is a folder, not a file' if file.is_dir() else 'does not exist'}")
    read = _read(file)
    found = state_dict_in(read, wanted, f"checkpoint {str(file)!r}")
    if found is None:
        raise ModelError(f"checkpoint {str(file)!r} holds no state dict but {_described(read)}; save one: {_HOW}")
    stripped = under_every_name(found, ties)
    missing, unknown = sorted(set(wanted) - set(stripped)), sorted(set(stripped) - set(wanted))
    if missing or unknown:
        parts = [f"lacks {listed(list(map(repr, missing)), 1)}"] if missing else []
        parts += [f"has {listed(list(map(repr, unknown)), 1)} that the network has not"] if unknown else []
        raise ModelError(f"checkpoint {str(file)!r} {'; it '.join(parts)}{hint_for(found)}")
    for name, value in stripped.items():
        if value.shape != wanted[name].shape:
            raise ModelError(
                f"checkpoint {str(file)!r}: {name!r} has shape {list(value.shape)}, the network {list(wanted[name].shape)}"
            )
        _require_weights(file, name, value, wanted[name])
    if wrong := not_finite(stripped, wanted):
        raise ModelError(f"checkpoint {str(file)!r}: {wrong!r} holds values that are not finite")
    for second, first in ties.items():
        if not torch.equal(stripped[second], stripped[first]):
            raise ModelError(
                f"checkpoint {str(file)!r} holds different values for {first!r} and {second!r}, which are one tensor in the "
                "network; untie them where it is built, or save the checkpoint from a tied network"
            )
    return stripped


def _require_weights(file: Path, name: str, value: Tensor, own: Tensor) -> None:
    """Raise ModelError for whole numbers in the place of weights; a single one, a threshold say, keeps its value."""
    if own.is_floating_point() and not value.is_floating_point() and value.dim():
        here, there = (str(one.dtype).removeprefix("torch.") for one in (own, value))
        raise ModelError(
            f"checkpoint {str(file)!r}: {name!r} is {there}, the network {here}: whole numbers of a quantised network are "
            "not its weights; save them in floating point (with the scale that belongs to them)"
        )


def _read(file: Path) -> Any:
    """Return what a file holds, looking at the file itself and not at its name."""
    what = f"checkpoint {str(file)!r}"
    if _begin(file)[8:9] == b"{":  # the length of the header, then the header, which is JSON
        try:
            return load_file(file)
        except (SafetensorError, ValueError, OSError) as error:
            raise ModelError(f"{what} is a damaged safetensors file: {error}") from error
    try:
        return guarded(lambda: _loaded(file), "reading it", ModelError)
    except ModelError as error:
        raise ModelError(
            f"{what} cannot be read as plain tensors ({_what_is_wrong(file, error.__cause__)}); save the state dict: {_HOW}"
        ) from error


def _loaded(file: Path) -> Any:
    with warnings.catch_warnings(), file.open("rb") as opened:  # by its path torch would go by the name
        warnings.simplefilter("ignore")  # torch warns of what it then refuses
        return torch.load(opened, map_location="cpu", weights_only=True)


def _begin(file: Path) -> bytes:
    try:
        with file.open("rb") as opened:
            return opened.read(9)
    except OSError as error:
        raise ModelError(
            f"checkpoint {str(file)!r} cannot be read: {(error.strerror or str(error)).lower()}"
        ) from error


def _what_is_wrong(file: Path, error: BaseException | None) -> str:
    if "Unsupported global: GLOBAL " in str(error):
        return f"it holds Python objects, such as a whole module: {str(error).partition('GLOBAL ')[2].split(' ')[0]}"
    if not (begin := _begin(file)):
        return "it is empty"
    known = {b"\x89PNG": "an image", b"\xff\xd8\xff": "an image", b"\x89HDF": "an HDF5 file", b"\x93NUMPY": "an array"}
    kind = next((name for start, name in known.items() if begin.startswith(start)), None)
    return f"it is {kind}" if kind else "it is no file that torch.save has written, or is damaged"


def _described(read: Any) -> str:
    if isinstance(read, dict):
        return f"a dict with {', '.join(map(repr, list(read)[:5]))}" if read else "an empty dict"
    return f"a {type(read).__name__}"
