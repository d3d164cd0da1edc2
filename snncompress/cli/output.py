"""What verbs print, and the plugins they load first."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from snncompress.errors import InputError, did_you_mean
from snncompress.plugins import Host

if TYPE_CHECKING:
    from collections.abc import Iterable

    from snncompress.record import Record


def load_host() -> Host:
    """Load the plugins; tell each fault on one line of stderr."""
    host = Host.from_environment()
    for fault in host.faults:
        click.echo(f"warning: {fault}", err=True)
    return host


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


def show_report(record: Record, form: str, host: Host) -> None:
    """Print a record as a reporter of that name renders it."""
    known = host.catalogue["reporters"]
    if form not in known:
        raise InputError(f"unknown reporter {form!r}; {did_you_mean(form, [*known, 'json'])}{host.excuse()}")
    click.echo(known[form]().render(record), nl=False)
