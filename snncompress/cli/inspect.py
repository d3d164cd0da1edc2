"""``snncompress inspect NETWORK``."""

from __future__ import annotations

import click

from snncompress.cli import options
from snncompress.cli.output import load_host, print_json


@click.command()
@click.argument("network", metavar="NETWORK")
@click.option("--input", "shape", default="3,32,32", show_default=True, help="Shape of one image, C,H,W.")
@click.option("--classes", "num_classes", default=10, show_default=True, help="Number of classes.")
@options.overrides
@options.allow_code
@options.as_json
def command(
    network: str, shape: str, num_classes: int, overrides: tuple[str, ...], *, allow_code: bool, as_json: bool
) -> None:
    """Show the parts of a network that selectors can pick.

    NETWORK is an artifact folder, a pipeline file, or a model reference such as spikingjelly.spikformer or
    '{use: spikingjelly.spikformer, embed_dims: 64}'; --input and --classes size a reference.
    """
    from snncompress.plan.inspection import inspect

    found = inspect(
        network, load_host(), shape=shape, num_classes=num_classes, overrides=overrides, allow_code=allow_code
    )
    if as_json:
        print_json(found.to_json())
    else:
        click.echo(found.as_text())
