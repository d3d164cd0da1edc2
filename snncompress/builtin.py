"""The hooks that the core itself implements; registered through the same entry-point group as every plugin."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from snncompress.hookspecs import hookimpl
from snncompress.references import ArtifactFolder, PythonFunction

if TYPE_CHECKING:
    from snncompress.network import Network
    from snncompress.strategy import Run, Strategy


@hookimpl
def snncompress_architectures() -> list[type[Any]]:
    """Provide ``file:FOLDER`` and a user's own function."""
    return [ArtifactFolder, PythonFunction]


@hookimpl(trylast=True)
def snncompress_run_step(step: Strategy, network: Network, run: Run) -> Network:
    """Apply the step."""
    return step.apply(network, run)
