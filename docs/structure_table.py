"""Print the table of ``docs/guides/efficient-spiking-transformers.md`` from finished sweeps: ``python docs/structure_table.py SWEEP...``.

A sweep has run a recipe whose second step exchanges neurons (``--over steps.1.to=lif,slif``) and whose third prunes, perhaps
over several fractions. Every row is the mean over the seeds with the sample standard deviation. ``first`` is the first epoch
of fine-tuning at which the validation accuracy of sLIF is at least that of LIF behind its last epoch, by seed; a dash where
it never is.
"""

from __future__ import annotations

import json
import re
import statistics
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from snncompress.report import paired

Record = dict[str, Any]

COLUMNS = {
    "accuracy, %": ("accuracy", 100, ".2f"),
    "parameters not zero": ("parameters_nonzero", 1, ",.0f"),
    "bytes": ("bytes", 1, ",.0f"),
    "dense operations": ("dense_ops", 1e-6, ".2f M"),
    "synaptic operations": ("synops", 1e-6, ".3f M"),
    "energy, µJ": ("energy", 1e3, ".2f"),
}
"""Value of the record, factor, and format."""

METHODS = {"prune.l1": "L1P", "prune.dsp": "DSP"}


def records(folder: Path) -> list[Record]:
    """Return the records of all seeds of one combination."""
    return [json.loads(file.read_text(encoding="utf-8")) for file in sorted(folder.glob("seed-*/record.json"))]


def spoken(values: Sequence[float], form: str) -> str:
    """Return mean and spread; the mean alone where nothing varies."""
    form, _, unit = form.partition(" ")
    middle = f"{statistics.mean(values):{form}}"
    spread = statistics.stdev(values) if len(values) > 1 else 0.0
    return f"{middle} ± {spread:{form}} {unit}".strip() if spread else f"{middle} {unit}".strip()


def row(name: str, states: Sequence[dict[str, Any]], paired: Sequence[str] = ("", "")) -> str:
    """Return one row of the table; ``paired`` is what only a comparison of neurons tells."""
    cells = [
        spoken([factor * state[value]["value"] for state in states], form) for value, factor, form in COLUMNS.values()
    ]
    return f"| {' | '.join([name, *cells, *paired])} |"


def history(record: Record) -> list[float]:
    """Return the validation accuracy behind each epoch of the last training."""
    *_, last = record["steps"][-1]["notes"]["training"].values()
    return [epoch["validation_accuracy"] for epoch in last["epochs"]]


def first_epochs(slif: Sequence[Record], lif: Sequence[Record]) -> str:
    """Return by seed when sLIF reaches what LIF ends with."""
    found = []
    for one, other in zip(slif, lif, strict=True):
        goal = history(other)[-1]
        found.append(next((str(number) for number, value in enumerate(history(one), 1) if value >= goal), "-"))
    return ", ".join(found)


def verdict(slif: Sequence[Record], lif: Sequence[Record]) -> str:
    """Return the paired differences of test accuracy in points, and what a paired t-test says of them."""
    pairs = [[record["final"]["accuracy"]["value"] for record in pair] for pair in zip(slif, lif, strict=True)]
    gaps = ", ".join(f"{100 * (one - other):+.1f}" for one, other in pairs)
    found = paired([one for one, _ in pairs], [other for _, other in pairs])
    if found is None or found.p is None:
        return f"{gaps}; too few seeds"
    if not found.differs:
        return f"{gaps}; no difference seen, {found.reason.partition(',')[0]}"
    return f"{gaps}; sLIF {'better' if found.mean > 0 else 'worse'}, {found.reason.partition(',')[0]}"


def rows(sweep: Path) -> Iterator[str]:
    """Yield the rows of one sweep, LIF and sLIF below each other where both have run, and the dense network before them."""
    names = {re.sub(r"^to=s?lif", "", folder.name) for folder in sweep.iterdir() if records(folder)}
    for number, name in enumerate(sorted(names)):
        lif, slif = (records(sweep / f"to={kind}{name}") for kind in ("lif", "slif"))
        known = lif or slif
        step = known[0]["pipeline"]["steps"][2]
        title = f"{METHODS[step['use']]} {step['fraction']:g}"
        if not number:
            yield row("dense", [record["baseline"] for record in known])
        if lif:
            yield row(f"{title}, LIF", [record["final"] for record in lif])
        if slif:
            paired = (first_epochs(slif, lif), verdict(slif, lif)) if lif else ("", "LIF not run")
            yield row(f"{title}, sLIF", [record["final"] for record in slif], paired)


def main(folders: Sequence[str]) -> None:
    """Print a table for each sweep."""
    for folder in folders:
        print(f"| {Path(folder).name} | {' | '.join(COLUMNS)} | first | sLIF \N{MINUS SIGN} LIF by seed |")  # noqa: T201 - a script
        print("|---" * (len(COLUMNS) + 3) + "|")  # noqa: T201 - a script
        print("\n".join(rows(Path(folder))))  # noqa: T201 - a script


if __name__ == "__main__":
    main(sys.argv[1:])
