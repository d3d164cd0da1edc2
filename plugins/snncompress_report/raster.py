"""The spikes of one sample as SVG: one unit for each neuron and step."""

from __future__ import annotations

import re
from collections.abc import Sequence

_RUN = re.compile("1+")


def raster(lines: Sequence[str]) -> str:
    """Return SVG of texts of T characters each, one for each neuron, with ``1`` where it fires."""
    height, width = len(lines), max((len(line) for line in lines), default=0)
    runs = (
        f"M{run.start()} {row}h{run.end() - run.start()}v1h-{run.end() - run.start()}z"
        for row, line in enumerate(lines)
        for run in _RUN.finditer(line)
    )
    box = f'viewBox="0 0 {width} {height}" preserveAspectRatio="none" shape-rendering="crispEdges"'
    return f'<svg {box} aria-hidden="true" focusable="false"><path d="{"".join(runs)}" fill="currentColor"/></svg>'
