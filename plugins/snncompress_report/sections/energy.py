"""Energy under several models, and whether they agree."""

from __future__ import annotations

from collections.abc import Iterator

from snncompress_report.details import Energy, Side
from snncompress_report.document import Block, Cell, Fold, Section, Table, Words
from snncompress_report.numbers import number, times


def energy(before: Side, after: Side) -> Section:
    """Show each model's energy of one sample, its parts, its scope and its source."""
    if not after.energies:
        return Section("energy", "Energy", (), ("energy",))
    was = {model.name: model for model in before.energies}
    largest = max((model.mj for model in (*before.energies, *after.energies)), default=0.0)
    rows = tuple(_row(model, was.get(model.name), largest) for model in after.energies)
    table = Table(
        "Energy under each model", ("model, mJ per sample", "baseline", "final", "final / baseline"), rows, "noted"
    )
    words = Words(
        "An energy is a convention applied to counted operations; nothing was measured with a meter.", "quiet"
    )
    return Section("energy", "Energy", (agreement(before, after), table, *_parts(was, after), words))


def agreement(before: Side, after: Side) -> Words:
    """Say whether all models rank baseline and final alike."""
    was = {model.name: model.mj for model in before.energies}
    common = [model for model in after.energies if model.name in was]
    less = [model.name for model in common if model.mj < was[model.name]]
    more = [model.name for model in common if model.mj > was[model.name]]
    same = [model.name for model in common if model.mj == was[model.name]]
    groups = (("less", less), ("more", more), ("the same", same))
    told = [f"{_listed(names)} {_says(names)} {what}" for what, names in groups if names]
    if not told:
        return Words("There is no baseline to compare with.", "quiet")
    if len(told) == 1:
        word = next(what for what, names in groups if names)
        who = "The one model says" if len(common) == 1 else f"All {len(common)} models say"
        return Words(f"{who} that the final network needs {word}{'' if word == 'the same' else ' energy'}.")
    return Words(f"The models disagree on the energy of the final network: {'; '.join(told)}.", "bad")


def _listed(names: list[str]) -> str:
    return ", ".join(names)


def _says(names: list[str]) -> str:
    return "says" if len(names) == 1 else "say"


def _row(model: Energy, was: Energy | None, largest: float) -> tuple[Cell, ...]:
    before = was.mj if was else None
    bars = (model.mj / largest, None if before is None else before / largest) if largest else (None, None)
    ratio = times(model.mj / before if before else None)
    under = " ".join(
        part.rstrip(".") + "." for part in (model.scope, model.source and f"Source: {model.source}") if part
    )
    return (
        Cell(model.name, under=under),
        number(before),
        number(model.mj),
        Cell(ratio, value=model.mj / before if before else None, bar=bars[0], bar_before=bars[1]),
    )


def _parts(was: dict[str, Energy], after: Side) -> Iterator[Block]:
    models = [model for model in after.energies if len(model.parts) > 1]
    if not models:
        return
    found = [
        (model.name, part, _part(was.get(model.name), part), mj) for model in models for part, mj in model.parts.items()
    ]
    rows = [(Cell(name), Cell(part), number(before), number(mj)) for name, part, before, mj in found if before or mj]
    table = Table("Parts that are not zero", ("model, mJ per sample", "part", "baseline", "final"), tuple(rows))
    yield Fold("The parts of each model", (table,))


def _part(model: Energy | None, part: str) -> float | None:
    return model.parts.get(part) if model else None
