"""timm: its vision Transformers by name, and the anatomy by which their inner dimensions are cut."""

from __future__ import annotations

from typing import TYPE_CHECKING

from snncompress import hookimpl

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from snncompress import Architecture


@hookimpl
def snncompress_architectures() -> Sequence[type[Architecture]]:
    """Return the networks of ``timm.models``."""
    from snncompress_timm.architectures import ARCHITECTURES

    return ARCHITECTURES


@hookimpl
def snncompress_anatomies() -> Mapping[str, str]:
    """Return the anatomy of the library's vision Transformers."""
    return {"timm": "snncompress_timm.anatomy:TimmAnatomy"}


@hookimpl
def snncompress_modules() -> Mapping[str, str]:
    """Return what takes the place of attention before it is cut."""
    place = "snncompress_timm.attention"
    return {
        "timm.cut_attention": f"{place}:AttentionBuilder",
        "timm.cut_window_attention": f"{place}:WindowAttentionBuilder",
    }
