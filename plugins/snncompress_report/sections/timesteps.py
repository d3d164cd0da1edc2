"""Accuracy against the number of time steps."""

from __future__ import annotations

from functools import partial
from itertools import zip_longest

from snncompress_report.details import Side
from snncompress_report.document import Cell, Picture, Section, Table
from snncompress_report.numbers import number


def timesteps(before: Side, after: Side) -> Section:
    """Show the accuracy with 1, 2, ... T steps."""
    title = "Accuracy against time steps"
    was, now = before.accuracy_by_time, after.accuracy_by_time
    if len(now) < 2:  # noqa: PLR2004 - one point is no curve
        return Section("timesteps", title, (), ("accuracy",) if not now else ())
    rows = tuple(
        (Cell(str(step)), number(first), number(last))
        for step, (first, last) in enumerate(zip_longest(was, now), start=1)
    )
    told = ", ".join(f"{last:.3f} with {step}" for step, last in enumerate(now, start=1))
    picture = Picture(
        "Accuracy on the test split", f"Line chart of the final accuracy: {told} steps.", partial(_draw, was, now)
    )
    return Section("timesteps", title, (picture, Table("Accuracy by steps", ("steps", "baseline", "final"), rows)))


def _draw(was: tuple[float, ...], now: tuple[float, ...]) -> str:
    from snncompress_report.charts import Series, lines

    known = [(label, values) for label, values in (("baseline", was), ("final", now)) if values]
    series = [Series(label, tuple(range(1, len(values) + 1)), values) for label, values in known]
    return lines(series, x_label="time steps", y_label="accuracy")
