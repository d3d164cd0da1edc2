"""``snncompress compare RUN RUN...``."""

from __future__ import annotations

from pathlib import Path

import click

from snncompress.cli import options
from snncompress.cli.output import comparison_page, load_host, print_json, show_comparison
from snncompress.errors import InputError
from snncompress.report import compare, read_entries


@click.command()
@click.argument("runs", metavar="RUN...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--baseline",
    metavar="RUN",
    help="Name or folder that the others are judged against.  [default: the first; of a sweep its dense network]",
)
@click.option(
    "--cost", metavar="METRIC", help="Value to set against accuracy.  [default: the first that is better when lower]"
)
@click.option(
    "--output",
    metavar="FILE.html",
    type=click.Path(path_type=Path, dir_okay=False),
    callback=options.in_a_folder,
    help="Also write the comparison as a page.",
)
@options.as_csv
@options.as_json
def command(
    runs: tuple[Path, ...],
    baseline: str | None,
    cost: str | None,
    output: Path | None,
    table: Path | None,
    *,
    as_json: bool,
) -> None:
    """Set finished runs side by side: values with their spread, verdicts, and accuracy against cost.

    RUN is the folder of a run, of a run with several seeds, or of a sweep, which stands for all its combinations.
    """
    if output is not None and output.suffix.lower() not in (".html", ".htm"):
        raise InputError(f"--output {str(output)!r} should be the name of a page, FILE.html")
    host = load_host()
    comparison = compare(read_entries(runs), baseline=baseline, cost=cost)
    if output is not None:
        output.write_text(comparison_page(comparison, "html", host), encoding="utf-8")
    if table is not None:
        comparison.write_csv(table)
    if as_json:
        print_json(comparison.model_dump(mode="json"))
    else:
        show_comparison(comparison, "text", host)
