"""Progress: a bar with the time left on a terminal, plain lines otherwise; always on stderr."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rich.progress import Progress, TaskID


_SILENCE = 30.0
"""Seconds without a line after which a long epoch or measurement says how far it is, where there is no bar."""


class Watch:
    """Show what runs and how long the step still takes."""

    def __init__(self, stream: TextIO | None = None, *, silent: bool = False) -> None:
        self.stream = stream or sys.stderr
        self.silent = silent
        self.num_done = 0
        self._expected = 0
        self._fresh = 0
        self._part = 0.0
        self._report = ""
        self._started = self._spoken = time.monotonic()
        self._bar: Progress | None = None
        self._task: TaskID | None = None

    def step(self, index: int, of: int, use: str, what: str) -> None:
        """Show that a step begins, or that it is reused."""
        self.close()
        self.num_done, self._expected, self._fresh, self._started = 0, 0, 0, time.monotonic()
        self._part, self._report = 0.0, ""
        self.line(f"step {index + 1} of {of}: {use}: {what}")

    def expect(self, num_epochs: int) -> None:
        """Say how many epochs the step has in all."""
        self._expected = num_epochs
        self._open(total=num_epochs, completed=self.num_done)

    def skip(self, num_done: int) -> None:
        """Set the number of epochs that were done before an interruption."""
        self.num_done = num_done

    def resumed(self, num_epochs: int) -> None:
        """Count the epochs of a training that goes on behind a checkpoint."""
        self.num_done += num_epochs

    def epoch(self, label: str, number: int, of: int, report: str) -> None:
        """Show that an epoch has ended, and the time left."""
        self.num_done += 1
        self._fresh += 1
        self._part = 0.0
        self._report = text = f"{label}: epoch {number} of {of}: {report}"
        if not self._moved(self.num_done, text):
            self.line(f"  {text}{self._left()}")

    def begin_epoch(self) -> None:
        """Take the time from here, not from what was prepared before."""
        self._spoken = time.monotonic()
        if not self._fresh:
            self._started = self._spoken

    def batch(self, label: str, epoch: int, of: int, done: int, batches: int) -> None:
        """Show how far an epoch is: a bar at every batch, lines only where nothing was said for long."""
        self._part = done / batches
        before = f"{self._report}; " if self._report else ""
        if not self._moved(self.num_done + self._part, f"{before}{label}: epoch {epoch}, {self._part:.0%}"):
            self._after_silence(
                lambda: f"  {label}: epoch {epoch} of {of}: batch {done:,} of {batches:,}{self._left()}"
            )

    def measuring(self, names: Sequence[str], num_samples: int | None) -> None:
        """Show that a measurement begins, over so many test samples; None where it looks at none."""
        over = "" if num_samples is None else f" on {num_samples:,} test samples"
        self.close()
        self.line(f"  measuring {', '.join(names)}{over}")
        if num_samples is not None:
            self._open(total=num_samples, completed=0)

    def measured(self, done: int, of: int) -> None:
        """Show how far a measurement is, in samples."""
        if not self._moved(done, "measuring"):
            self._after_silence(lambda: f"  measuring: {done:,} of {of:,} test samples")

    def time_left(self) -> float | None:
        """Return the seconds that the rest of the step will take at its pace so far, if its length is known."""
        trained = self._fresh + self._part
        if not self._expected or not trained:
            return None
        pace = (time.monotonic() - self._started) / trained
        return pace * max(0, self._expected - self.num_done - self._part)

    def line(self, text: str) -> None:
        """Show one line."""
        if self.silent:
            return
        if self._bar is not None:
            self._bar.console.print(text, highlight=False, markup=False)
            return
        self.stream.write(text + "\n")
        self.stream.flush()
        self._spoken = time.monotonic()

    def close(self) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = self._task = None

    def _left(self) -> str:
        left = self.time_left()
        return "" if left is None else f" [{self.num_done}/{self._expected}, {spoken(left)} left]"

    def _moved(self, completed: float, text: str) -> bool:
        """Move the bar, and tell whether there is one."""
        if self._bar is None or self._task is None:
            return False
        self._bar.update(self._task, completed=completed, description=text)
        return True

    def _after_silence(self, text: Callable[[], str]) -> None:
        if time.monotonic() - self._spoken >= _SILENCE:
            self.line(text())

    def _open(self, *, total: int, completed: int) -> None:
        if self.silent or not self.stream.isatty():
            return
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), TextColumn("{task.description}"))
        self._bar = Progress(*columns, console=Console(file=self.stream), transient=True)
        self._task = self._bar.add_task("", total=total, completed=completed)
        self._bar.start()


def spoken(seconds: float) -> str:
    """Return a duration in words: ``45 s``, ``3 min``, ``2 h 05 min``."""
    whole = round(seconds)
    if whole < 60:  # noqa: PLR2004 - seconds in a minute
        return f"{whole} s"
    minutes = round(whole / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"  # noqa: PLR2004 - minutes in an hour
