"""Training curves, from what the steps noted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any, NamedTuple

from snncompress import Record
from snncompress_report.document import Cell, Fold, Picture, Section, Table
from snncompress_report.numbers import number

_CURVES = (("loss", "Training loss"), ("validation_accuracy", "Validation accuracy"))


class Training(NamedTuple):
    """One training: the step that did it, its label, and its epochs."""

    step: str
    label: str
    epochs: list[Mapping[str, Any]]


def training(record: Record) -> Section | None:
    """Show loss and validation accuracy over all epochs; None where nothing was trained."""
    found = list(_trainings(record))
    if not found:
        return None
    pictures = [_picture(found, name, title) for name, title in _CURVES if any(_numbers(found, name))]
    head = ("training", "epochs", "loss", "validation accuracy")
    table = Table("The last epoch of each training", head, tuple(_last(one) for one in found))
    return Section("training", "Training", (*pictures, Fold("The last epoch of each training", (table,))))


def _trainings(record: Record) -> Iterator[Training]:
    for place, step in enumerate(record.steps, start=1):
        known = step.notes.get("training")
        for label, kept in known.items() if isinstance(known, Mapping) else ():
            epochs = kept.get("epochs") if isinstance(kept, Mapping) else None
            if epochs and isinstance(epochs, list) and all(map(_is_epoch, epochs)):
                yield Training(f"{place}. {step.use}", str(label), epochs)


def _is_epoch(entry: Any) -> bool:
    """Tell whether an entry is one of the training loop's; a plugin may note anything under that name."""
    return isinstance(entry, Mapping) and all(isinstance(entry.get(name), int | float | None) for name, _ in _CURVES)


def _numbers(found: list[Training], name: str) -> Iterator[float]:
    return (float(value) for one in found for epoch in one.epochs if (value := epoch.get(name)) is not None)


def _picture(found: list[Training], name: str, title: str) -> Picture:
    values = list(_numbers(found, name))
    told = f"{title} over {len(values)} epochs of {len(found)} training(s): from {values[0]:.3f} to {values[-1]:.3f}."
    return Picture(f"{title}; a gap is a new training", told, partial(_draw, found, name, title.lower()))


def _draw(found: list[Training], name: str, label: str) -> str:
    from snncompress_report.charts import Series, lines

    curves: dict[str, tuple[list[float], list[float]]] = {}
    epoch = 0
    for one in found:
        xs, ys = curves.setdefault(one.step, ([], []))
        for entry in one.epochs:
            epoch += 1
            value = entry.get(name)
            xs.append(epoch)
            ys.append(float("nan") if value is None else float(value))
        xs.append(epoch + 0.5)
        ys.append(float("nan"))
    series = [Series(step, tuple(xs), tuple(ys)) for step, (xs, ys) in curves.items()]
    return lines(series, x_label="epoch of the run", y_label=label)


def _last(one: Training) -> tuple[Cell, ...]:
    last = one.epochs[-1]
    named = Cell(f"{one.step}, {one.label}")
    return named, Cell(str(len(one.epochs))), number(last.get("loss")), number(last.get("validation_accuracy"))
