"""A time limit for Python code that cannot be asked to stop."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic
from types import FrameType
from typing import Any


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raise TimeoutError inside the body at the first call or return that it makes after ``seconds``.

    Python tells a profiler of every call; this one looks at the clock. It works in any thread and on any system, where
    signals and child processes do not: a module with closures inside cannot be sent to another process.
    """
    deadline = monotonic() + seconds
    before = sys.getprofile()

    def look_at_the_clock(_frame: FrameType, _event: str, _argument: Any) -> None:
        if monotonic() > deadline:
            sys.setprofile(before)
            raise TimeoutError

    sys.setprofile(look_at_the_clock)
    try:
        yield
    finally:
        sys.setprofile(before)
