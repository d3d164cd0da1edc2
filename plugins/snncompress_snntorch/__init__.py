"""snnTorch: a convolutional network by name, and the backend that resets its neurons and runs them in time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from snncompress import hookimpl

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from snncompress import Architecture

_KINDS = {
    f"snntorch.{name.lower()}": f"snncompress_snntorch.kinds:{name}" for name in ("IF", "LIF", "PLIF", "SLIF", "ALIF")
}


@hookimpl
def snncompress_architectures() -> Sequence[type[Architecture]]:
    """Return the network of the library's tutorials; snnTorch itself ships none."""
    from snncompress_snntorch.architectures import ARCHITECTURES

    return ARCHITECTURES


@hookimpl
def snncompress_backends() -> Mapping[str, str]:
    """Return the backend under the name of the library's package."""
    return {"snntorch": "snncompress_snntorch.backend:SnnTorchBackend"}


@hookimpl
def snncompress_neurons() -> Mapping[str, str]:
    """Return the neurons that can stand in for others."""
    return _KINDS


@hookimpl
def snncompress_modules() -> Mapping[str, str]:
    """Return what builds them."""
    return _KINDS
