"""A report as plain text."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence

from snncompress_report.document import Document, Listing, Section, Table, Words

_WIDTH = 120


def plain(document: Document) -> str:
    """Return a report as text, tables aligned; pictures and what a page folds away are left out."""
    lines = [_title(document), *(_wrapped(words) for words in document.lead[1:])]
    for section in document.sections:
        for block in _blocks(section):
            lines += ["", *block]
    if missing := missing_metrics(document):
        lines += ["", _wrapped(missing)]
    return "\n".join(lines) + "\n"


def missing_metrics(document: Document) -> Words | None:
    """Say what else could be measured."""
    names = list(dict.fromkeys(name for section in document.sections for name in section.missing))
    if not names:
        return None
    return Words(f"Not measured, add to `measure:` to see it: {', '.join(names)}.", "quiet")


def told(section: Section) -> Iterator[Table | Words | Listing]:
    """Yield the blocks of a section that text can show."""
    return (block for block in section.blocks if isinstance(block, Table | Words | Listing))


def _title(document: Document) -> str:
    return f"{document.title}: {document.lead[0].text}" if document.lead else document.title


def _blocks(section: Section) -> Iterator[list[str]]:
    for block in told(section):
        if isinstance(block, Table):
            yield list(_aligned(block))
        elif isinstance(block, Words):
            yield [_wrapped(block)]
        else:
            yield block.text.splitlines()


def _wrapped(words: Words) -> str:
    return textwrap.fill(words.text, _WIDTH, break_long_words=False, break_on_hyphens=False)


def _aligned(table: Table) -> Iterator[str]:
    rows: Sequence[Sequence[str]] = [table.head, *([cell.text for cell in row] for row in table.rows)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(table.head))]
    for row in (rows[0], ["-" * width for width in widths], *rows[1:]):
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
