"""Where the numbers come from: the pipeline, the environment, the keys, and the command that repeats it."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from snncompress import Record, Summary
from snncompress_report.document import Block, Cell, Fold, Listing, Section, Table, Words, cells

_IN_HAND = ("values", "batches")
"""What stands for a network and for data that no pipeline file can name."""


def provenance(found: Record | Summary) -> Section:
    """Show everything that a reader needs to run it again."""
    again = _again(found.pipeline, found.environment)
    plain = json.loads(json.dumps(found.pipeline, default=str))
    text = yaml.safe_dump(plain, sort_keys=False, allow_unicode=True, width=100)
    blocks: tuple[Block, ...] = (again, _environment(found.environment))
    if isinstance(found, Record):
        rows = tuple((Cell(f"{step.index + 1}. {step.use}"), Cell(step.path), Cell(step.key)) for step in found.steps)
        blocks = (*blocks, Table("Keys of the steps in the store", ("step", "path", "key"), rows))
    pipeline = Fold("The pipeline, every default filled in", (Listing(text),))
    return Section("provenance", "Provenance", (*blocks, pipeline))


def _again(pipeline: Mapping[str, Any], environment: Mapping[str, Any]) -> Block:
    parts = [part for name in ("model", "data") if isinstance(part := pipeline.get(name), Mapping)]
    if any(name in part for part in parts for name in _IN_HAND):
        return Words(
            "This run began in Python with a network in hand: call snncompress.compress with it and its data again."
        )
    words = ["snncompress", "run", "pipeline.yaml"]
    if any(part.get("use") == "python" for part in parts):
        words.append("--allow-code")
    if (device := environment.get("device", "cpu")) != "cpu":
        words += ["--device", str(device)]
    return Listing(shlex.join(words), "To run it again, with the pipeline.yaml that lies beside this report")


def _environment(environment: Mapping[str, Any]) -> Table:
    rows = tuple(cells((name, value)) for name, value in _flat(environment))
    return Table("Environment", ("what", "value"), rows)


def _flat(found: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, value in found.items():
        if isinstance(value, Mapping):
            yield from ((f"{name}: {inner}", text) for inner, text in _flat(value))
        else:
            yield name, "-" if value is None else str(value)
