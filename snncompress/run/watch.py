"""Progress: a bar with the time left on a terminal, plain lines otherwise; always on stderr."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID


class Watch:
    """Show what runs and how long the step still takes."""

    def __init__(self, stream: TextIO | None = None, *, silent: bool = False) -> None:
        self.stream = stream or sys.stderr
        self.silent = silent
        self.num_done = 0
        self._expected = 0
        self._fresh = 0
        self._started = time.monotonic()
        self._bar: Progress | None = None
        self._task: TaskID | None = None

    def step(self, index: int, of: int, use: str, what: str) -> None:
        """Show that a step begins, or that it is reused."""
        self.close()
        self.num_done, self._expected, self._fresh, self._started = 0, 0, 0, time.monotonic()
        self.line(f"step {index + 1} of {of}: {use}: {what}")

    def expect(self, num_epochs: int) -> None:
        """Say how many epochs the step has in all."""
        self._expected = num_epochs
        if self.stream.isatty() and not self.silent:
            self._open()

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
        text = f"{label}: epoch {number} of {of}: {report}"
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, completed=self.num_done, description=text)
            return
        left = self.time_left()
        shown = "" if left is None else f" [{self.num_done}/{self._expected}, {spoken(left)} left]"
        self.line(f"  {text}{shown}")

    def time_left(self) -> float | None:
        """Return the seconds that the rest of the step will take at its pace so far, if its length is known."""
        if not self._expected or not self._fresh:
            return None
        pace = (time.monotonic() - self._started) / self._fresh
        return pace * max(0, self._expected - self.num_done)

    def line(self, text: str) -> None:
        """Show one line."""
        if self.silent:
            return
        if self._bar is not None:
            self._bar.console.print(text, highlight=False, markup=False)
            return
        self.stream.write(text + "\n")
        self.stream.flush()

    def close(self) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = self._task = None

    def _open(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), TextColumn("{task.description}"))
        self._bar = Progress(*columns, console=Console(file=self.stream), transient=True)
        self._task = self._bar.add_task("", total=self._expected, completed=self.num_done)
        self._bar.start()


def spoken(seconds: float) -> str:
    """Return a duration in words: ``45 s``, ``3 min``, ``2 h 05 min``."""
    whole = round(seconds)
    if whole < 60:  # noqa: PLR2004 - seconds in a minute
        return f"{whole} s"
    minutes = round(whole / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"  # noqa: PLR2004 - minutes in an hour
