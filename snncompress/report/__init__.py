"""From records to comparisons: spreads over seeds, verdicts, Pareto fronts; imports no torch and knows no models."""

from __future__ import annotations

from snncompress.report.comparison import Comparison, EnergyRanking, Entry, Verdict
from snncompress.report.judging import compare
from snncompress.report.listing import FinishedRun, finished_runs
from snncompress.report.pareto import front
from snncompress.report.reading import read_entries, read_result, read_swept
from snncompress.report.statistics import paired, spread
from snncompress.report.summary import summarise

__all__ = [
    "Comparison",
    "EnergyRanking",
    "Entry",
    "FinishedRun",
    "Verdict",
    "compare",
    "finished_runs",
    "front",
    "paired",
    "read_entries",
    "read_result",
    "read_swept",
    "spread",
    "summarise",
]
