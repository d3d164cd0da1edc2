"""``snncompress validate FILE``."""

from __future__ import annotations

import click

from snncompress.cli import options
from snncompress.cli.output import load_host, print_json
from snncompress.pipeline import load_pipeline


@click.command()
@options.pipeline_file
@options.overrides
@options.as_json
def command(file: str, overrides: tuple[str, ...], *, as_json: bool) -> None:
    """Check a pipeline file without opening its model; FILE may be recipe:NAME.

    With --json, print the pipeline with all defaults filled in.
    """
    source = load_pipeline(file, load_host(), overrides=overrides)
    if as_json:
        print_json(source.pipeline.canonical())
    else:
        count, seeds = len(source.pipeline.steps), len(source.pipeline.seeds or (0,))
        times = f", {seeds} seeds" if seeds > 1 else ""
        click.echo(f"{source.name}: valid, {count} step{'s' if count > 1 else ''}{times}")
