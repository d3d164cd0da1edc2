"""What is wrong with a pipeline before anything runs, as norms, strategies and metrics see it.

Where the check of a plugin fails itself, the plugin is named.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from snncompress.errors import ModelError, PluginError, StateError
from snncompress.pipeline import Pipeline
from snncompress.plugins import Host, guarded, returned
from snncompress.strategy import Facts, Problem, Strategy, Where

if TYPE_CHECKING:
    from snncompress.network import Network

Located = tuple[Where, Problem]
"""A problem, and where it is in the pipeline."""


def problems_of_step(strategy: Strategy, facts: Facts, host: Host) -> tuple[Problem, ...]:
    """Return what a strategy says of its settings on a network."""
    return _checked(strategy.check, facts, host.named("strategies", strategy.use))


def problems_of_metrics(pipeline: Pipeline, facts: Facts, host: Host) -> list[Located]:
    """Return what the metrics say that say anything."""
    return [
        (("measure", index, *problem.where), problem)
        for index, metric in enumerate(pipeline.measure)
        if (check := getattr(metric, "check", None)) is not None
        for problem in _checked(check, facts, host.named("metrics", metric.use))
    ]


def fault_of_norms(network: Network, run: Callable[[], object]) -> str:
    """Say what is wrong where a network has a norm for each step, and too few; ``run`` runs it on an empty batch."""
    from snncompress.network.step_parts import has_fewer_norms

    if has_fewer_norms(network.module, network.time.T):
        try:
            run()
        except (ModelError, StateError) as error:
            return str(error)
    return ""


def _checked(check: Callable[[Facts], Iterable[Problem]], facts: Facts, whose: str) -> tuple[Problem, ...]:
    what = f"check of {whose}"
    return guarded(lambda: tuple(returned(one, Problem, what, PluginError) for one in check(facts)), what, PluginError)
