"""Printing a report on stdout: with rich on a terminal, as plain text elsewhere."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from snncompress.components import TerminalReporter

if TYPE_CHECKING:
    from snncompress.components import Reporter
    from snncompress.plugins import Host
    from snncompress.record import Record, Summary
    from snncompress.report.comparison import Comparison

TEXT = "text"
"""The reporter whose report is printed where no other is asked for."""


def print_on_terminal(found: Record | Summary | Comparison, reporter: Reporter) -> bool:
    """Print with rich and return True where stdout is a terminal and the reporter knows how; files get plain text."""
    if not (sys.stdout.isatty() and isinstance(reporter, TerminalReporter)):
        return False
    from rich.console import Console

    Console().print(reporter.for_terminal(found))
    return True


def print_record(record: Record, host: Host) -> None:
    """Print what the command line prints at the end of a run."""
    known = host.catalogue["reporters"].get(TEXT)
    if known is None:  # its plugin is not loaded
        sys.stdout.write(f"{record}\n")
        return
    reporter: Reporter = known()
    if not print_on_terminal(record, reporter):
        sys.stdout.write(reporter.render(record))
