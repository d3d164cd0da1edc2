"""Reading a user's checkpoint: safetensors, or torch's own format without code."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from snncompress.errors import ModelError
from snncompress.network.ties import under_every_name
from snncompress.network.weight_hooks import hint_for

_NESTED = ("state_dict", "model_state_dict", "model", "net", "network")


def read_checkpoint(
    file: Path, wanted: Mapping[str, Tensor], ties: Mapping[str, str] = MappingProxyType({})
) -> dict[str, Tensor]:
    """Read a state dict (safetensors, or torch's own format without code) that fits ``wanted`` exactly.

    Of tied tensors (``ties`` gives the first name of each second one) a checkpoint may hold one name or all.
    """
    if not file.is_file():
        raise ModelError(f"checkpoint {str(file)!r} does not exist")
    found = _read_tensors(file)
    stripped = {name.removeprefix("module."): value for name, value in found.items()}
    stripped = under_every_name(stripped, ties)
    missing, unknown = sorted(set(wanted) - set(stripped)), sorted(set(stripped) - set(wanted))
    if missing or unknown:
        parts = [f"lacks {missing[0]!r} and {len(missing) - 1} more"] if missing else []
        parts += [f"has {unknown[0]!r} and {len(unknown) - 1} more that the network has not"] if unknown else []
        raise ModelError(f"checkpoint {str(file)!r} {'; it '.join(parts)}{hint_for(found)}")
    for name, value in stripped.items():
        if value.shape != wanted[name].shape:
            raise ModelError(
                f"checkpoint {str(file)!r}: {name!r} has shape {list(value.shape)}, the network {list(wanted[name].shape)}"
            )
    for second, first in ties.items():
        if not torch.equal(stripped[second], stripped[first]):
            raise ModelError(
                f"checkpoint {str(file)!r} holds different values for {first!r} and {second!r}, which are one tensor in the "
                "network; untie them where it is built, or save the checkpoint from a tied network"
            )
    return stripped


def _read_tensors(file: Path) -> dict[str, Tensor]:
    if file.suffix == ".safetensors":
        try:
            return load_file(file)
        except SafetensorError as error:
            raise ModelError(f"checkpoint {str(file)!r} is no safetensors file: {error}") from error
    try:
        read: Any = torch.load(file, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError) as error:
        raise ModelError(
            f"checkpoint {str(file)!r} cannot be read as plain tensors; save the state dict: torch.save(module.state_dict(), ...)"
        ) from error
    for key in _NESTED:
        if isinstance(read, dict) and isinstance(read.get(key), dict):
            read = read[key]
    if not isinstance(read, dict) or not all(isinstance(value, Tensor) for value in read.values()):
        raise ModelError(f"checkpoint {str(file)!r} holds no state dict")
    return read
