"""The comparison of several runs."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from snncompress import Comparison, Entry, Verdict
from snncompress_report.document import Block, Cell, Document, Picture, Section, Table, Tone, Words
from snncompress_report.numbers import shown, spread, times
from snncompress_report.sections.sizes import honest
from snncompress_report.summary_report import cell

_TINY = 0.001
_TONES: dict[str, Tone] = {"better": "good", "worse": "bad"}


def whole(comparison: Comparison) -> Document:
    """Return table, verdicts, trade-off and energy ranking."""
    found = (_table(comparison), _trade_off(comparison), _verdicts(comparison), _energy(comparison))
    return Document("Comparison", _lead(comparison), (), tuple(section for section in found if section is not None))


def _lead(comparison: Comparison) -> tuple[Words, ...]:
    told = f"{len(comparison.entries)} entries, judged against {comparison.baseline}; mean ± sample standard deviation (n runs)"
    return (Words(told, "quiet"), *(Words(note, "bad") for note in comparison.notes))


def _table(comparison: Comparison) -> Section:
    names = [*comparison.shared, *comparison.missing]
    settings = list(dict.fromkeys(path for entry in comparison.entries for path in entry.settings))
    head = [Cell("run"), *map(Cell, settings), *(Cell(_head(name, comparison)) for name in names)]
    grid = [head, *(_entry(entry, names, settings, comparison) for entry in comparison.entries)]
    told = dict.fromkeys(words for entry in comparison.finished for words in _honest(entry))
    return Section("table", "Runs", (_narrow("Values, mean and spread", grid), *told))


def _honest(entry: Entry) -> tuple[Words, ...]:
    return honest({name: value.spread.mean for name, value in entry.values.items()}, masked=entry.masked)


def _narrow(caption: str, grid: list[list[Cell]]) -> Table:
    """Return a table of runs, their names in the first column; turned on its side where it has fewer runs than columns."""
    is_turned = len(grid) < len(grid[0])
    first, *rows = zip(*grid, strict=True) if is_turned else map(tuple, grid)
    return Table(caption, tuple(cell.text for cell in first), tuple(rows), "plain" if is_turned else "sortable")


def _head(name: str, comparison: Comparison) -> str:
    unit = next((entry.values[name].unit for entry in comparison.entries if name in entry.values), "1")
    return name if unit == "1" or unit in name else f"{name}, {unit}"


def _entry(entry: Entry, names: list[str], settings: list[str], comparison: Comparison) -> list[Cell]:
    chosen = (Cell(str(entry.settings.get(path, "-"))) for path in settings)
    under = "failed" if entry.failed is not None else "at chance" if entry.name in comparison.at_chance else ""
    return [Cell(entry.name, under=under), *chosen, *(_value(entry, name, comparison) for name in names)]


def _value(entry: Entry, name: str, comparison: Comparison) -> Cell:
    if name not in entry.values:
        return Cell("-")
    found = cell(entry.values[name].spread)
    judged = comparison.verdict(name, entry.name)
    if judged is None:
        return found
    return Cell(found.text, found.value, judged.outcome, _TONES.get(judged.outcome, ""))


def _verdicts(comparison: Comparison) -> Section | None:
    if not comparison.verdicts:
        return None
    head = ("run", "value", "verdict", "difference", "95 % interval", "p", "pairs")
    table = Table(f"Against {comparison.baseline}", head, tuple(map(_verdict, comparison.verdicts)), "sortable")
    rule = (
        "A run beats another where a paired t-test over three seeds or more gives p < 0.05. Of twenty values that do not "
        "differ, one passes it by chance."
    )
    return Section("verdicts", "Verdicts", (Words(rule, "quiet"), table))


def _verdict(found: Verdict) -> tuple[Cell, ...]:
    images = "" if found.images is None else f"{found.images:+.1f} test samples, {found.points or 0:+.2f} points"
    interval = "-" if found.interval is None else " to ".join(map(_signed, found.interval))
    return (
        Cell(found.entry),
        Cell(found.metric),
        Cell(found.outcome, under=found.why.removeprefix(f"{found.outcome}: "), tone=_TONES.get(found.outcome, "")),
        Cell(_signed(found.difference), value=found.difference, under=images),
        Cell(interval),
        Cell("-" if found.p is None else "< 0.001" if found.p < _TINY else f"{found.p:.3g}", value=found.p),
        Cell(str(found.pairs)),
    )


def _signed(difference: float | None) -> str:
    return shown(difference) if difference is None or difference <= 0 else f"+{shown(difference)}"


def _trade_off(comparison: Comparison) -> Section | None:
    if comparison.quality is None or comparison.cost is None:
        return None
    return Section("front", f"{comparison.quality} against {comparison.cost}", tuple(_front(comparison)))


def _front(comparison: Comparison) -> Iterator[Block]:
    quality, cost = comparison.quality or "", comparison.cost or ""
    told = "; ".join(
        f"{entry.name}: {quality} {_spoken(entry, quality)}, {cost} {_spoken(entry, cost)}"
        for entry in comparison.finished
    )
    caption = f"{quality} against {cost}; bars are standard deviations, the line joins the Pareto front"
    yield Picture(caption, f"Scatter plot. {told}.", partial(_draw, comparison))
    head = ("run", _head(cost, comparison), _head(quality, comparison), "on the Pareto front")
    yield Table("The trade-off", head, tuple(_placed(entry, comparison) for entry in comparison.finished))


def _placed(entry: Entry, comparison: Comparison) -> tuple[Cell, ...]:
    found = (cell(entry.values[name].spread) for name in (comparison.cost, comparison.quality) if name)
    return Cell(entry.name), *found, Cell("yes" if entry.name in comparison.front else "no")


def _spoken(entry: Entry, name: str) -> str:
    found = entry.values[name].spread
    return spread(found.mean, found.std, found.n)


def _draw(comparison: Comparison) -> str:
    from snncompress_report.charts import Point, scatter

    quality, cost = comparison.quality or "", comparison.cost or ""
    points = []
    for entry in comparison.finished:
        x, y = entry.values[cost].spread, entry.values[quality].spread
        if x.mean is not None and y.mean is not None:
            points.append(Point(entry.name, x.mean, y.mean, x.std or 0.0, y.std or 0.0, entry.name in comparison.front))
    return scatter(points, x_label=_head(cost, comparison), y_label=quality)


def _energy(comparison: Comparison) -> Section | None:
    if not comparison.energy:
        return None
    names = list(dict.fromkeys(name for entry in comparison.entries for name in entry.energies))
    rankings = {ranking.entry: ranking for ranking in comparison.energy}
    grid = [[Cell("run, mJ per sample"), *map(Cell, names), Cell("models agree")]]
    for entry in comparison.finished:
        ranking = rankings.get(entry.name)
        ratios = ranking.ratios if ranking else {}
        agree = "-" if ranking is None else "yes" if ranking.agree else "NO"
        found = (_mj(entry, name, ratios.get(name)) for name in names)
        grid.append([Cell(entry.name), *found, Cell(agree, tone="bad" if agree == "NO" else "")])
    return Section("energy", "Energy", (_narrow("Energy under each model", grid),))


def _mj(entry: Entry, name: str, ratio: float | None) -> Cell:
    if name not in entry.energies:
        return Cell("-")
    found = cell(entry.energies[name])
    return Cell(found.text, found.value, "" if ratio is None else f"{times(ratio)} of the baseline")
