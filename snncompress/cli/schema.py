"""``snncompress schema``."""

from __future__ import annotations

import click

from snncompress.cli import options
from snncompress.cli.output import load_host, print_json
from snncompress.pipeline import schema


@click.command()
@options.as_json
def command(*, as_json: bool) -> None:
    """Print the JSON schema of the pipelines that this environment can read."""
    del as_json  # a schema is JSON either way
    print_json(schema(load_host()))
