"""Compression of spiking neural networks, over SpikingJelly, snnTorch and timm.

Everything a user or a plugin needs is in ``__all__``; names are imported when first used, so that
``import snncompress`` imports neither torch nor any SNN library.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from snncompress.anatomy import Block, Dimension, Firing, Place, Preparation, Width
    from snncompress.code import import_object, source_hash
    from snncompress.components import (
        Architecture,
        Backend,
        Bench,
        Data,
        Dataset,
        Encoder,
        EnergyModel,
        Exporter,
        Inputs,
        Metric,
        ModuleBuilder,
        NeuronBackend,
        NeuronKind,
        Reporter,
        SynapseBackend,
    )
    from snncompress.counts import Activity, LayerActivity, OperationCounts, Row
    from snncompress.errors import (
        ArtifactError,
        CountError,
        DataError,
        EditError,
        InputError,
        ModelError,
        PipelineError,
        PluginError,
        ProofError,
        SnncompressError,
        StateError,
        StepError,
        did_you_mean,
        listed,
    )
    from snncompress.hookspecs import hookimpl
    from snncompress.measure import (
        Observation,
        Predictions,
        measure,
        predict,
    )
    from snncompress.network import (
        Cut,
        Edit,
        Network,
        Offsets,
        Output,
        Replace,
        Size,
        Slice,
        Spikes,
        TakeOver,
        Time,
        Timesteps,
        declare,
        evaluating,
        leaving_generators,
        load,
        moved_beta,
        moved_tau,
        moved_threshold,
        save,
        spike_difference,
        start_of,
    )
    from snncompress.neurons import Intrinsic, NeuronDescription, Per, Values, each
    from snncompress.pipeline import read_component
    from snncompress.plugins import Host
    from snncompress.record import Measurement, Record, Spread, Summary, SummaryValue
    from snncompress.report import Comparison, EnergyRanking, Entry, Verdict
    from snncompress.run import compress, run, sweep
    from snncompress.selectors import Inventory
    from snncompress.settings import Count, Counts, Fraction, Names, Number, Settings, as_tuple
    from snncompress.sized import SizedArchitecture, Sizes
    from snncompress.speed import Fusible, UpdateRule, accelerated
    from snncompress.strategy import Facts, Problem, Run, Strategy
    from snncompress.training import Training

_PLACES = {
    "anatomy": "Block Dimension Firing Place Preparation Width",
    "components": "Anatomy Architecture Backend Bench Data Dataset Encoder EnergyModel Exporter Inputs Metric ModuleBuilder "
    "NeuronBackend NeuronKind Reporter SynapseBackend",
    "counts": "Activity LayerActivity OperationCounts Row",
    "errors": "ArtifactError CountError DataError EditError InputError ModelError PipelineError PluginError ProofError "
    "SnncompressError StateError StepError did_you_mean listed",
    "hookspecs": "hookimpl",
    "measure": "measure Observation Predictions predict",
    "network": "Cut Edit Network Offsets Output Replace Size Slice Spikes TakeOver Time Timesteps declare evaluating leaving_generators "
    "load moved_beta moved_tau moved_threshold save spike_difference start_of",
    "neurons": "Intrinsic NeuronDescription Per Values each",
    "pipeline": "read_component",
    "plugins": "Host",
    "record": "Measurement Record Spread Summary SummaryValue",
    "report": "Comparison EnergyRanking Entry Verdict",
    "run": "compress run sweep",
    "selectors": "Inventory",
    "settings": "Count Counts Fraction Names Number Settings as_tuple",
    "sized": "SizedArchitecture Sizes",
    "speed": "Fusible UpdateRule accelerated",
    "code": "import_object source_hash",
    "strategy": "Facts Problem Run Strategy",
    "training": "Training",
}
_HOME = {name: module for module, names in _PLACES.items() for name in names.split()}

__all__ = [
    "Activity",
    "Anatomy",
    "Architecture",
    "ArtifactError",
    "Backend",
    "Bench",
    "Block",
    "Comparison",
    "Count",
    "CountError",
    "Counts",
    "Cut",
    "Data",
    "DataError",
    "Dataset",
    "Dimension",
    "Edit",
    "EditError",
    "Encoder",
    "EnergyModel",
    "EnergyRanking",
    "Entry",
    "Exporter",
    "Facts",
    "Firing",
    "Fraction",
    "Fusible",
    "Host",
    "InputError",
    "Inputs",
    "Intrinsic",
    "Inventory",
    "LayerActivity",
    "Measurement",
    "Metric",
    "ModelError",
    "ModuleBuilder",
    "Names",
    "Network",
    "NeuronBackend",
    "NeuronDescription",
    "NeuronKind",
    "Number",
    "Observation",
    "Offsets",
    "OperationCounts",
    "Output",
    "Per",
    "PipelineError",
    "Place",
    "PluginError",
    "Predictions",
    "Preparation",
    "Problem",
    "ProofError",
    "Record",
    "Replace",
    "Reporter",
    "Row",
    "Run",
    "Settings",
    "Size",
    "SizedArchitecture",
    "Sizes",
    "Slice",
    "SnncompressError",
    "Spikes",
    "Spread",
    "StateError",
    "StepError",
    "Strategy",
    "Summary",
    "SummaryValue",
    "SynapseBackend",
    "TakeOver",
    "Time",
    "Timesteps",
    "Training",
    "UpdateRule",
    "Values",
    "Verdict",
    "Width",
    "accelerated",
    "as_tuple",
    "compress",
    "declare",
    "did_you_mean",
    "each",
    "evaluating",
    "hookimpl",
    "import_object",
    "leaving_generators",
    "listed",
    "load",
    "measure",
    "moved_beta",
    "moved_tau",
    "moved_threshold",
    "predict",
    "read_component",
    "run",
    "save",
    "source_hash",
    "spike_difference",
    "start_of",
    "sweep",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'snncompress' has no attribute {name!r}")
    return getattr(importlib.import_module(f"snncompress.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return __all__
