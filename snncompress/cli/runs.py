"""``snncompress runs [FOLDER]``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from snncompress.cli import options
from snncompress.cli.output import print_json, print_table
from snncompress.report import finished_runs

if TYPE_CHECKING:
    from snncompress.report import FinishedRun

RUNS = Path("runs")
_HEADS = ("name", "finished", "network", "data", "seeds", "accuracy", "budgets met", "folder")


@click.command()
@click.argument("folder", metavar="[FOLDER]", required=False, type=click.Path(path_type=Path))
@options.as_json
def command(folder: Path | None, *, as_json: bool) -> None:
    """List the finished runs in FOLDER and below, the oldest first; in `runs` where none is given.

    Several seeds are one line. The combinations of a sweep have a line each, after that of the sweep.
    """
    place = folder or RUNS
    found = () if folder is None and not place.exists() else finished_runs(place)
    if as_json:
        print_json([one.model_dump(mode="json") for one in found])
        return
    print_table(_HEADS, [_row(one) for one in found], if_empty=f"no finished run in {str(place)!r}")
    for one in found:
        if one.why is not None:
            click.echo(f"warning: {one.why}", err=True)


def _row(one: FinishedRun) -> tuple[str, ...]:
    when = f"{one.when:%Y-%m-%d %H:%M}"
    if one.kind == "unreadable":
        return ("cannot be read", when, "", "", "", "", "", one.folder)
    if one.kind == "sweep":
        return (one.name, when, f"sweep of {one.combinations}", "", "", "", "", one.folder)
    seeds = ", ".join(map(str, one.seeds))
    met = f"{one.budgets_met} of {one.budgets}" if one.budgets else "-"
    return (one.name, when, one.network, one.data, seeds, _accuracy(one), met, one.folder)


def _accuracy(one: FinishedRun) -> str:
    if one.accuracy is None or one.accuracy.mean is None:
        return "-"
    return f"{one.accuracy.mean:.4f}" + ("" if one.accuracy.std is None else f" ± {one.accuracy.std:.4f}")
