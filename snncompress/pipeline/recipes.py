"""Recipes: the pipelines that installed zoos ship."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from snncompress.plugins import Host


def recipes(host: Host) -> dict[str, Path]:
    """Return the file of every recipe by name; a name that an earlier zoo has is told as ``ZOO/NAME``."""
    found: dict[str, Path] = {}
    for zoo, folder in host.catalogue["zoos"].items():
        for path in sorted((Path(folder) / "recipes").glob("*.yaml")):
            found[path.stem if path.stem not in found else f"{zoo}/{path.stem}"] = path
    return found
