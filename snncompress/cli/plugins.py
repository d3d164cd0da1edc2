"""``snncompress plugins``."""

from __future__ import annotations

from dataclasses import asdict

import click

from snncompress.cli import options
from snncompress.cli.output import print_json, print_list
from snncompress.plugins import Host


@click.command()
@options.as_json
def command(*, as_json: bool) -> None:
    """List the plugins that loaded and what they provide, and everything about those that did not."""
    host = Host.from_environment()
    if as_json:
        print_json({"plugins": [asdict(one) for one in host.plugins], "faults": [asdict(one) for one in host.faults]})
        return
    for plugin in host.plugins:
        click.echo(f"{plugin.name} ({plugin.distribution} {plugin.version})")
        rows = ((f"  {kind}", ", ".join(names)) for kind, names in plugin.provides.items())
        print_list(rows, if_empty="  hooks only")
    for fault in host.faults:
        click.echo(f"\n{fault}\n{fault.detail}".rstrip())
