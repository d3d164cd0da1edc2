"""What this machine can compile C with; asked when a pipeline is planned, before torch is imported."""

from __future__ import annotations

import shutil
from functools import cache
from os import environ


@cache
def compiler() -> str | None:
    """Return the path of the C compiler: ``$CC``, gcc, clang or cc; None where there is none."""
    names = (environ.get("CC", ""), "gcc", "clang", "cc")
    return next((found for name in names if name and (found := shutil.which(name))), None)
