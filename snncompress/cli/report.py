"""``snncompress report RUN``."""

from __future__ import annotations

from pathlib import Path

import click

from snncompress.cli import options
from snncompress.cli.output import load_host, print_json, show_report
from snncompress.errors import InputError
from snncompress.record import Record


@click.command()
@click.argument("run", metavar="RUN", type=click.Path(path_type=Path))
@click.option("--format", "form", default="text", show_default=True, help="Name of a reporter, or json.")
@options.as_json
def command(run: Path, form: str, *, as_json: bool) -> None:
    """Show the report of a finished run; RUN is its folder or its record.json."""
    file = run / "record.json" if run.is_dir() else run
    if not file.is_file():
        raise InputError(f"{str(run)!r} holds no record.json; give the folder of a finished run")
    record = Record.read(file)
    if as_json or form == "json":
        print_json(record.model_dump(mode="json"))
    else:
        show_report(record, form, load_host())
