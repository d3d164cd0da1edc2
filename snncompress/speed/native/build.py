"""Compiling C once on a machine."""

from __future__ import annotations

import ctypes
import hashlib
import os
import platform
import stat
import subprocess
import tempfile
from contextlib import suppress
from functools import cache
from pathlib import Path

from snncompress.compilers import compiler
from snncompress.errors import ModelError

_FLAGS = ("-O3", "-march=native", "-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math", "-shared", "-fPIC")
"""Flags that let loops be vectorised and leave every rounding as written."""


def library(source: str) -> ctypes.CDLL:
    """Return compiled C; see ``opened``."""
    return opened(source)[0]


def opened(source: str) -> tuple[ctypes.CDLL, bool]:
    """Return compiled C, from an earlier time where the same was compiled on such a machine, and whether it was not.

    Raises:
        ModelError: if there is no compiler, or it fails.
    """
    folder = _folder()
    digest = hashlib.sha256("\0".join((source, *_FLAGS, _machine(), _version())).encode()).hexdigest()
    for file in folder.glob(f"{digest[:32]}-*.so"):
        if file.stem.endswith(f"-{file.stat().st_size}"):  # one that was cut off ends the process
            with suppress(OSError):
                return ctypes.CDLL(str(file)), False
    try:
        return ctypes.CDLL(str(_compiled(source, folder, digest[:32]))), True
    except OSError as error:
        raise ModelError(f"compiled code cannot be loaded: {error}; choose the path 'fused'") from error


def _compiled(source: str, kept: Path, name: str) -> Path:
    """Compile into a folder, under a name that tells the size."""
    with tempfile.TemporaryDirectory(dir=kept) as folder:
        place = Path(folder) / "kernel.c"
        place.write_text(source, encoding="utf-8")
        made = Path(folder) / "kernel.so"
        for threads in (["-fopenmp"], []):  # Apple's compiler knows no OpenMP: one thread then
            command = [_compiler(), *_FLAGS, *threads, str(place), "-o", str(made), "-lm"]
            done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own source
            if done.returncode == 0:
                return made.replace(kept / f"{name}-{made.stat().st_size}.so")
    raise ModelError(f"the C compiler fails: {_last_line(done.stderr)}; choose the path 'fused'")


def _compiler() -> str:
    if (found := compiler()) is None:
        raise ModelError("no C compiler is found; install gcc, or choose the path 'fused'")
    return found


def _last_line(text: str) -> str:
    lines = [line for line in text.splitlines() if "error" in line] or text.splitlines() or ["no message"]
    return lines[0].strip()


def _folder() -> Path:
    known = os.environ.get("XDG_CACHE_HOME")
    folder = (Path(known) if known else Path.home() / ".cache") / "snncompress" / "kernels"
    with suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
        if os.access(folder, os.W_OK):
            return folder
    return _temporary()


@cache
def _temporary() -> Path:
    """Return a folder for temporary files that nobody else can write to: what lies there is run."""
    folder = Path(tempfile.gettempdir()) / f"snncompress-kernels-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    is_own = stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not found.st_mode & 0o022
    return folder if is_own else Path(tempfile.mkdtemp(prefix="snncompress-kernels-"))


@cache
def _machine() -> str:
    """Return what ``-march=native`` depends on."""
    file = Path("/proc/cpuinfo")
    lines = file.read_text(encoding="utf-8").splitlines() if file.is_file() else []
    return next(
        (line for line in lines if line.startswith(("flags", "Features"))), platform.processor() + platform.machine()
    )


@cache
def _version() -> str:
    command = [_compiler(), "--version"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.partition("\n")[0]  # noqa: S603 - asks a version
