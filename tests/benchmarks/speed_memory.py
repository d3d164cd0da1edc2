"""What one training step of one way takes in a process of its own: memory at its highest, and the wait before it."""

from __future__ import annotations

import ctypes
import gc
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from speed_cases import Case, live

from snncompress.speed import acceleration

_STATUS = Path("/proc/self/status")
_FEW = 4
"""Samples of the steps that come before the one that is measured."""


def step_of(case: Case, path: str, batch: int) -> dict[str, float]:
    """Return the MiB that a training step adds, and the seconds that come before: of proofs, of compiling, of first calls."""
    subject = live(case, batch, calibrate=2 * _FEW)
    few_TBCHW = subject.x_TBCHW[:, :_FEW]
    network, proving, compiling = subject.network, 0.0, 0.0
    if path != "library":
        started = time.perf_counter()
        found = acceleration(network, path, probe=few_TBCHW[:, :2])  # type: ignore[arg-type] # one of the literals
        network, compiling = found.network, found.compile_seconds
        proving = time.perf_counter() - started - compiling
    extra = 0.0
    works: tuple[Callable[..., Any], ...] = (subject.training_step, subject.inference)
    for work in works:
        first, second = (_seconds(lambda work=work: work(network, few_TBCHW)) for _ in range(2))
        extra += first - second
    _give_back()
    before, highest_before = _resident_mib()
    subject.training_step(network)
    _, highest = _resident_mib()
    if highest <= highest_before:
        raise SystemExit("the step took no more memory than what came before it: give it a larger batch")
    return {
        "peak_mib": highest - before,
        "prove_seconds": proving,
        "compile_seconds": compiling,
        "first_calls_seconds": extra,
    }


def _seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _give_back() -> None:
    """Return freed memory to the system, where the allocator can: a step would take it again without being seen."""
    gc.collect()
    if sys.platform == "linux" and (trim := getattr(ctypes.CDLL(None), "malloc_trim", None)):
        trim(0)


def _resident_mib() -> tuple[float, float]:
    """Return the resident size now and at its highest; where the system does not tell that of now, the highest for both.

    The highest size that ``getrusage`` tells on Linux is also that of the process that started this one.
    """
    if _STATUS.is_file():
        lines = dict(line.split(":", 1) for line in _STATUS.read_text(encoding="utf-8").splitlines())
        now, highest = (int(lines[name].split()[0]) / 1024 for name in ("VmRSS", "VmHWM"))
        return now, highest
    highest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)
    return highest, highest
