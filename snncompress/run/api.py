"""The Python functions behind ``snncompress run``: a pipeline, or a network in hand with a list of steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from snncompress.errors import InputError
from snncompress.pipeline import Pipeline, Source, load_pipeline, pipeline_from
from snncompress.plan import Plan, make_plan
from snncompress.plugins import Host
from snncompress.record import Record
from snncompress.run.execute import Execution
from snncompress.run.watch import Watch
from snncompress.store import Store

if TYPE_CHECKING:
    from snncompress.network import Network

RUNS, STORE = Path("runs"), Path("runs/.store")


@dataclass(frozen=True)
class Result:
    """What a run left behind: its record, its folder, and the network."""

    record: Record
    folder: Path
    plan: Plan

    @cached_property
    def network(self) -> Network:
        """The compressed network, loaded from the run's artifact."""
        from snncompress.network import open_architecture, restore

        source = open_architecture(
            self.plan.pipeline.model, self.plan.host, timesteps=self.plan.pipeline.timesteps
        ).source
        network = restore(self.folder / "final", source, self.plan.host)
        for item in {id(owned.backend): owned.backend for owned in network.owners.owned}.values():
            item.adopt(network.module)
        return network


def run(
    pipeline: str | Path | Mapping[str, Any] | Source,
    *,
    overrides: Sequence[str] = (),
    output: Path | str | None = None,
    store: Path | str = STORE,
    device: str = "cpu",
    allow_code: bool = False,
    silent: bool = False,
    host: Host | None = None,
) -> Result:
    """Run a pipeline: a file, ``recipe:NAME``, or the same as plain data.

    Args:
        pipeline: what to run.
        overrides: ``PATH=VALUE`` settings that replace those of the file.
        output: the run folder, ``runs/NAME`` by default.
        store: the step store; pipelines that share steps share their work there.
        device: ``cpu`` or ``cuda``.
        allow_code: whether the pipeline may run your own functions.
        silent: whether to show no progress.
        host: the plugins; those installed by default.

    Raises:
        PipelineError: with every problem of the pipeline at once.
        StepError: if a step fails; what was finished is kept, and running again goes on there.
    """
    host = host or Host.from_environment()
    source = _source(pipeline, host, overrides)
    kept = Store(Path(store))
    plan = make_plan(source.pipeline, host, kept, lines=source.lines, text=source.text, allow_code=allow_code)
    return _executed(plan, kept, output, device, silent=silent)


def compress(
    network: Network,
    *,
    steps: Sequence[Mapping[str, Any]],
    data: tuple[Any, Any, Any],
    name: str = "compressed",
    measure: Sequence[Any] = ("accuracy", "parameters", "sparsity"),
    budget: Sequence[Mapping[str, Any]] = (),
    encode: Any = "direct",
    kind: str = "static",
    seed: int = 0,
    output: Path | str | None = None,
    store: Path | str = STORE,
    device: str = "cpu",
    silent: bool = False,
) -> Result:
    """Compress a network in hand with ordinary data loaders.

    Args:
        network: your module and its declaration, ``snncompress.declare(module, Time(...))``.
        steps: the steps as a pipeline has them, ``[{"use": "prune.lottery", ...}]``; a ``loss`` may be your own ``MODULE:FUNCTION``.
        data: three loaders or data sets of (x, y): train, validation, test.
        name: name of the run and its folder.
        measure: metrics by name.
        budget: limits as a pipeline has them.
        encode: how a still image becomes time steps.
        kind: ``static`` for x_B..., ``frames`` for event frames x_BT...
        seed: seed of everything random.
        output: the run folder, ``runs/NAME`` by default.
        store: the step store.
        device: ``cpu`` or ``cuda``.
        silent: whether to show no progress.

    Raises:
        PipelineError: with every problem of the steps at once.
        StepError: if a step fails; what was finished is kept.
    """
    from snncompress.measure import leaving_generators
    from snncompress.run.in_hand import LoadersInHand, NetworkInHand

    with leaving_generators():
        host = network.host
        model = NetworkInHand.of(network)
        samples = LoadersInHand.of(data, network, kind=kind)
        described = {
            "version": 1,
            "name": name,
            "model": {
                "use": "python",
                "function": network.source.reference.get("function", "in_hand:network"),
                "arguments": network.source.reference.get("arguments", {}),
            },
            "data": {
                "use": "python",
                "function": "in_hand:data",
                "shape": [1] * (4 if kind == "frames" else 3),  # a place holder: samples in hand may have any shape
                "num_classes": samples.inputs().num_classes,
                "kind": kind,
            },
            "encode": encode,
            "seed": seed,
            "steps": [dict(step) for step in steps],
            "measure": list(measure),
            "budget": [dict(entry) for entry in budget],
        }
        source = pipeline_from(described, host)
        pipeline: Pipeline = source.pipeline.model_copy(
            update={"model": model, "data": samples, "timesteps": network.time.T}
        )
        kept = Store(Path(store))
        plan = make_plan(pipeline, host, kept, lines=source.lines, text=source.text, allow_code=True)
        return _executed(plan, kept, output, device, silent=silent)


def _source(pipeline: str | Path | Mapping[str, Any] | Source, host: Host, overrides: Sequence[str]) -> Source:
    if isinstance(pipeline, Source):
        return pipeline
    if isinstance(pipeline, Mapping):
        return pipeline_from(pipeline, host)
    return load_pipeline(str(pipeline), host, overrides=overrides)


def _require_device(name: str) -> None:
    if name == "cpu":
        return
    import torch

    try:
        torch.ones(1, device=name)
    except (RuntimeError, AssertionError) as error:
        raise InputError(
            f"device {name!r} cannot be used here: {str(error).splitlines()[0].partition('. ')[0]}"
        ) from error


def _require_folder(name: str, folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"{name} {str(folder)!r} cannot be a folder: {(error.strerror or str(error)).lower()}"
        ) from error


def _executed(plan: Plan, store: Store, output: Path | str | None, device: str, *, silent: bool) -> Result:
    _require_device(device)
    folder = Path(output) if output is not None else RUNS / plan.pipeline.name
    _require_folder("output", folder)
    _require_folder("store", store.folder)
    watch = Watch(silent=silent)
    try:
        record = Execution(plan, store, folder, device, watch).run()
    finally:
        watch.close()
    return Result(record, folder, plan)
