"""``snncompress sweep FILE --over PATH=V1,V2``."""

from __future__ import annotations

from pathlib import Path

import click

from snncompress.cli import options
from snncompress.cli.output import load_host, print_json, show_comparison
from snncompress.cli.program import FAILED


@click.command()
@options.pipeline_file
@click.option(
    "--over",
    metavar="PATH=V1,V2",
    multiple=True,
    required=True,
    help="Values of a setting, e.g. steps.1.fraction=0.5,0.75; given twice, every combination is run.",
)
@options.overrides
@click.option(
    "--output",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Folder of the sweep.  [default: runs/<name>-sweep]",
)
@options.overwrite
@options.store
@options.device
@options.allow_code
@options.as_csv
@options.as_json
@click.pass_context
def command(
    context: click.Context,
    file: str,
    over: tuple[str, ...],
    overrides: tuple[str, ...],
    output: Path | None,
    store: Path,
    device: str,
    table: Path | None,
    *,
    overwrite: bool,
    allow_code: bool,
    as_json: bool,
) -> None:
    """Run a pipeline with every combination of some values, and compare them; what combinations share is done once."""
    from snncompress.run import sweep

    host = load_host()
    swept = sweep(
        file,
        over,
        overrides=overrides,
        output=output,
        store=store,
        overwrite=overwrite,
        device=device,
        allow_code=allow_code,
        host=host,
    )
    if table is not None:
        swept.comparison.write_csv(table)
    if as_json:
        print_json(
            {"sweep": swept.sweep.model_dump(mode="json"), "comparison": swept.comparison.model_dump(mode="json")}
        )
    else:
        show_comparison(swept.comparison, "text", host)
    if swept.failed:
        context.exit(FAILED)
