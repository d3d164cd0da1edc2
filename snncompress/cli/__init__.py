"""The command line: one small file per verb, imported when the verb is called."""

from __future__ import annotations

from snncompress.cli.program import main

__all__ = ["main"]
