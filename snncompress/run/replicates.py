"""One pipeline with several seeds: a run for each, and the summary around them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from snncompress.components import SummaryReporter
from snncompress.errors import StepError
from snncompress.notebook import framed
from snncompress.pipeline import Pipeline, Source
from snncompress.plan import Plan, key_of, seed_folder
from snncompress.plugins import guarded, returned
from snncompress.record import RECORD_FILE, Record, Summary
from snncompress.report import summarise
from snncompress.run.result import Result, executed
from snncompress.store import Store, replace_json

if TYPE_CHECKING:
    from pandas import DataFrame


@dataclass(frozen=True, repr=False)
class Replicates:
    """What the runs of one pipeline with several seeds left behind: their summary, its folder, and each result."""

    summary: Summary
    folder: Path
    results: tuple[Result, ...]

    @property
    def record(self) -> Summary:
        """The summary, which stands where a single run has its record."""
        return self.summary

    def to_frame(self) -> DataFrame:
        """Return the summary as a pandas table; raise InputError if pandas is not installed."""
        return self.summary.to_frame()

    def __str__(self) -> str:
        """Return a few lines: the values with their spread, and the folder."""
        return f"{self.summary}\nin {self.folder}"

    def __repr__(self) -> str:
        return f"Replicates(name={self.summary.name!r}, seeds={self.summary.seeds}, folder={str(self.folder)!r})"

    def _repr_html_(self) -> str | None:
        return framed(self.summary, "render_summary")


def replicated(
    source: Source,
    plans: Sequence[Plan],
    store: Store,
    folder: Path,
    device: str,
    *,
    silent: bool,
    told: str = "",
) -> Replicates:
    """Carry out the plan of each seed into a folder of its own, and summarise them; ``told`` is shown before each."""
    names = [seed_folder(plan.pipeline.seed) for plan in plans]
    results = tuple(
        executed(plan, store, folder / name, device, silent=silent, told=f"{told}{name} ({number} of {len(plans)})")
        for number, (plan, name) in enumerate(zip(plans, names, strict=True), start=1)
    )
    summary = summarise(
        [result.record for result in results],
        names,
        pipeline=_described(results[0].record, source.pipeline),
        met=partial(_met, source.pipeline),
    )
    with store.lock(key_of({"output": str(folder.resolve())})):
        _write(summary, source, folder)
    return Replicates(summary, folder, results)


def _described(record: Record, whole: Pipeline) -> dict[str, object]:
    known = {name: value for name, value in record.pipeline.items() if name != "seed"}
    return {**known, "seeds": list(whole.seeds or ())}


def _met(pipeline: Pipeline, index: int, baseline: float, final: float) -> bool:
    return pipeline.budget[index].met(baseline=baseline, final=final)


def _write(summary: Summary, source: Source, folder: Path) -> None:
    (folder / "pipeline.yaml").write_text(source.text, encoding="utf-8")
    replace_json(folder / RECORD_FILE, summary.model_dump(mode="json"))
    for reporter in source.pipeline.report:
        if isinstance(reporter, SummaryReporter):
            what = f"reporter {reporter.use!r}"
            text = returned(guarded(partial(reporter.render_summary, summary), what, StepError), str, what, StepError)
            (folder / reporter.file_name).write_text(text, encoding="utf-8")
