"""``snncompress neurons``."""

from __future__ import annotations

from typing import Any

import click

from snncompress.cli import options
from snncompress.cli.output import load_host, print_json, print_list


@click.command()
@options.as_json
def command(*, as_json: bool) -> None:
    """List the neurons that `neurons.substitute` can put in place of others."""
    host = load_host()
    kinds: dict[str, Any] = {name: host.make("neurons", name) for name in sorted(host.catalogue["neurons"])}
    if as_json:
        print_json(
            [
                {"name": name, "summary": kind.summary, "learns": kind.learns, "per": kind.per}
                for name, kind in kinds.items()
            ]
        )
    else:
        print_list(((name, kind.summary) for name, kind in kinds.items()), if_empty="no plugin provides a neuron")
