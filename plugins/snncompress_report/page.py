"""A report as HTML."""

from __future__ import annotations

import re
from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from snncompress_report.document import Block, Document, Picture, Table

_BREAK = re.compile(r"(?<!\d)\.|\.(?!\d)|_")
"""Points within a path, but not within a number; and underscores."""


def page(document: Document) -> str:
    """Return one HTML file that asks nothing of anybody; every text in it is escaped."""
    return _environment().get_template("report.html.j2").render(document=document)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("snncompress_report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "kind": _kind,
        "drawn": _drawn,
        "css_percent": _css_percent,
        "coded": _coded,
        "breakable": _breakable,
    }
    environment.filters["numeric"] = _numeric
    return environment


def _kind(block: Block) -> str:
    return type(block).__name__.lower()


def _drawn(picture: Picture) -> Markup:
    return Markup(picture.draw())  # noqa: S704 - the charts escape what they are given


def _css_percent(part: float) -> str:
    """Write a part of one as CSS per cent."""
    return f"{100 * min(1.0, max(0.0, part)):.3g}%"


def _coded(text: str) -> Markup:
    """Set what stands between backticks as code."""
    template = Markup("<code>{}</code>")
    parts = [template.format(part) if place % 2 else escape(part) for place, part in enumerate(text.split("`"))]
    return Markup("").join(parts)


def _breakable(text: str) -> Markup:
    """Let a path break behind a point or an underscore."""
    return Markup(_BREAK.sub(r"\g<0><wbr>", str(escape(text))))  # noqa: S704 - escaped just now


def _numeric(table: Table) -> list[bool]:
    """Tell of each column whether it holds numbers."""
    return [any(row[column].value is not None for row in table.rows) for column in range(len(table.head))]
