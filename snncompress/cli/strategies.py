"""``snncompress strategies [NAME]``."""

from __future__ import annotations

from dataclasses import asdict

import click

from snncompress.cli import options
from snncompress.cli.output import load_host, print_json, print_list
from snncompress.errors import InputError, did_you_mean
from snncompress.pipeline.describe import describe


@click.command()
@click.argument("name", required=False)
@options.as_json
def command(name: str | None, *, as_json: bool) -> None:
    """List what a step can use, or show one strategy and its settings."""
    host = load_host()
    known = describe(host, "strategies")
    if name is not None and name not in known:
        raise InputError(f"unknown strategy {name!r}; {did_you_mean(name, known)}{host.excuse()}")
    if as_json:
        print_json([asdict(one) for one in known.values()] if name is None else asdict(known[name]))
    elif name is None:
        print_list(((one.use, one.summary) for one in known.values()), if_empty="no plugin provides a strategy")
    else:
        click.echo(f"{name} (plugin {known[name].plugin})\n\n{known[name].text}\n")
        print_list((setting.row() for setting in known[name].settings), if_empty="it has no settings")
        for group in known[name].groups:
            click.echo(f"\n{group.type}: {group.text}\n")
            print_list((setting.row() for setting in group.settings), if_empty="it has no settings")
