"""``snncompress report RUN``."""

from __future__ import annotations

from pathlib import Path

import click

from snncompress.cli import options
from snncompress.cli.output import load_host, print_json, show_report
from snncompress.report import read_result


@click.command()
@click.argument("run", metavar="RUN", type=click.Path(path_type=Path))
@click.option("--format", "form", default="text", show_default=True, help="Name of a reporter, or json.")
@options.as_json
def command(run: Path, form: str, *, as_json: bool) -> None:
    """Show the report of a finished run, or of one with several seeds; RUN is its folder or its record.json."""
    record = read_result(run)
    if as_json or form == "json":
        print_json(record.model_dump(mode="json"))
    else:
        show_report(record, form, load_host())
