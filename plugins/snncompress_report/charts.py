"""Charts as SVG that stands in a page: text and axes take the page's colour, and nothing is loaded from anywhere."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from matplotlib import style
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

_WIDTH, _HEIGHT, _ROW_HEIGHT = 4.6, 2.9, 0.17
"""Inches, the last for each row of a legend below: small, so that text stays readable where a phone shrinks the chart."""
_WIDE = 24
"""Labels of more characters do not fit beside each other."""
_COLOURS = ("#3b82f6", "#d9730d", "#1a9a6c", "#b455c9", "#c2410c", "#5b7083")
"""Of medium lightness: they are seen on white and on black."""
_MARKERS = "osD^vP"
_BLACK = "#010203"
"""A colour that nothing else has, to be replaced by the page's."""
_STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "snncompress",
    "font.family": "sans-serif",
    "font.size": 9,
    "text.parse_math": False,
    "text.color": _BLACK,
    "axes.labelcolor": _BLACK,
    "axes.edgecolor": _BLACK,
    "xtick.color": _BLACK,
    "ytick.color": _BLACK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": _BLACK,
    "grid.alpha": 0.15,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "lines.markersize": 4,
}


@dataclass(frozen=True)
class Series:
    """A line; a y that is not a number interrupts it."""

    label: str
    xs: Sequence[float]
    ys: Sequence[float]


@dataclass(frozen=True)
class Point:
    """A run of a trade-off, with standard deviations."""

    label: str
    x: float
    y: float
    x_std: float
    y_std: float
    on_front: bool


def lines(series: Sequence[Series], *, x_label: str, y_label: str) -> str:
    """Return a chart of lines over whole numbers."""
    with _figure(x_label, y_label) as (figure, axes):
        for place, one in enumerate(series):
            colour, marker = _COLOURS[place % len(_COLOURS)], _MARKERS[place % len(_MARKERS)]
            axes.plot(one.xs, one.ys, color=colour, marker=marker, label=_shown(one.label))
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8))
        if len(series) > 1:
            axes.legend()
        return _svg(figure)


def scatter(points: Sequence[Point], *, x_label: str, y_label: str) -> str:
    """Return a scatter plot with error bars; a line joins the points of the Pareto front."""
    num_columns = 1 if any(len(point.label) > _WIDE for point in points) else 2
    num_rows = -(-len(points) // num_columns)
    with _figure(x_label, y_label, _ROW_HEIGHT * num_rows) as (figure, axes):
        front = sorted((point.x, point.y) for point in points if point.on_front)
        axes.plot([x for x, _ in front], [y for _, y in front], color=_BLACK, alpha=0.5, linestyle="--", zorder=1)
        for place, point in enumerate(points):
            colour, marker = _COLOURS[place % len(_COLOURS)], _MARKERS[place % len(_MARKERS)]
            errors = {"xerr": point.x_std or None, "yerr": point.y_std or None, "capsize": 2}
            drawn = axes.errorbar(point.x, point.y, color=colour, marker=marker, linestyle="none", **errors)
            drawn.set_label(_shown(point.label))
            drawn.lines[0].set_markerfacecolor(colour if point.on_front else "none")
        axes.margins(0.12)
        if points:
            figure.legend(loc="outside lower center", ncols=num_columns)
        return _svg(figure)


@contextmanager
def _figure(x_label: str, y_label: str, legend_height: float = 0.0) -> Iterator[tuple[Figure, Any]]:
    with style.context(_STYLE, after_reset=True):  # whatever matplotlibrc a user has
        figure = Figure(figsize=(_WIDTH, _HEIGHT + legend_height), layout="constrained")
        axes = figure.add_subplot()
        axes.set_xlabel(x_label)
        axes.set_ylabel(y_label)
        yield figure, axes


def _shown(label: str) -> str:
    """Keep matplotlib from leaving out labels that begin with an underscore."""
    return f" {label}" if label.startswith("_") else label


def _svg(figure: Figure) -> str:
    figure.patch.set_visible(False)
    for axes in figure.axes:
        axes.patch.set_visible(False)
    written = io.StringIO()
    canvas: Any = FigureCanvasSVG(figure)
    canvas.print_svg(written, metadata={"Date": None})
    return _for_page(written.getvalue())


def _for_page(text: str) -> str:
    """Drop what only a file of its own needs, free the size, take the page's colour, and make the names unique."""
    svg = re.sub(r"<(metadata|style).*?</\1>", "", text[text.index("<svg") :], flags=re.DOTALL)
    svg = re.sub(r'<svg [^>]*?(viewBox="[^"]*")[^>]*>', r'<svg \1 aria-hidden="true" focusable="false">', svg, count=1)
    svg = svg.replace(_BLACK, "currentColor").replace("xlink:href", "href")
    prefix = "c" + sha256(svg.encode()).hexdigest()[:8]
    svg = re.sub(r'\bid="([^"]+)"', rf'id="{prefix}-\1"', svg)
    return re.sub(r'(href="#|url\(#)', rf"\1{prefix}-", svg)
