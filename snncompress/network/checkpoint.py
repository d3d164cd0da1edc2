"""Reading a user's checkpoint: safetensors, or torch's own format without code."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from snncompress.arguments import path_of
from snncompress.errors import ModelError
from snncompress.network.state_dicts import state_dict_in
from snncompress.plugins import guarded

_HOW = "torch.save(module.state_dict(), ...)"


def read_checkpoint(file: Path, wanted: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Read a state dict (safetensors, or torch's own format without code) that fits ``wanted`` exactly."""
    file = path_of(file, "checkpoint")
    if not file.is_file():
        raise ModelError(f"checkpoint {str(file)!r} {'is a folder, not a file' if file.is_dir() else 'does not exist'}")
    stripped = state_dict_in(_read(file), wanted)
    if stripped is None:
        raise ModelError(f"checkpoint {str(file)!r} holds no state dict; save one: {_HOW}")
    missing, unknown = sorted(set(wanted) - set(stripped)), sorted(set(stripped) - set(wanted))
    if missing or unknown:
        parts = [f"lacks {missing[0]!r} and {len(missing) - 1} more"] if missing else []
        parts += [f"has {unknown[0]!r} and {len(unknown) - 1} more that the network has not"] if unknown else []
        raise ModelError(f"checkpoint {str(file)!r} {'; it '.join(parts)}")
    for name, value in stripped.items():
        if value.shape != wanted[name].shape:
            raise ModelError(
                f"checkpoint {str(file)!r}: {name!r} has shape {list(value.shape)}, the network {list(wanted[name].shape)}"
            )
    return stripped


def _read(file: Path) -> Any:
    """Return what a file holds, looking at the file itself and not at its name."""
    if file.suffix == ".safetensors" or _looks_like_safetensors(file):
        try:
            return load_file(file)
        except (SafetensorError, OSError) as error:
            raise ModelError(f"checkpoint {str(file)!r} is no safetensors file: {error}") from error
    try:
        return guarded(lambda: torch.load(file, map_location="cpu", weights_only=True), "reading it", ModelError)
    except ModelError as error:
        raise ModelError(
            f"checkpoint {str(file)!r} cannot be read as plain tensors ({_what_is_wrong(error.__cause__)}); "
            f"save the state dict: {_HOW}"
        ) from error


def _looks_like_safetensors(file: Path) -> bool:
    try:
        with file.open("rb") as opened:
            return opened.read(9)[8:] == b"{"  # the length of the header, then the header, which is JSON
    except OSError as error:
        raise ModelError(
            f"checkpoint {str(file)!r} cannot be read: {(error.strerror or str(error)).lower()}"
        ) from error


def _what_is_wrong(error: BaseException | None) -> str:
    if "Unsupported global: GLOBAL " in str(error):
        return f"it holds Python objects, such as a whole module: {str(error).partition('GLOBAL ')[2].split(' ')[0]}"
    return "it is empty" if isinstance(error, EOFError) else "it is no file that torch.save has written, or is damaged"
