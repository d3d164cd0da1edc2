"""``snncompress recipes [NAME]``."""

from __future__ import annotations

import click

from snncompress.cli import options
from snncompress.cli.output import load_host, print_json, print_list
from snncompress.errors import InputError, did_you_mean
from snncompress.pipeline import recipes, summary_of


@click.command()
@click.argument("name", required=False)
@options.as_json
def command(name: str | None, *, as_json: bool) -> None:
    """List the pipelines that installed zoos ship, each with what it does, or print one."""
    host = load_host()
    known = recipes(host)
    if name is not None and name not in known:
        raise InputError(f"no recipe {name!r}; {did_you_mean(name, known)}{host.excuse()}")
    text = "" if name is None else known[name].read_text(encoding="utf-8")
    if as_json:
        print_json({"name": name, "text": text} if name else {found: str(path) for found, path in known.items()})
    elif name is None:
        rows = ((f"recipe:{found}", summary_of(path)) for found, path in known.items())
        print_list(rows, if_empty="no installed zoo ships one")
    else:
        click.echo(text, nl=False)
