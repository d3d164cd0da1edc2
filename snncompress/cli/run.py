"""``snncompress run FILE``."""

from __future__ import annotations

from pathlib import Path

import click

from snncompress.cli import options
from snncompress.cli.output import load_host, print_json, show_report
from snncompress.cli.program import BUDGET_MISSED


@click.command()
@options.pipeline_file
@options.overrides
@options.output
@options.overwrite
@options.store
@options.device
@options.allow_code
@options.as_json
@click.pass_context
def command(
    context: click.Context,
    file: str,
    overrides: tuple[str, ...],
    output: Path | None,
    store: Path,
    device: str,
    *,
    overwrite: bool,
    allow_code: bool,
    as_json: bool,
) -> None:
    """Run a pipeline; FILE may be recipe:NAME. Finished steps are reused, an interrupted one goes on where it was."""
    from snncompress.run import run

    host = load_host()
    result = run(
        file,
        overrides=overrides,
        output=output,
        store=store,
        overwrite=overwrite,
        device=device,
        allow_code=allow_code,
        host=host,
    )
    if as_json:
        print_json(result.record.model_dump(mode="json"))
    else:
        show_report(result.record, "text", host)
    if not result.record.budgets_met:
        context.exit(BUDGET_MISSED)
