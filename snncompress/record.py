"""The record: what a run did and measured, pure JSON."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from snncompress.arguments import path_of
from snncompress.errors import InputError
from snncompress.frame import frame
from snncompress.lines import number, of_record, of_summary
from snncompress.notebook import framed

if TYPE_CHECKING:
    from pandas import DataFrame

Direction = Literal["higher", "lower"]
"""Which of two values of a metric is the better one."""

RECORD_FILE, PLAN_FILE, PIPELINE_FILE, SWEEP_FILE = "record.json", "plan.json", "pipeline.yaml", "sweep.json"
"""What a run folder holds, and, last, what the folder of a sweep holds."""


def _is_none(value: object) -> bool:
    return value is None


def _is_empty(value: tuple[object, ...]) -> bool:
    return not any(entry is not None for entry in value)


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _File(_Entry):
    file_name: ClassVar[str] = RECORD_FILE

    def write(self, path: str | os.PathLike[str]) -> None:
        """Write the whole as indented JSON, aside and renamed, so that a half-written file is never seen."""
        path = path_of(path, "path")
        aside = path.with_suffix(f".{os.getpid()}")
        aside.write_text(self.model_dump_json(indent=2) + "\n", encoding="utf-8")
        aside.replace(path)

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> Self:
        """Read it from its file or from the folder that holds that; raise InputError where it cannot be read."""
        place = path_of(path, "path")
        file = place / cls.file_name if place.is_dir() else place
        if not file.is_file():
            raise InputError(f"{str(place)!r} holds no {cls.file_name}; give the folder of a finished run")
        try:
            return cls.model_validate_json(file.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:  # pydantic's own error is a ValueError
            first = error.errors(include_url=False)[0] if isinstance(error, ValidationError) else {"msg": str(error)}
            why = ": ".join(map(str, [*first.get("loc", ()), first["msg"]]))
            raise InputError(f"{str(file)!r} is no {cls.__name__} that this snncompress reads: {why}") from error


class Measurement(_Entry):
    """State one number, its unit and how it was counted.

    ``detail`` holds what stands behind the number, as JSON data: operations layer by layer, rates over time, ...
    """

    value: float | int | None
    unit: str
    how: str
    detail: dict[str, Any] | None = Field(None, exclude_if=_is_none)
    better: Direction | None = Field(None, exclude_if=_is_none, description="Which direction is better, where one is.")
    comparable: bool = Field(
        True,
        exclude_if=bool,
        description="False where the value depends on the moment it was taken, as milliseconds do.",
    )
    samples: int | None = Field(
        None, exclude_if=_is_none, description="Number of test samples, where the value is the fraction of them."
    )
    chance: float | None = Field(
        None,
        exclude_if=_is_none,
        description="The value to expect of answers that have nothing to do with the samples.",
    )

    def __str__(self) -> str:
        """Return the value and its unit."""
        return f"{number(self.value)} {self.unit.removesuffix('1')}".rstrip()

    def __repr_args__(self) -> Iterator[tuple[str, Any]]:
        yield from {"value": self.value, "unit": self.unit, "how": self.how}.items()


class StepRecord(_Entry):
    """State what one step did."""

    index: int
    use: str
    key: str
    reused: bool
    seconds: float
    path: str = Field(description="The code path taken, for example `float32 cpu`.")
    notes: dict[str, Any] = {}
    measurements: dict[str, Measurement] = {}


class BudgetRecord(_Entry):
    """State one budget and whether it was met."""

    metric: str
    limit: str
    value: float | None
    met: bool


class Record(_File):
    """State everything about one run; written as ``record.json``."""

    version: int = 1
    name: str
    pipeline: dict[str, Any]
    environment: dict[str, Any]
    steps: tuple[StepRecord, ...]
    baseline: dict[str, Measurement]
    final: dict[str, Measurement]
    budget: tuple[BudgetRecord, ...] = ()
    artifact: str
    masked: bool | None = Field(
        None, exclude_if=_is_none, description="Whether the final network has masks; records of 0.1.0 did not say."
    )

    @property
    def budgets_met(self) -> bool:
        """Tell whether every budget was met."""
        return all(entry.met for entry in self.budget)

    @property
    def seed(self) -> int:
        """The seed of the run."""
        return int(self.pipeline.get("seed", 0))

    def __str__(self) -> str:
        """Return a few lines: what was done, and the values."""
        return of_record(self)

    def __repr_args__(self) -> Iterator[tuple[str, Any]]:
        yield from {"name": self.name, "seed": self.seed, "artifact": self.artifact}.items()

    def _repr_html_(self) -> str | None:
        return framed(self, "render")


class Spread(_Entry):
    """State the mean of several runs and how far they lie apart.

    Attributes:
        mean: of the runs that have a value; None if none has.
        std: their sample standard deviation (n - 1 in the denominator); None below two values.
        n: how many runs have a value.
        values: the value of each run, in the order of the runs.
    """

    mean: float | None
    std: float | None
    n: int
    values: tuple[float | int | None, ...]


class SummaryValue(_Entry):
    """State one value over several runs, its unit and how it was counted.

    ``samples`` is the number of test samples of each run, if it is the same; ``chance`` has an entry for each run, or none at all.
    """

    spread: Spread
    unit: str
    how: str
    better: Direction | None = Field(None, exclude_if=_is_none)
    comparable: bool = Field(True, exclude_if=bool)
    samples: int | None = Field(None, exclude_if=_is_none)
    chance: tuple[float | None, ...] = Field((), exclude_if=_is_empty)


class SummaryBudget(BudgetRecord):
    """State one budget, judged on the mean, and which seeds miss it."""

    missed_by: tuple[int, ...] = ()


class Summary(_File):
    """State what the runs of one pipeline with several seeds came to; ``record.json`` of the folder around theirs.

    Attributes:
        seeds: the seed of each run.
        runs: the folder of each run, relative to the summary's own.
        masked: whether any of the final networks has masks; None if the records do not say.
    """

    version: int = 1
    name: str
    pipeline: dict[str, Any]
    environment: dict[str, Any]
    seeds: tuple[int, ...]
    runs: tuple[str, ...]
    baseline: dict[str, SummaryValue]
    final: dict[str, SummaryValue]
    budget: tuple[SummaryBudget, ...] = ()
    masked: bool | None = Field(None, exclude_if=_is_none)

    @property
    def budgets_met(self) -> bool:
        """Tell whether every budget was met by the mean."""
        return all(entry.met for entry in self.budget)

    def to_frame(self) -> DataFrame:
        """Return a pandas table with a row for each value of each seed: baseline and final network.

        Raises:
            InputError: if pandas is not installed.
        """
        names = dict.fromkeys([*self.final, *self.baseline])
        rows = [row for name in names for row in self._rows(name)]
        return frame(rows, ("seed", "value", "unit", "baseline", "final"))

    def _rows(self, name: str) -> list[dict[str, Any]]:
        was, now = self.baseline.get(name), self.final.get(name)
        unit = (now or self.baseline[name]).unit
        nothing = (None,) * len(self.seeds)
        pairs = [value.spread.values if value else nothing for value in (was, now)]  # noqa: PD011 - a spread's
        return [
            {"seed": seed, "value": name, "unit": unit, "baseline": before, "final": after}
            for seed, before, after in zip(self.seeds, *pairs, strict=True)
        ]

    def __str__(self) -> str:
        """Return a few lines: the seeds, and the values with their spread."""
        return of_summary(self)

    def __repr_args__(self) -> Iterator[tuple[str, Any]]:
        yield from {"name": self.name, "seeds": self.seeds}.items()

    def _repr_html_(self) -> str | None:
        return framed(self, "render_summary")


class Combination(_Entry):
    """State one combination of a sweep: its settings, its folder, and why it failed if it did.

    ``compresses`` says whether its baseline is the network that it compresses.
    """

    name: str
    settings: dict[str, Any]
    folder: str
    failed: str | None = None
    compresses: bool = True


class Sweep(_File):
    """State which combinations of settings were run; written as ``sweep.json``.

    Attributes:
        over: the values of each setting that was varied, by its path in the pipeline.
        combinations: their product; folders are relative to the sweep's own.
    """

    file_name: ClassVar[str] = SWEEP_FILE

    version: int = 1
    name: str
    over: dict[str, tuple[Any, ...]]
    combinations: tuple[Combination, ...]
