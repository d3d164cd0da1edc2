"""``snncompress plan FILE``."""

from __future__ import annotations

from pathlib import Path

import click

from snncompress.cli import options
from snncompress.cli.output import load_host, print_json, print_list, show_warnings
from snncompress.pipeline import load_pipeline


@click.command()
@options.pipeline_file
@options.overrides
@options.store
@options.allow_code
@options.as_json
def command(file: str, overrides: tuple[str, ...], store: Path, *, allow_code: bool, as_json: bool) -> None:
    """Show what a run would do and what it would reuse; reads no weights and no data."""
    from snncompress.plan import make_plans
    from snncompress.store import Store

    host = load_host()
    source = load_pipeline(file, host, overrides=overrides)
    plans = make_plans(source, host, Store(store), allow_code=allow_code)
    show_warnings(plans)
    if as_json:
        found = [plan.to_json() for plan in plans]
        print_json(found[0] if source.pipeline.seeds is None else {"name": source.pipeline.name, "plans": found})
        return
    for plan in plans:
        if source.pipeline.seeds is not None:
            click.echo(f"seed {plan.pipeline.seed}")
        rows = ((f"{step.index + 1}. {step.strategy.use}", step.summary) for step in plan.steps)
        print_list(rows, if_empty="no step")
