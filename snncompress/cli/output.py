"""What verbs print, and the plugins they load first."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import click

from snncompress.components import ComparisonReporter, Reporter, SummaryReporter, TerminalReporter
from snncompress.errors import InputError, did_you_mean
from snncompress.plugins import Host
from snncompress.record import Measurement, Record, Summary

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from snncompress.plan import Plan
    from snncompress.report import Comparison


_LARGE = 1000


def load_host() -> Host:
    """Load the plugins; tell each fault on one line of stderr."""
    host = Host.from_environment()
    for fault in host.faults:
        click.echo(f"warning: {fault}", err=True)
    return host


def show_warnings(plans: Iterable[Plan]) -> None:
    """Print what can be done and can hardly be meant so, one line each on stderr."""
    for plan in plans:
        for line in plan.warnings:
            click.echo(f"warning: {line}", err=True)


def print_json(value: Any) -> None:
    """Print one JSON document."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=False))


def print_list(rows: Iterable[tuple[str, str]], *, if_empty: str) -> None:
    """Print names and what they mean in two columns."""
    found = list(rows)
    formatter = click.HelpFormatter(max_width=100)
    if found:
        formatter.write_dl(found)
    click.echo(formatter.getvalue() if found else if_empty, nl=not found)


def print_table(heads: Sequence[str], rows: Sequence[Sequence[str]], *, if_empty: str) -> None:
    """Print rows under heads, each column as wide as its widest entry."""
    if not rows:
        click.echo(if_empty)
        return
    widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
    for row in (heads, ["-" * width for width in widths], *rows):
        click.echo("  ".join(f"{text:{width}}" for text, width in zip(row, widths, strict=True)).rstrip())


def print_measurements(found: Mapping[str, Measurement]) -> None:
    """Print values, their units and how they were counted."""
    rows = (
        (name, f"{_number(one.value)} {one.unit.removesuffix('1')}".rstrip() + f"  ({one.how})")
        for name, one in found.items()
    )
    print_list(rows, if_empty="nothing was measured")


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:,}" if isinstance(value, int) else f"{value:,.1f}" if abs(value) >= _LARGE else f"{value:.6g}"


def show_report(record: Record | Summary, form: str, host: Host) -> None:
    """Print a record or a summary as a reporter of that name renders it."""
    reporter = _reporter(form, host)
    if _on_terminal(record, reporter):
        return
    if isinstance(record, Record):
        click.echo(reporter.render(record), nl=False)
    elif isinstance(reporter, SummaryReporter):
        click.echo(reporter.render_summary(record), nl=False)
    else:
        raise InputError(f"reporter {form!r} renders no summary of several seeds; give the folder of one seed, or json")


def show_comparison(comparison: Comparison, form: str, host: Host) -> None:
    """Print a comparison as a reporter of that name renders it."""
    if not _on_terminal(comparison, _reporter(form, host)):
        click.echo(comparison_page(comparison, form, host), nl=False)


def comparison_page(comparison: Comparison, form: str, host: Host) -> str:
    """Return a comparison as a reporter of that name renders it."""
    reporter = _reporter(form, host)
    if not isinstance(reporter, ComparisonReporter):
        raise InputError(f"reporter {form!r} renders no comparison; use --json")
    return reporter.render_comparison(comparison)


def _on_terminal(found: Record | Summary | Comparison, reporter: Reporter) -> bool:
    """Print with rich and return True where stdout is a terminal and the reporter knows how; files get plain text."""
    if not (sys.stdout.isatty() and isinstance(reporter, TerminalReporter)):
        return False
    from rich.console import Console

    Console().print(reporter.for_terminal(found))
    return True


def _reporter(form: str, host: Host) -> Reporter:
    known = host.catalogue["reporters"]
    if form not in known:
        raise InputError(f"unknown reporter {form!r}; {did_you_mean(form, [*known, 'json'])}{host.excuse()}")
    reporter: Reporter = known[form]()
    return reporter
