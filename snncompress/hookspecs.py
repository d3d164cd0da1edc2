"""The hooks. A plugin is any module or object that implements some of them with ``snncompress.hookimpl``.

Registration hooks take no arguments, are called once per plugin when the host loads it, and must not import torch.
Two owners of one name are an error that names both; the one that loaded first keeps it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pluggy

if TYPE_CHECKING:
    from snncompress.components import (
        Architecture,
        Dataset,
        Encoder,
        EnergyModel,
        Exporter,
        Metric,
        Reporter,
    )
    from snncompress.network import Network
    from snncompress.strategy import Run, Strategy

PROJECT = "snncompress"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)

Lazy = str
"""A place to import from when needed, ``module:attribute``; it keeps torch out of registration."""


@hookspec
def snncompress_strategies() -> Sequence[type[Strategy]]:
    """Return strategy classes; each is usable as ``use:`` in a pipeline's steps."""
    raise AssertionError


@hookspec
def snncompress_architectures() -> Sequence[type[Architecture]]:
    """Return architecture settings classes; each is usable as ``use:`` in a pipeline's model."""
    raise AssertionError


@hookspec
def snncompress_datasets() -> Sequence[type[Dataset]]:
    """Return data set settings classes; each is usable as ``use:`` in a pipeline's data."""
    raise AssertionError


@hookspec
def snncompress_encoders() -> Sequence[type[Encoder]]:
    """Return encoder settings classes; each is usable as ``use:`` in a pipeline's encode."""
    raise AssertionError


@hookspec
def snncompress_metrics() -> Sequence[type[Metric]]:
    """Return metric settings classes; each is usable by name in a pipeline's measure."""
    raise AssertionError


@hookspec
def snncompress_energy_models() -> Sequence[type[EnergyModel]]:
    """Return energy model settings classes; each is usable by name in the metric ``energy``."""
    raise AssertionError


@hookspec
def snncompress_exporters() -> Sequence[type[Exporter]]:
    """Return exporter settings classes; each is usable as ``use:`` in a pipeline's export."""
    raise AssertionError


@hookspec
def snncompress_reporters() -> Sequence[type[Reporter]]:
    """Return reporter settings classes; each is usable by name in a pipeline's report."""
    raise AssertionError


@hookspec
def snncompress_backends() -> Mapping[str, Lazy]:
    """Return backends, each as the place of a class without constructor arguments: ``package.module:Class``.

    The name of a backend is the import name of its library: a library that nobody has imported has made no module,
    so its backend is not asked.
    """
    raise AssertionError


@hookspec
def snncompress_anatomies() -> Mapping[str, Lazy]:
    """Return anatomies, each as the place of a class without constructor arguments: ``package.module:Class``.

    The name of an anatomy is the import name of the library whose networks it knows; it is not asked where nobody has
    imported that.
    """
    raise AssertionError


@hookspec
def snncompress_modules() -> Mapping[str, Lazy]:
    """Return builders for the edit ``Replace`` by name, each as a place: ``package.module:Class``."""
    raise AssertionError


@hookspec
def snncompress_neurons() -> Mapping[str, Lazy]:
    """Return neurons that can stand in for others, by ``LIBRARY.KIND``, each as a place: ``package.module:Class``.

    The library is named as it is imported. Its class follows the protocol ``NeuronKind``, and importing its module must
    not import torch. ``neurons.substitute`` puts it in place by the edit ``Replace``: register it under the same name
    with ``snncompress_modules``.
    """
    raise AssertionError


@hookspec
def snncompress_zoos() -> Mapping[str, Path]:
    """Return zoos by name, each as its folder; pipelines in its ``recipes/`` can be run as ``recipe:NAME``."""
    raise AssertionError


@hookspec(firstresult=True)
def snncompress_run_step(step: Strategy, network: Network, run: Run) -> Any:
    """Carry out one step. A plugin that wants timing or tracking implements this as a wrapper.

    The core's own implementation calls ``step.apply(network, run)``. Returns the network after the step.
    """
    raise AssertionError


REGISTRATION = {
    "strategies": "strategy",
    "architectures": "model",
    "datasets": "data set",
    "encoders": "encoder",
    "metrics": "metric",
    "energy_models": "energy model",
    "exporters": "exporter",
    "reporters": "reporter",
    "backends": "backend",
    "anatomies": "anatomy",
    "modules": "module",
    "neurons": "neuron",
    "zoos": "zoo",
}
"""The registration hooks, without their prefix, in the order in which plugins are listed; and the word for one thing."""
