"""The report as one page that needs nothing beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from snncompress import Comparison, Record, Settings, Summary

if TYPE_CHECKING:
    from snncompress_report.document import Document


class Html(Settings):
    """Write one self-contained page: tables, charts, layers, activity, energy, provenance."""

    use: Literal["html"] = "html"
    file_name: ClassVar[str] = "report.html"

    def render(self, record: Record) -> str:
        """Return the page of a run."""
        from snncompress_report import run_report

        return _page(run_report.whole(record))

    def render_summary(self, summary: Summary) -> str:
        """Return the page of one pipeline over several seeds; it links to the page of each run."""
        from snncompress_report import summary_report

        return _page(summary_report.whole(summary, page=self.file_name))

    def render_comparison(self, comparison: Comparison) -> str:
        """Return the page of several runs side by side."""
        from snncompress_report import comparison_report

        return _page(comparison_report.whole(comparison))


def _page(document: Document) -> str:
    from snncompress_report.page import page

    return page(document)
