"""Keeping freed memory while training and measuring: the same large tensors are needed again a moment later."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX = -1, -2, -4
"""Options of glibc's ``mallopt``."""

_KEEPING = {_MMAP_MAX: 0, _TRIM_THRESHOLD: 2**31 - 1, _TOP_PAD: 64 * 2**20}
_AS_BEFORE = {_MMAP_MAX: 65_536, _TRIM_THRESHOLD: 128 * 2**10, _TOP_PAD: 0}
"""Large blocks from the heap, and none of it given back; glibc's own values afterwards."""


@contextmanager
def freed_memory_kept() -> Iterator[None]:
    """Keep what tensors on the CPU free, instead of giving it back to the system and asking for it again.

    The C library gives back every large block at once; in a training the system then clears the same pages at every
    step, which takes up to a fifth of the time. Where the C library is another one, nothing is changed.
    """
    library = ctypes.CDLL(None) if sys.platform == "linux" else None
    if library is None or not hasattr(library, "mallopt"):
        yield
        return
    for option, value in _KEEPING.items():
        library.mallopt(option, value)
    try:
        yield
    finally:
        for option, value in _AS_BEFORE.items():
            library.mallopt(option, value)
        library.malloc_trim(0)
