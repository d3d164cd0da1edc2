"""A report as rich tables, for a terminal."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.table import Table as RichTable
from rich.text import Text as RichText

from snncompress_report.document import Cell, Document, Table, Tone, Words
from snncompress_report.plain import missing_metrics, told

_STYLES: dict[Tone, str] = {"": "", "good": "green", "bad": "bold red", "quiet": "dim"}


def terminal(document: Document) -> Group:
    """Return a report as something that rich prints."""
    return Group(*_parts(document))


def _parts(document: Document) -> Iterator[RenderableType]:
    yield RichText(document.title, style="bold")
    yield from map(_words, document.lead)
    for section in document.sections:
        for block in told(section):
            yield RichText("")
            yield (
                _table(block) if isinstance(block, Table) else _words(block) if isinstance(block, Words) else block.text
            )
    if missing := missing_metrics(document):
        yield from (RichText(""), _words(missing))


def _words(words: Words) -> RichText:
    return RichText(words.text, style=_STYLES[words.tone])


def _table(table: Table) -> RichTable:
    shown = RichTable(title=RichText(table.caption), title_justify="left", title_style="bold", header_style="")
    for column, name in enumerate(table.head):
        is_numeric = any(row[column].value is not None for row in table.rows)
        shown.add_column(RichText(name), justify="right" if is_numeric else "left", overflow="fold")
    for row in table.rows:
        shown.add_row(*map(_cell, row))
    return shown


def _cell(cell: Cell) -> RichText:
    return RichText(cell.text, style=_STYLES[cell.tone])
