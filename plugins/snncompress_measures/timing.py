"""Timing two things against each other, and what machine they ran on."""

from __future__ import annotations

import platform
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median

Call = Callable[[], object]
Clock = Callable[[], float]


@dataclass(frozen=True)
class Pairs:
    """Hold the seconds of paired calls, in the order in which the pairs ran.

    Attributes:
        seconds: of each call of the first thing.
        baseline_seconds: of the call of the second thing in the same pair; empty if there is none.
    """

    seconds: tuple[float, ...]
    baseline_seconds: tuple[float, ...] = ()

    @property
    def ratios(self) -> tuple[float, ...]:
        """The first by the second, pair by pair."""
        return tuple(ours / theirs for ours, theirs in zip(self.seconds, self.baseline_seconds, strict=False))

    @property
    def ratio(self) -> float | None:
        """The median of the ratios; None without a second thing."""
        return median(self.ratios) if self.baseline_seconds else None


def timed_pairs(call: Call, baseline: Call | None, *, repeats: int, warm_up: int, clock: Clock) -> Pairs:
    """Time ``call`` and ``baseline`` in turn; every other pair begins with the baseline, so that drift cancels out."""
    calls = (call,) if baseline is None else (call, baseline)
    for _ in range(warm_up):
        for one in calls:
            one()
    seconds: tuple[list[float], ...] = tuple([] for _ in calls)
    for index in range(repeats):
        order = range(len(calls)) if index % 2 == 0 else reversed(range(len(calls)))
        for which in order:
            seconds[which].append(_seconds(calls[which], clock))
    return Pairs(*map(tuple, seconds))


def processor() -> str:
    """Return the name of this machine's processor, as its system tells it."""
    known = Path("/proc/cpuinfo")
    lines = known.read_text(encoding="utf-8").splitlines() if known.is_file() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())


def _seconds(call: Call, clock: Clock) -> float:
    started = clock()
    call()
    return clock() - started
