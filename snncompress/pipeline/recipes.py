"""Recipes: the pipelines that installed zoos ship."""

from __future__ import annotations

from itertools import takewhile
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


def summary_of(recipe: Path) -> str:
    """Return what a recipe says of itself: the comment that it begins with; its file where it begins with none."""
    lines = recipe.read_text(encoding="utf-8", errors="replace").splitlines()
    said = " ".join(line.lstrip("#").strip() for line in takewhile(lambda line: line.startswith("#"), lines))
    return said.strip() or str(recipe)
