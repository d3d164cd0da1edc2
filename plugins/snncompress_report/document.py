"""What a report consists of, whatever it is written as: plain text, a terminal's tables, or a page."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

Tone = Literal["", "good", "bad", "quiet"]


@dataclass(frozen=True)
class Cell:
    """One cell of a table.

    Attributes:
        text: what is read.
        value: the number behind the text, unrounded.
        under: small print below it.
        tone: whether it is good or bad news; the text says so too.
        bar: length of a bar, 0..1.
        bar_before: length of a second bar, that of the baseline.
        heat: strength of a background, 0..1.
        link: relative address of a file beside the report.
    """

    text: str
    value: float | None = None
    under: str = ""
    tone: Tone = ""
    bar: float | None = None
    bar_before: float | None = None
    heat: float | None = None
    link: str = ""


@dataclass(frozen=True)
class Table:
    """A table; the first cell of a row is its heading.

    ``style`` is ``plain``, ``noted`` (the small print of a heading has a line of its own), ``sortable`` (long, so that
    sorting helps), or ``heat`` (narrow cells with a background).
    """

    caption: str
    head: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    style: Literal["plain", "noted", "sortable", "heat"] = "plain"


@dataclass(frozen=True)
class Words:
    """A paragraph."""

    text: str
    tone: Tone = ""


@dataclass(frozen=True)
class Listing:
    """Text to copy, as it stands."""

    text: str
    caption: str = ""


@dataclass(frozen=True)
class Picture:
    """A chart: ``draw`` returns SVG that is safe to stand in a page; ``alternative`` says in words what it shows."""

    caption: str
    alternative: str
    draw: Callable[[], str]
    small: bool = False


@dataclass(frozen=True)
class Fold:
    """Blocks that a page shows when asked for (``is_open``: until asked not to), and text leaves out."""

    title: str
    blocks: tuple[Block, ...]
    is_open: bool = False


Block = Table | Words | Listing | Picture | Fold


@dataclass(frozen=True)
class Section:
    """Blocks under a heading; ``key`` names it within the page, ``missing`` the metrics that would show more."""

    key: str
    title: str
    blocks: tuple[Block, ...]
    missing: tuple[str, ...] = ()


@dataclass(frozen=True)
class Fact:
    """One number to see first: what it was, what it is, and by how much it changed."""

    label: str
    after: Cell
    before: Cell | None = None
    change: str = ""


@dataclass(frozen=True)
class Document:
    """A whole report."""

    title: str
    lead: tuple[Words, ...]
    facts: tuple[Fact, ...]
    sections: tuple[Section, ...]


def cells(texts: Iterable[str]) -> tuple[Cell, ...]:
    """Return a row of plain text."""
    return tuple(Cell(text) for text in texts)
