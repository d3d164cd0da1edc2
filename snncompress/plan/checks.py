"""What the strategies and metrics of plugins say before anything runs; where their check itself fails, the plugin is named."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from snncompress.components import Metric
from snncompress.errors import PluginError
from snncompress.plugins import Host, guarded, returned
from snncompress.strategy import Facts, Problem, Strategy


def problems_of_step(strategy: Strategy, facts: Facts, host: Host) -> tuple[Problem, ...]:
    """Return what a strategy says of its settings on a network."""
    return _checked(strategy.check, facts, host.named("strategies", strategy.use))


def problems_of_metric(metric: Metric, facts: Facts, host: Host) -> tuple[Problem, ...]:
    """Return what a metric says, where it says anything."""
    check = getattr(metric, "check", None)
    return () if check is None else _checked(check, facts, host.named("metrics", metric.use))


def _checked(check: Callable[[Facts], Iterable[Problem]], facts: Facts, whose: str) -> tuple[Problem, ...]:
    what = f"check of {whose}"
    return guarded(lambda: tuple(returned(one, Problem, what, PluginError) for one in check(facts)), what, PluginError)
