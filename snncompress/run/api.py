"""The Python functions behind ``snncompress run``: a pipeline, or a network in hand with a list of steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from snncompress.arguments import path_of
from snncompress.pipeline import Pipeline, Source, entries_of, pipeline_from, read_source
from snncompress.plan import make_plan, make_plans
from snncompress.plugins import Host
from snncompress.report import print_record
from snncompress.run.folder import of_plan, planned, run_folder
from snncompress.run.replicates import Replicates, replicated
from snncompress.run.result import RUNS, STORE, Result, executed, require_device
from snncompress.store import Store

if TYPE_CHECKING:
    from snncompress.network import Network


def run(
    pipeline: str | Path | Mapping[str, Any] | Source,
    *,
    overrides: Sequence[str] = (),
    output: Path | str | None = None,
    store: Path | str = STORE,
    overwrite: bool = False,
    device: str = "cpu",
    allow_code: bool = False,
    silent: bool = False,
    host: Host | None = None,
) -> Result | Replicates:
    """Run a pipeline: a file, ``recipe:NAME``, or the same as plain data; with ``seeds``, once for each of them.

    Args:
        pipeline: what to run.
        overrides: ``PATH=VALUE`` settings that replace those of the file.
        output: the run folder, ``runs/NAME`` by default; with a number where it holds the results of another pipeline.
        store: the step store; pipelines that share steps share their work there.
        overwrite: whether results of another pipeline in the run folder are replaced.
        device: ``cpu`` or ``cuda``.
        allow_code: whether the pipeline may run your own functions.
        silent: whether to show no progress; that results go to a folder with a number is said all the same.
        host: the plugins; those installed by default.

    Raises:
        PipelineError: with every problem of the pipeline at once.
        StepError: if a step fails; what was finished is kept, and running again goes on there.
    """
    host = host or Host.from_environment()
    source = read_source(pipeline, host, overrides)
    kept = Store(path_of(store, "store"))
    plans = make_plans(source, host, kept, allow_code=allow_code, device=device)
    require_device(device)
    asked = RUNS / source.pipeline.name if output is None else path_of(output, "output")
    with run_folder(asked, planned(source, plans), kept, host, overwrite=overwrite) as folder:
        if source.pipeline.seeds is None:
            return executed(plans[0], kept, folder, device, silent=silent)
        return replicated(source, plans, kept, folder, device, silent=silent)


def compress(
    network: Network,
    *,
    steps: Sequence[Mapping[str, Any]] | Mapping[str, Any],
    data: tuple[Any, Any, Any],
    name: str = "compressed",
    measure: Sequence[Any] | str | Mapping[str, Any] = ("accuracy", "parameters", "sparsity"),
    measure_steps: str = "cheap",
    budget: Sequence[Mapping[str, Any]] | Mapping[str, Any] = (),
    encode: Any = "direct",
    kind: str = "static",
    seed: int = 0,
    speed: str = "auto",
    output: Path | str | None = None,
    store: Path | str = STORE,
    overwrite: bool = False,
    device: str = "cpu",
    silent: bool = False,
) -> Result:
    """Compress a network in hand with ordinary data loaders; unless silent, end with the table that the command line prints.

    Args:
        network: your module and its declaration, ``snncompress.declare(module, Time(...))``.
        steps: the steps as a pipeline has them, ``[{"use": "prune.lottery", ...}]``, or a single one; a ``loss`` may be a
            function of your own, itself or as ``MODULE:FUNCTION``.
        data: three loaders or data sets of (x, y): train, validation, test.
        name: name of the run and its folder.
        measure: metrics by name, or a single one.
        measure_steps: what is measured between the baseline and the result, as a pipeline says it: ``cheap`` or ``all``.
        budget: limits as a pipeline has them, or a single one.
        encode: how a still image becomes time steps.
        kind: ``static`` for x_B..., ``frames`` for event frames x_BT...
        seed: seed of everything random.
        speed: how training computes, as a pipeline says it.
        output: the run folder, ``runs/NAME`` by default; with a number where it holds the results of another network,
            other data or other steps.
        store: the step store.
        overwrite: whether such results are replaced.
        device: ``cpu`` or ``cuda``.
        silent: whether to show no progress and no table; that results go to a folder with a number is said all the same.

    Raises:
        PipelineError: with every problem of the steps at once.
        StepError: if a step fails; what was finished is kept.
    """
    from snncompress.network import leaving_generators, require_declared
    from snncompress.run.in_hand import LoadersInHand, NetworkInHand, in_hand_text

    require_declared(network, "compress")
    with leaving_generators():
        host = network.host
        model = NetworkInHand.of(network)
        samples = LoadersInHand.of(data, network, kind=kind)
        described = {
            "version": 1,
            "name": name,
            "model": {
                "use": "python",
                "function": network.source.reference.get("function", "a_place:holder"),
                "arguments": network.source.reference.get("arguments", {}),
            },
            "data": {
                "use": "python",
                "function": "a_place:holder",
                "shape": [1] * (4 if kind == "frames" else 3),  # a place holder: samples in hand may have any shape
                "num_classes": samples.inputs().num_classes,
                "kind": kind,
            },
            "encode": encode,
            "seed": seed,
            "speed": speed,
            "steps": entries_of(steps),
            "measure": entries_of(measure),
            "measure_steps": measure_steps,
            "budget": entries_of(budget),
        }
        source = pipeline_from(described, host)
        pipeline: Pipeline = source.pipeline.model_copy(
            update={"model": model, "data": samples, "timesteps": network.time.T}
        )
        kept = Store(path_of(store, "store"))
        text = in_hand_text(described, network)
        plan = make_plan(pipeline, host, kept, lines=source.lines, text=text, allow_code=True, device=device)
        require_device(device)
        asked = RUNS / pipeline.name if output is None else path_of(output, "output")
        with run_folder(asked, {"": of_plan(plan)}, kept, host, overwrite=overwrite) as folder:
            result = executed(plan, kept, folder, device, silent=silent)
    if not silent:
        print_record(result.record, host)
    return result
