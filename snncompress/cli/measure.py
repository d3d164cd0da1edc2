"""``snncompress measure NETWORK --data DATA``."""

from __future__ import annotations

import click

from snncompress.cli import options
from snncompress.cli.output import load_host, print_json, print_measurements


@click.command()
@click.argument("network", metavar="NETWORK")
@click.option("--data", required=True, metavar="DATA", help="Data set: digits, or '{use: digits, size: 16}'.")
@click.option(
    "--metric", "metrics", multiple=True, metavar="METRIC", help="A metric; may be given again.  [default: most]"
)
@click.option("--encode", default="direct", show_default=True, help="How a still image becomes time steps.")
@click.option("--against", metavar="NETWORK", help="The uncompressed network, for the metric latency.")
@click.option("--timesteps", type=click.IntRange(min=1), help="Time steps of a model reference.")
@click.option(
    "--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Seed, also of the data's split."
)
@options.device
@options.allow_code
@options.as_json
def command(
    network: str,
    data: str,
    metrics: tuple[str, ...],
    encode: str,
    against: str | None,
    timesteps: int | None,
    seed: int,
    device: str,
    *,
    allow_code: bool,
    as_json: bool,
) -> None:
    """Measure a network on the test split of a data set, without a pipeline.

    NETWORK is an artifact folder, the folder of a run, or a model reference (its weights are then random).
    """
    from snncompress.run.measuring import measure_reference

    found = measure_reference(
        network, load_host(), data=data, metrics=metrics, encode=encode, against=against, timesteps=timesteps,
        seed=seed, device=device, allow_code=allow_code,
    )  # fmt: skip
    if as_json:
        print_json({name: one.model_dump(mode="json") for name, one in found.items()})
    else:
        print_measurements(found)
