"""``snncompress report RUN``."""

from __future__ import annotations

from pathlib import Path

import click
from pydantic import ValidationError

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
    try:
        record = Record.read(file)
    except ValueError as error:
        raise InputError(f"{str(file)!r} is no record that this snncompress reads: {_first(error)}") from error
    if as_json or form == "json":
        print_json(record.model_dump(mode="json"))
    else:
        show_report(record, form, load_host())


def _first(error: ValueError) -> str:
    if not isinstance(error, ValidationError):
        return str(error)
    found = error.errors(include_url=False)[0]
    return ": ".join([*map(str, found["loc"]), found["msg"]])
