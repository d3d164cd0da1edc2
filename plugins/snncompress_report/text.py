"""The text report."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from snncompress import Comparison, Record, Settings, Summary

if TYPE_CHECKING:
    from rich.console import RenderableType

    from snncompress_report.document import Document


class Text(Settings):
    """Write what was done and measured as plain text."""

    use: Literal["text"] = "text"
    file_name: ClassVar[str] = "report.txt"

    def render(self, record: Record) -> str:
        """Return the report of a run."""
        return _plain(_document(record))

    def render_summary(self, summary: Summary) -> str:
        """Return the report of one pipeline over several seeds."""
        return _plain(_document(summary))

    def render_comparison(self, comparison: Comparison) -> str:
        """Return a table of several runs, with verdicts."""
        return _plain(_document(comparison))

    def for_terminal(self, found: Record | Summary | Comparison) -> RenderableType:
        """Return the same for rich to print on a terminal."""
        from snncompress_report.terminal import terminal

        return terminal(_document(found))


def _plain(document: Document) -> str:
    from snncompress_report.plain import plain

    return plain(document)


def _document(found: Record | Summary | Comparison) -> Document:
    from snncompress_report import comparison_report, run_report, summary_report

    if isinstance(found, Record):
        return run_report.essentials(found)
    if isinstance(found, Summary):
        return summary_report.essentials(found, page=Text.file_name)
    return comparison_report.whole(found)
