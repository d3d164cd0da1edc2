"""The zoo that ships with snncompress: recipes, the pipelines behind every example."""

from __future__ import annotations

from pathlib import Path

from snncompress import hookimpl


@hookimpl
def snncompress_zoos() -> dict[str, Path]:
    """Provide this folder."""
    return {"snncompress": Path(__file__).parent}
