"""The report of one pipeline over several seeds."""

from __future__ import annotations

from urllib.parse import quote

from snncompress import Spread, Summary, SummaryValue
from snncompress_report.document import Block, Cell, Document, Section, Table, Words
from snncompress_report.numbers import change, number, spread
from snncompress_report.sections.provenance import provenance
from snncompress_report.sections.sizes import honest


def whole(summary: Summary, *, page: str) -> Document:
    """Return everything; ``page`` is the file name of each seed's own report, beside its record."""
    return Document(summary.name, _lead(summary), (), (*_sections(summary, page), provenance(summary)))


def essentials(summary: Summary, *, page: str) -> Document:
    """Return what fits on a screen of text."""
    return Document(summary.name, _lead(summary), (), _sections(summary, page))


def cell(found: Spread) -> Cell:
    """Return a mean with its spread and number of runs."""
    return Cell(spread(found.mean, found.std, found.n), value=found.mean)


def _lead(summary: Summary) -> tuple[Words, ...]:
    seeds = ", ".join(map(str, summary.seeds))
    return (Words(f"{len(summary.seeds)} run(s), seeds {seeds}; mean ± sample standard deviation (n runs)", "quiet"),)


def _sections(summary: Summary, page: str) -> tuple[Section, ...]:
    return (_values(summary), _budgets(summary), _runs(summary, page))


def _values(summary: Summary) -> Section:
    names = list(dict.fromkeys([*summary.final, *summary.baseline]))
    rows = tuple(_compared(name, summary) for name in names)
    head = ("value", "baseline", "final", "change of the mean", "unit")
    means = {name: value.spread.mean for name, value in summary.final.items()}
    blocks: tuple[Block, ...] = (Table("Values over seeds", head, rows, "noted"), *honest(means, masked=summary.masked))
    return Section("values", "Before and after", blocks if rows else (Words("Nothing was measured.", "quiet"),))


def _compared(name: str, summary: Summary) -> tuple[Cell, ...]:
    was, now = summary.baseline.get(name), summary.final.get(name)
    known = now or summary.baseline[name]
    means = [value.spread.mean if value else None for value in (was, now)]
    changed = Cell(change(means[0], means[1], known.unit))
    return Cell(name, under=known.how), _cell(was), _cell(now), changed, Cell(known.unit)


def _cell(value: SummaryValue | None) -> Cell:
    return Cell("-") if value is None else cell(value.spread)


def _budgets(summary: Summary) -> Section:
    head = ("budget", "limit", "mean", "met by the mean", "seeds that miss it")
    rows = tuple(
        (
            Cell(entry.metric),
            Cell(entry.limit),
            number(entry.value),
            Cell("yes", tone="good") if entry.met else Cell("NO", tone="bad"),
            Cell(", ".join(map(str, entry.missed_by)) or "none"),
        )
        for entry in summary.budget
    )
    none = Words("The pipeline sets no budget.", "quiet")
    return Section("budgets", "Budgets", (Table("Budgets", head, rows),) if rows else (none,))


def _runs(summary: Summary, page: str) -> Section:
    runs = list(zip(summary.seeds, summary.runs, strict=True))
    links = tuple((Cell(str(seed), link=_link(run, page)), Cell(run)) for seed, run in runs)
    head = ("value", *(f"seed {seed}" for seed in summary.seeds))
    rows = tuple((Cell(name), *map(number, found.spread.values)) for name, found in summary.final.items())
    values = (Table("Final values of each run", head, rows),) if rows else ()
    return Section("runs", "Runs", (Table("Reports of the runs", ("seed", "folder"), links), *values))


def _link(run: str, page: str) -> str:
    """Return a relative address; ``./`` keeps a folder with a colon in its name from being taken for a protocol."""
    return f"./{quote(run)}/{quote(page)}"
