"""``snncompress inspect NETWORK``."""

from __future__ import annotations

import click

from snncompress.cli import options
from snncompress.cli.output import load_host, print_json


@click.command()
@click.argument("network", metavar="NETWORK")
@click.option(
    "--input",
    "shape",
    metavar="C,H,W",
    help="Shape of one image.  [default: that of the file's or run's data; 3,32,32]",
)
@click.option(
    "--classes",
    "num_classes",
    type=click.IntRange(min=1),
    help="Number of classes.  [default: those of the file's or run's data; 10]",
)
@options.overrides
@options.allow_code
@options.as_json
def command(
    network: str,
    shape: str | None,
    num_classes: int | None,
    overrides: tuple[str, ...],
    *,
    allow_code: bool,
    as_json: bool,
) -> None:
    """Show the parts of a network that selectors can pick.

    NETWORK is an artifact folder, the folder of a run, a pipeline file, or a model reference such as spikingjelly.spikformer or
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
