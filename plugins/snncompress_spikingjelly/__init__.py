"""SpikingJelly: its networks by name, and the backend that resets its neurons and runs them in time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from snncompress import hookimpl

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from snncompress import Architecture

_KINDS = {
    f"spikingjelly.{name.lower()}": f"snncompress_spikingjelly.kinds:{name}"
    for name in ("IF", "LIF", "PLIF", "SLIF", "ALIF")
}


@hookimpl
def snncompress_architectures() -> Sequence[type[Architecture]]:
    """Return the networks of ``spikingjelly.activation_based.model``."""
    from snncompress_spikingjelly.architectures import ARCHITECTURES

    return ARCHITECTURES


@hookimpl
def snncompress_backends() -> Mapping[str, str]:
    """Return the backend under the name of the library's package."""
    return {"spikingjelly": "snncompress_spikingjelly.backend:SpikingJellyBackend"}


@hookimpl
def snncompress_anatomies() -> Mapping[str, str]:
    """Return the anatomy of the library's spiking Transformers."""
    return {"spikingjelly": "snncompress_spikingjelly.anatomy:SpikingJellyAnatomy"}


@hookimpl
def snncompress_neurons() -> Mapping[str, str]:
    """Return the neurons that can stand in for others."""
    return _KINDS


@hookimpl
def snncompress_modules() -> Mapping[str, str]:
    """Return what builds the neurons, and what takes the place of attention before it is cut."""
    place = "snncompress_spikingjelly.attention"
    return {
        **_KINDS,
        "spikingjelly.cut_self_attention": f"{place}:SelfAttentionBuilder",
        "spikingjelly.cut_maxformer_attention": f"{place}:MaxFormerAttentionBuilder",
        "spikingjelly.cut_qk_attention": f"{place}:QKAttentionBuilder",
        "spikingjelly.cut_spike_driven_attention": f"{place}:SpikeDrivenAttentionBuilder",
    }
