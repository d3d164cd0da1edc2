"""Where a run took place: versions, machine, git."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from typing import Any

from snncompress.plan import versions
from snncompress.plugins import Host


def environment(device: str, host: Host) -> dict[str, Any]:
    """Return what a reader needs to judge whether a run can be repeated."""
    return {
        "python": platform.python_version(),
        "versions": versions(host),
        "machine": {"system": platform.platform(terse=True), "processor": platform.machine(), "cores": os.cpu_count()},
        "device": device,
        "git": _git_commit(),
    }


def _git_commit() -> str | None:
    git = shutil.which("git")
    if git is None:
        return None
    asked = subprocess.run([git, "rev-parse", "HEAD"], capture_output=True, text=True, check=False)  # noqa: S603 - fixed words
    return asked.stdout.strip() or None
