"""What was done: steps, budgets."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from snncompress import Record
from snncompress_report.document import Block, Cell, Fold, Listing, Section, Table, Words
from snncompress_report.numbers import number, shown

_ALONG = ("accuracy", "sparsity", "firing_rate")
"""Values that are shown behind each step."""

_LEFT_OUT = (
    "A dash: not measured after this step. Metrics that take long are measured on the baseline and the result; "
    "`measure_steps: all` takes them after every step."
)


def steps(record: Record) -> Section:
    """List the steps with settings, time and what is reused; what they noted is folded away."""
    names = [name for name in _ALONG if any(name in step.measurements for step in record.steps)]
    head = ("step", "use", "seconds", "reused", *names)
    places = range(len(record.steps))
    table = Table("Steps in their order", head, tuple(_step(record, place, names) for place in places), "noted")
    notes = tuple(_notes(record, at) for at in places if _told(record.steps[at].notes))
    left_out = any(name not in step.measurements for step in record.steps for name in names)
    hint = (Words(_LEFT_OUT, "quiet"),) if left_out else ()
    return Section("steps", "What was done", (table, *hint, *notes))


def budgets(record: Record) -> Section:
    """Say of each budget whether it was met."""
    rows = tuple(
        (
            Cell(entry.metric),
            Cell(entry.limit),
            number(entry.value),
            Cell("yes", tone="good") if entry.met else Cell("NO", tone="bad"),
        )
        for entry in record.budget
    )
    if not rows:
        return Section("budgets", "Budgets", (Words("The pipeline sets no budget.", "quiet"),))
    table = Table("Limits on the final network", ("budget", "limit", "value", "met"), rows)
    return Section("budgets", "Budgets", (verdict(record), table))


def verdict(record: Record) -> Words:
    """Say in a sentence whether the budgets were met."""
    missed = [entry for entry in record.budget if not entry.met]
    if not record.budget:
        return Words("The pipeline sets no budget.", "quiet")
    if not missed:
        return Words(f"Every budget is met ({len(record.budget)} of {len(record.budget)}).", "good")
    told = "; ".join(f"{entry.metric} is {shown(entry.value)}, limit {entry.limit}" for entry in missed)
    return Words(f"{len(missed)} of {len(record.budget)} budget(s) missed: {told}.", "bad")


def _step(record: Record, place: int, names: list[str]) -> tuple[Cell, ...]:
    step = record.steps[place]
    found = (number(step.measurements[name].value) if name in step.measurements else Cell("-") for name in names)
    return (
        Cell(str(place + 1), under=_settings(record, place)),
        Cell(step.use),
        Cell(f"{step.seconds:.1f}", value=step.seconds),
        Cell("yes" if step.reused else "no"),
        *found,
    )


def _settings(record: Record, place: int) -> str:
    listed = record.pipeline.get("steps") or []
    own: Any = listed[place] if place < len(listed) else {}
    if not isinstance(own, Mapping):
        return ""
    return ", ".join(f"{name}: {_plain(value)}" for name, value in own.items() if name != "use" and value is not None)


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _told(notes: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in notes.items() if name != "training"}


def _notes(record: Record, place: int) -> Fold:
    step = record.steps[place]
    return Fold(f"Notes of step {place + 1}, {step.use}", tuple(_noted(_told(step.notes))))


def _noted(notes: Mapping[str, Any]) -> Iterator[Block]:
    for name, value in notes.items():
        yield _listed(name, value) or Listing(json.dumps(value, indent=2, ensure_ascii=False), name)


def _listed(name: str, value: Any) -> Table | None:
    """Return a table of a list of flat mappings that share their names."""
    if not isinstance(value, list) or not value or not all(isinstance(row, Mapping) for row in value):
        return None
    head = tuple(value[0])
    if not head or any(
        tuple(row) != head or any(isinstance(one, list | dict) for one in row.values()) for row in value
    ):
        return None
    return Table(name, head, tuple(tuple(_note_cell(one) for one in row.values()) for row in value))


def _note_cell(value: Any) -> Cell:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return number(value)
    return Cell(_plain(value))
