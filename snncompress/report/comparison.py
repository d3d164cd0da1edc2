"""What a comparison of several runs holds; pure JSON."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict

from snncompress.frame import frame, write_csv
from snncompress.lines import of_comparison
from snncompress.notebook import framed
from snncompress.record import Spread, SummaryValue
from snncompress.report.rows import columns_of, rows_of

if TYPE_CHECKING:
    from pandas import DataFrame

Outcome = Literal["better", "worse", "higher", "lower", "no difference seen", "too few seeds", "no verdict"]
"""What a verdict says of an entry: ``higher`` and ``lower`` where the metric does not say which direction is better."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Entry(_Part):
    """State what one run, or the runs of one pipeline over several seeds, came to.

    Attributes:
        name: unlike that of any other entry.
        folder: of the run or the summary.
        seeds: the seed of each run; spreads have their values in this order.
        data: what was measured on, as a pipeline's ``data`` has it.
        values: the final values.
        settings: what a sweep set, by path in the pipeline.
        energies: mJ of a sample by the name of an energy model.
        failed: why there are no values, if there are none.
        masked: whether the network has masks; None if its record does not say.
        dense: whether it is the network that the runs of a sweep compress; ``folder`` is the sweep's then.
    """

    name: str
    folder: str
    seeds: tuple[int, ...] = ()
    data: dict[str, Any] = {}
    values: dict[str, SummaryValue] = {}
    settings: dict[str, Any] = {}
    energies: dict[str, Spread] = {}
    failed: str | None = None
    masked: bool | None = None
    dense: bool = False


class Verdict(_Part):
    """State whether one entry beats another in one metric.

    Attributes:
        metric: name of the value.
        entry: who is judged.
        against: with whom it is compared.
        outcome: what can be said.
        why: the reason in words, such as ``too few seeds: one run each``.
        difference: mean of the paired differences where runs share seeds, else difference of the means; None without values.
        standard_error: of that mean; None below two pairs.
        interval: the 95 % interval of that mean; None below three pairs.
        p: of the paired t-test; None below three pairs.
        pairs: how many seeds both have.
        points: the difference in percentage points, for a part of test samples.
        images: the difference in test samples, where the metric says how many there are.
    """

    metric: str
    entry: str
    against: str
    outcome: Outcome
    why: str
    difference: float | None = None
    standard_error: float | None = None
    interval: tuple[float, float] | None = None
    p: float | None = None
    pairs: int = 0
    points: float | None = None
    images: float | None = None


class EnergyRanking(_Part):
    """State whether all energy models rank an entry and the baseline alike.

    ``ratios`` is the energy of the entry as a part of the baseline's, by the name of the model.
    """

    entry: str
    against: str
    ratios: dict[str, float]
    agree: bool


class Comparison(_Part):
    """Set several runs side by side, each against the baseline.

    Attributes:
        entries: in the order in which they were named.
        baseline: name of the entry that the others are judged against.
        shared: values that every finished entry has.
        missing: values that only some have, each with the names of the entries that lack it.
        verdicts: one for each entry but the baseline, and each shared value.
        quality: the value on the one axis of the trade-off, None if not all have it.
        cost: the value on the other axis, lower being better; None if there is none.
        front: names of the entries that no other beats in one without losing in the other, those at chance left out.
        at_chance: the seeds in which a network is no better than guessing, by the name of its entry.
        energy: the ranking under several energy models.
        notes: what a reader must know: other data, other seeds, one run each.
    """

    version: int = 1
    entries: tuple[Entry, ...]
    baseline: str
    shared: tuple[str, ...]
    missing: dict[str, tuple[str, ...]] = {}
    verdicts: tuple[Verdict, ...] = ()
    quality: str | None = None
    cost: str | None = None
    front: tuple[str, ...] = ()
    at_chance: dict[str, tuple[int, ...]] = {}
    energy: tuple[EnergyRanking, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def finished(self) -> tuple[Entry, ...]:
        """The entries that have values."""
        return tuple(entry for entry in self.entries if entry.failed is None)

    def entry(self, name: str) -> Entry:
        """Return the entry of a name."""
        return next(entry for entry in self.entries if entry.name == name)

    def __str__(self) -> str:
        """Return a few lines: each run, accuracy and cost, and what is said of it."""
        return of_comparison(self)

    def __repr_args__(self) -> Iterator[tuple[str, Any]]:
        names = tuple(entry.name for entry in self.entries)
        yield from {"entries": names, "baseline": self.baseline, "quality": self.quality, "cost": self.cost}.items()

    def _repr_html_(self) -> str | None:
        return framed(self, "render_comparison")

    def to_frame(self) -> DataFrame:
        """Return a pandas table with a row for each value of each run: mean, spread, and what is said of it.

        Raises:
            InputError: if pandas is not installed.
        """
        return frame(rows_of(self), columns_of(self))

    def write_csv(self, file: Path) -> None:
        """Write the rows of ``to_frame`` as a CSV file, without pandas."""
        write_csv(rows_of(self), columns_of(self), file)

    def verdict(self, metric: str, entry: str) -> Verdict | None:
        """Return what is said of an entry in one metric; None for the baseline and for values that are not shared."""
        return next((found for found in self.verdicts if (found.metric, found.entry) == (metric, entry)), None)
