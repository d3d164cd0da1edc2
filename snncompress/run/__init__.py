"""From a plan to a record and artifacts. The package itself can be called: ``snncompress.run(pipeline)``."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

from snncompress.run.api import compress, run
from snncompress.run.replicates import Replicates
from snncompress.run.result import Result
from snncompress.run.sweeps import Swept, sweep

__all__ = ["Replicates", "Result", "Swept", "compress", "run", "sweep"]


class _Callable(ModuleType):
    """Let ``snncompress.run(...)`` work although ``snncompress.run`` is also a package."""

    def __call__(self, *arguments: Any, **named: Any) -> Result | Replicates:
        return run(*arguments, **named)


sys.modules[__name__].__class__ = _Callable
