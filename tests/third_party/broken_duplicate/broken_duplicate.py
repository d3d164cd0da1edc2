"""Provide a strategy under the name of a built-in one, and another under its own."""

from __future__ import annotations

from typing import Any, Literal

from snncompress import Strategy, hookimpl


class Train(Strategy):
    """Pretend to train."""

    use: Literal["train"] = "train"


class Rest(Strategy):
    """Do nothing, under a name of its own."""

    use: Literal["duplicate.rest"] = "duplicate.rest"


@hookimpl
def snncompress_strategies() -> list[type[Any]]:
    """Provide both."""
    return [Train, Rest]
