"""The record: what a run did and measured, pure JSON."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Measurement(_Entry):
    """State one number, its unit and how it was counted."""

    value: float | int | None
    unit: str
    how: str


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


class Record(_Entry):
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

    @property
    def budgets_met(self) -> bool:
        """Tell whether every budget was met."""
        return all(entry.met for entry in self.budget)

    def write(self, path: Path) -> None:
        """Write the record as indented JSON."""
        path.write_text(self.model_dump_json(indent=2) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> Record:
        """Read a record from ``record.json`` or from the run folder that holds it."""
        file = path / "record.json" if path.is_dir() else path
        return cls.model_validate_json(file.read_text(encoding="utf-8"))
