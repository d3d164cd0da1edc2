"""From records and summaries to the entries of a comparison: final networks, and the dense ones that a sweep compresses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from snncompress.record import Combination, Record, Summary, SummaryValue
from snncompress.report.comparison import Entry
from snncompress.report.statistics import spread
from snncompress.report.summary import summarised
from snncompress.report.verdicts import QUALITY

_DENSE = "dense"
_MIN_CLASSES = 2

_State = Literal["baseline", "final"]


@dataclass(frozen=True)
class Findings:
    """What one run or one pipeline over several seeds left in a folder: its result, and the records behind a summary."""

    result: Record | Summary
    records: Sequence[Record]
    folder: str

    @property
    def seeds(self) -> tuple[int, ...]:
        """The seed of each run."""
        return (self.result.seed,) if isinstance(self.result, Record) else self.result.seeds

    def values(self, state: _State) -> dict[str, SummaryValue]:
        """The values of the baseline or the final network."""
        found: Mapping[str, Any] = self.result.baseline if state == "baseline" else self.result.final
        if isinstance(self.result, Record):
            found = {name: summarised([value]) for name, value in found.items()}
        return {name: self._with_chance(value) if name == QUALITY else value for name, value in found.items()}

    def entry(self, state: _State = "final", **more: Any) -> Entry:
        """The entry of the baseline or the final network."""
        whole: dict[str, Any] = {
            "name": self.result.name,
            "folder": self.folder,
            "seeds": self.seeds,
            "data": _data(self.result.pipeline),
            "values": self.values(state),
            "energies": _energies(self.records, state),
            "masked": self.result.masked if state == "final" else None,
        }
        return Entry(**(whole | more))

    def _with_chance(self, value: SummaryValue) -> SummaryValue:
        """Return an accuracy with what guessing gives: records of 0.1.0 know it from the number of classes alone."""
        model = self.result.pipeline.get("model")
        classes = model.get("num_classes") if isinstance(model, Mapping) else None
        if value.chance or not isinstance(classes, int) or classes < _MIN_CLASSES:
            return value
        return value.model_copy(update={"chance": (1 / classes,) * len(self.seeds)})


def dense_entries(found: Sequence[tuple[Combination, Findings]], folder: str) -> tuple[Entry, ...]:
    """Return an entry for each network that the combinations of a sweep compress; most often they share one.

    Where the sweep varies how that network is made there are several, and their names and settings say which is which.
    """
    groups: list[list[tuple[Combination, Findings]]] = []
    for pair in found:
        same = next((group for group in groups if _baseline(group[0][1]) == _baseline(pair[1])), None)
        if same is None:
            groups.append([pair])
        else:
            same.append(pair)
    shown = [group for group in groups if any(_compresses(*pair) for pair in group)]
    members = [[one for one, _ in group] for group in shown]
    return tuple(
        group[0][1].entry("baseline", folder=folder, dense=True, **_known(own, members))
        for group, own in zip(shown, members, strict=True)
    )


def _known(own: Sequence[Combination], groups: Sequence[Sequence[Combination]]) -> dict[str, Any]:
    """Return name and settings of a dense network: what its combinations have in common, and not all others too."""
    if len(groups) == 1:
        return {"name": _DENSE}
    shared = _common([one for group in groups for one in group])
    settings = {path: value for path, value in _common(own).items() if path not in shared}
    told = ", ".join(_part(own[0], path) for path in settings)
    return {"name": f"{_DENSE} ({told or own[0].name})", "settings": settings}


def _baseline(findings: Findings) -> tuple[Any, ...]:
    """Return what tells baselines apart: seeds, data, and every value that does not depend on the moment."""
    values = findings.values("baseline")
    return (
        findings.seeds,
        _data(findings.result.pipeline),
        {name: one for name, one in values.items() if one.comparable},
    )


def _compresses(combination: Combination, findings: Findings) -> bool:
    before, after = findings.values("baseline"), findings.values("final")
    return combination.compresses and bool(before) and before != after


def _common(combinations: Sequence[Combination]) -> dict[str, Any]:
    first, *others = (one.settings for one in combinations)
    return {path: value for path, value in first.items() if all(path in one and one[path] == value for one in others)}


def _part(combination: Combination, path: str) -> str:
    """Return what a combination's name says of a setting."""
    parts, paths = combination.name.split(","), list(combination.settings)
    return parts[paths.index(path)] if len(parts) == len(paths) else f"{path}={combination.settings[path]}"


def _energies(records: Sequence[Record], state: _State) -> dict[str, Any]:
    """Return the spread of each energy model's mJ over records that have the measurement ``energy``."""
    models: dict[str, list[float | None]] = {}
    for index, record in enumerate(records):
        values = record.baseline if state == "baseline" else record.final
        detail = values["energy"].detail if "energy" in values else None
        for model in (detail or {}).get("models", ()):
            models.setdefault(model["name"], [None] * len(records))[index] = model["mj"]
    return {name: spread(values) for name, values in models.items()}


def _data(pipeline: Mapping[str, Any]) -> dict[str, Any]:
    data = pipeline.get("data", {})
    return dict(data) if isinstance(data, Mapping) else {"use": data}
