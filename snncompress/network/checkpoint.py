"""Reading a user's checkpoint: safetensors, or torch's own format without code."""

from __future__ import annotations

import pickle
import struct
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
from snncompress.errors import ModelError
from snncompress.network.ties import under_every_name

_JUNK = (
    pickle.UnpicklingError, RuntimeError, EOFError, ValueError, LookupError, AttributeError, TypeError, AssertionError,
    ImportError, ArithmeticError, MemoryError, OSError, struct.error,
)  # fmt: skip
"""What torch's reader raises for files of other kinds: it unpickles what it finds, and stumbles anywhere."""

_NESTED = ("state_dict", "model_state_dict", "model", "net", "network")


def read_checkpoint(
    file: Path, wanted: Mapping[str, Tensor], ties: Mapping[str, str] = MappingProxyType({})
) -> dict[str, Tensor]:
    """Read a state dict (safetensors, or torch's own format without code) that fits ``wanted`` exactly.

    Of tied tensors (``ties`` gives the first name of each second one) a checkpoint may hold one name or all.
    """
    file = path_of(file, "checkpoint")
    if not file.is_file():
        raise ModelError(f"checkpoint {str(file)!r} {'is a folder, not a file' if file.is_dir() else 'does not exist'}")
    found = _read_tensors(file)
    stripped = {name.removeprefix("module."): value for name, value in found.items()}
    stripped = under_every_name(stripped, ties)
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
    for second, first in ties.items():
        if not torch.equal(stripped[second], stripped[first]):
            raise ModelError(
                f"checkpoint {str(file)!r} holds different values for {first!r} and {second!r}, which are one tensor in the "
                "network; untie them where it is built, or save the checkpoint from a tied network"
            )
    return stripped


def _read_tensors(file: Path) -> dict[str, Tensor]:
    """Read a file by what it holds; its name says nothing."""
    what = f"checkpoint {str(file)!r}"
    if _is_safetensors(file):
        try:
            return load_file(file)
        except (SafetensorError, ValueError, OSError) as error:
            raise ModelError(f"{what} is a damaged safetensors file: {error}") from error
    try:
        with warnings.catch_warnings(), file.open("rb") as opened:  # by its path torch would go by the name
            warnings.simplefilter("ignore")  # torch warns of what it then refuses
            read: Any = torch.load(opened, map_location="cpu", weights_only=True)
    except _JUNK as error:
        raise ModelError(
            f"{what} cannot be read as plain tensors{_content(file)}; save the state dict: "
            "torch.save(module.state_dict(), ...), or a safetensors file"
        ) from error
    for key in _NESTED:
        if isinstance(read, dict) and isinstance(read.get(key), dict):
            read = read[key]
    if not isinstance(read, dict) or not read or not all(isinstance(value, Tensor) for value in read.values()):
        raise ModelError(
            f"{what} holds no state dict but {_described(read)}; save torch.save(module.state_dict(), ...)"
        )
    return read


def _is_safetensors(file: Path) -> bool:
    with file.open("rb") as opened:
        return opened.read(9)[8:] == b"{"  # the length of the header, eight bytes, stands before its JSON


def _content(file: Path) -> str:
    with file.open("rb") as opened:
        begin = opened.read(8)
    if not begin:
        return ": it is empty"
    known = {b"\x89PNG": "an image", b"\xff\xd8\xff": "an image", b"\x89HDF": "an HDF5 file", b"\x93NUMPY": "an array"}
    return next((f": it is {name}" for start, name in known.items() if begin.startswith(start)), "")


def _described(read: Any) -> str:
    if isinstance(read, dict):
        return f"a dict with {', '.join(map(repr, list(read)[:5]))}" if read else "an empty dict"
    return f"a {type(read).__name__}"
