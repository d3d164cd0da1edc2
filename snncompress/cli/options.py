"""Arguments and options that verbs share, spelled once."""

from __future__ import annotations

from pathlib import Path

import click

from snncompress.errors import InputError


def in_a_folder(context: click.Context, option: click.Parameter, file: Path | None) -> Path | None:
    """Raise InputError, before anything is computed, where the folder of a file to write is missing."""
    del context
    if file is not None and not file.parent.is_dir():
        raise InputError(f"{option.opts[0]} {str(file)!r}: there is no folder {str(file.parent)!r}; make it first")
    return file


pipeline_file = click.argument("file", metavar="FILE")
overrides = click.option(
    "--set",
    "overrides",
    metavar="PATH=VALUE",
    multiple=True,
    help="Replace a value of the pipeline, e.g. steps.1.rounds=3, or 'seeds=[0,1,2]' in quotes.",
)
as_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON document and nothing else.")
as_csv = click.option(
    "--csv",
    "table",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    callback=in_a_folder,
    help="Also write the comparison as a table: a row for each value of each run.",
)
output = click.option(
    "--output", metavar="DIR", type=click.Path(path_type=Path), help="Folder of this run.  [default: runs/<name>]"
)
store = click.option(
    "--store",
    metavar="DIR",
    type=click.Path(path_type=Path),
    default=Path("runs/.store"),
    show_default=True,
    help="Folder of finished steps that runs share.",
)
overwrite = click.option(
    "--overwrite", is_flag=True, help="Replace the results of another pipeline in that folder, not number a new one."
)
device = click.option(
    "--device", metavar="NAME", default="cpu", show_default=True, help="Where to compute: cpu, cuda, cuda:1, mps."
)
allow_code = click.option("--allow-code", is_flag=True, help="Let the pipeline call Python functions that it names.")
