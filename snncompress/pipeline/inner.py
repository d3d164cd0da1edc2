"""Components inside the settings of others, such as the energy models that the metric ``energy`` lists."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from snncompress.pipeline.check import check
from snncompress.pipeline.model import component_model
from snncompress.strategy import Problem

if TYPE_CHECKING:
    from snncompress.plugins import Host


def read_component(given: Any, kind: str, host: Host) -> tuple[Any, list[Problem]]:
    """Return the component of ``kind`` that a name or a mapping with ``use`` asks for, or None; and what is wrong.

    ``kind`` is one of ``host.catalogue``. The places of the problems are relative to ``given``, and phrased as for any
    component of a pipeline.
    """
    full = {"use": given} if isinstance(given, str) else given
    found, problems = check({kind: full}, component_model(host, kind), host)
    relative = [replace(problem, where=problem.where[1:]) for problem in problems]
    return (None if found is None else getattr(found, kind)), relative
