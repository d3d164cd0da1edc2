"""Carrying out a plan: reuse what is finished, run the rest, measure, judge budgets, write the run folder."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from snncompress.errors import ProofError, StepError
from snncompress.plan import Plan, PlannedStep, canonical, key_of
from snncompress.plugins import guarded, returned
from snncompress.record import PIPELINE_FILE, PLAN_FILE, RECORD_FILE, BudgetRecord, Measurement, Record, StepRecord
from snncompress.run.batch_size import require_batch_size, with_batch_sizes
from snncompress.run.environment import environment
from snncompress.run.watch import Watch
from snncompress.store import Store, replace_json, write_aside

if TYPE_CHECKING:
    from snncompress.components import Metric
    from snncompress.measure import DataBench
    from snncompress.network import Network
    from snncompress.pipeline import Pipeline
    from snncompress.strategy import Run, Strategy


@dataclass
class Execution:
    """One run of a plan. Networks and data are opened only when something has to be computed."""

    plan: Plan
    store: Store
    output: Path
    device: str = "cpu"
    watch: Watch = field(default_factory=Watch)
    tried: bool = False

    def run(self) -> Record:
        """Carry out the plan and return its record; everything finished is in the store, whatever happens."""
        self._remember()
        for warning in self.plan.warnings:
            self.watch.line(f"warning: {warning}")
        if self.plan.baseline_index == 0:
            self._measured(0)  # what cannot be measured is said before anything is trained
        steps = tuple(self._step(step) for step in self.plan.steps)
        baseline = self._measured(self.plan.baseline_index)
        final = self._measured(len(self.plan.steps))
        record = Record(
            name=self.plan.pipeline.name,
            pipeline=with_batch_sizes(described(self.plan.pipeline), steps),
            environment=environment(self.device, self.plan.host),
            steps=steps,
            baseline=baseline,
            final=final,
            budget=self._judged(baseline, final),
            artifact=str(self.output / "final"),
            masked=_is_masked(self.store.place(self.plan.keys[-1])),
        )
        with self.store.lock(key_of({"output": str(self.output.resolve())})):
            self._write(record)
        return record

    # ---- steps

    def _step(self, step: PlannedStep) -> StepRecord:
        with self.store.lock(step.key, lambda: self.watch.line("waiting for another process that does this step")):
            reused = self.store.has(step.key)
            self.watch.step(step.index, len(self.plan.steps), step.strategy.use, "reused" if reused else step.why)
            if not reused:
                self._carry_out(step)
        self.watch.close()
        info = self.store.info(step.key)
        return StepRecord(
            index=step.index,
            use=step.strategy.use,
            key=step.key,
            reused=reused,
            seconds=info["seconds"],
            path=info["path"],
            notes=info["notes"],
            measurements=self._measured(step.index + 1),
        )

    def _carry_out(self, step: PlannedStep) -> None:
        from snncompress.run.generators import derived_seed, seed_everything
        from snncompress.run.session import StepRun

        before = self._network(step.index)
        seed = derived_seed(self.plan.pipeline.seed, "step", step.index)
        earlier = tuple(done.strategy for done in self.plan.steps[: step.index])
        folder = self.store.work(step.key)
        path = f"{step.path} {self.device}"
        _say_if_moved(folder, path, self.watch)
        run = StepRun(
            seed=seed,
            earlier=earlier,
            bench=self._bench,
            folder=folder,
            network=before,
            watch=self.watch,
            path=step.path,
        )
        started = time.monotonic()
        seed_everything(seed)
        after = guarded(
            partial(self._hook, step.strategy, before, run), f"step {step.index + 1} ({step.strategy.use})", StepError
        )
        proofs = after.proofs[len(before.proofs) :]
        for proof in proofs:
            self.watch.line(f"  {proof}")
        info = {
            "use": step.strategy.use,
            "parts": step.parts,
            "path": f"{run.path} {self.device}",
            "seconds": round(time.monotonic() - started, 3),
            "notes": {**run.notes(), **({"proofs": [proof.to_json() for proof in proofs]} if proofs else {})},
        }
        guarded(partial(self._keep, step, after, info), f"keeping step {step.index + 1}", StepError)

    def _hook(self, strategy: Strategy, network: Network, run: Run) -> Network:
        from snncompress.network import Network

        after = self.plan.host.manager.hook.snncompress_run_step(step=strategy, network=network, run=run)
        return returned(after, Network, self.plan.host.named("strategies", strategy.use), StepError)

    def _keep(self, step: PlannedStep, network: Network, info: Mapping[str, Any]) -> None:
        from snncompress.network import save

        cleared = replace(network, proofs=())
        self.store.finish(step.key, info, lambda folder: save(cleared, folder, snapshots=True))
        self._states = {step.index + 1: cleared}

    # ---- states

    @cached_property
    def _states(self) -> dict[int, Network]:
        return {}

    def _network(self, index: int) -> Network:
        if index not in self._states:
            self._states = {index: self._opened(index)}
        return self._states[index]

    def _opened(self, index: int) -> Network:
        from snncompress.network import open_architecture, restore, try_out
        from snncompress.run.generators import derived_seed, seed_everything

        pipeline = self.plan.pipeline
        seed_everything(derived_seed(pipeline.seed, "model"))
        network = open_architecture(pipeline.model, self.plan.host, timesteps=pipeline.timesteps).with_snapshot("init")
        if index:
            network = restore(self.store.place(self.plan.keys[index]), network.source, self.plan.host)
        network.module.to(self.device)
        probe = self._probe(network)
        if not self.tried:
            self._bench.require_fit(try_out(network, probe, split="training", rebuild=True))
            self._require_provable(index, network, probe)
            self.tried = True
        return network.with_probe(probe)

    def _require_provable(self, index: int, network: Network, probe: Any) -> None:
        """Raise ProofError where a step behind ``index`` will prove its edits of this network, which cannot be."""
        from snncompress.network import few_of, float64_fault

        changing = (step for step in self.plan.steps[index:] if step.strategy.proves() is not False)
        first = next(changing, None)
        if first is None or not first.strategy.proves() or self.store.has(first.key):
            return
        if fault := float64_fault(network, few_of(network, probe)):
            raise ProofError(f"step {first.index + 1} ({first.strategy.use}) could prove nothing: {fault}")

    def _probe(self, network: Network, size: int = 64) -> Any:
        x_B, _ = next(iter(self._bench.batches("train")))
        return self._bench.encode(network, x_B[:size], self._bench.generator())

    @cached_property
    def _bench(self) -> DataBench:
        from snncompress.measure import DataBench
        from snncompress.measure.values import samples_of

        pipeline = self.plan.pipeline
        data = samples_of(pipeline.data, pipeline.seed)
        require_batch_size(pipeline.steps, data)
        bench = DataBench(
            data,
            pipeline.encode,
            pipeline.seed,
            device=self.device,
            uncompressed=lambda: self._opened(self.plan.baseline_index),
        )
        bench.look()
        return bench

    # ---- measurements

    def _measured(self, index: int) -> dict[str, Measurement]:
        if index not in self.plan.measured_states:
            return {}
        keys = self.plan.measured(index)
        metrics = [metric for metric in self.plan.pipeline.measure if metric.use in keys]
        known = {metric.use: self.store.measurement(keys[metric.use]) for metric in metrics}
        if missing := [metric for metric in metrics if known[metric.use] is None]:
            for use, values in self._taken(index, missing):
                self.store.keep_measurement(keys[use], values)
                known[use] = values
        return {name: value for values in known.values() if values for name, value in values.items()}

    def _taken(self, index: int, metrics: Sequence[Metric]) -> Iterator[tuple[str, dict[str, Measurement]]]:
        """Yield what each metric says of the state ``index``; one pass over the samples serves them all."""
        from snncompress.measure import needs_of, num_measured
        from snncompress.measure.values import values_of

        bench = replace(self._bench, wanted=needs_of(metrics), told=self.watch.measured)
        self.watch.measuring([metric.use for metric in metrics], num_measured(metrics, bench.data.test))
        for metric in metrics:
            work = partial(metric.measure, self._network(index), bench)
            yield metric.use, values_of(metric, work, self.plan.host)
        self.watch.close()

    def _judged(
        self, baseline: Mapping[str, Measurement], final: Mapping[str, Measurement]
    ) -> tuple[BudgetRecord, ...]:
        return tuple(
            _judge(budget, baseline[budget.metric].value, final[budget.metric].value)
            for budget in self.plan.pipeline.budget
        )

    # ---- the run folder

    def _remember(self) -> None:
        place = self.plan.place
        self.store.remember(f"{place}/root", self.plan.root_parts)
        for step in self.plan.steps:
            self.store.remember(f"{place}/step-{step.index}", step.parts)

    def _write(self, record: Record) -> None:
        self.output.mkdir(parents=True, exist_ok=True)
        last = self.store.place(self.plan.keys[-1])
        write_aside(self.output / "final", lambda folder: copy_artifact(last, folder))
        (self.output / PIPELINE_FILE).write_text(self.plan.text, encoding="utf-8")
        (self.output / PLAN_FILE).write_text(json.dumps(self.plan.to_json(), indent=2) + "\n", encoding="utf-8")
        record.write(self.output / RECORD_FILE)
        for exporter in self.plan.pipeline.export:
            self._export(exporter)
        for reporter in self.plan.pipeline.report:
            what = self.plan.host.named("reporters", reporter.use)
            text = returned(guarded(partial(reporter.render, record), what, StepError), str, what, StepError)
            (self.output / reporter.file_name).write_text(text, encoding="utf-8")

    def _export(self, exporter: Any) -> None:
        folder = self.output / "export" / exporter.use
        key = canonical([self.plan.keys[-1], exporter.canonical()])
        mark = folder / ".key"
        if mark.is_file() and mark.read_text(encoding="utf-8") == key:
            return
        folder.mkdir(parents=True, exist_ok=True)
        mark.unlink(missing_ok=True)
        work = partial(exporter.export, self._network(len(self.plan.steps)), folder)
        guarded(work, f"exporter {exporter.use!r}", StepError)
        mark.write_text(key, encoding="utf-8")


def described(pipeline: Pipeline) -> dict[str, Any]:
    """Return a pipeline of one seed as plain JSON data, defaults filled in."""
    model: Any = pipeline.model
    data: Any = pipeline.data  # either may be a stand-in for something in hand, which pydantic cannot write
    rest = pipeline.model_dump(mode="json", exclude={"model", "data", "seeds"})
    return {**rest, "model": model.canonical(), "data": data.canonical()}


def copy_artifact(place: Path, folder: Path) -> None:
    """Copy the artifact of a stored step, without its snapshots."""
    description = json.loads((place / "network.json").read_text(encoding="utf-8")) | {"snapshots": []}
    (folder / "network.json").write_text(json.dumps(description, indent=2) + "\n", encoding="utf-8")
    (folder / "weights.safetensors").write_bytes((place / "weights.safetensors").read_bytes())


def _is_masked(place: Path) -> bool | None:
    """Tell whether the artifact of a stored step has masks, without opening it; None where it does not say."""
    masked = json.loads((place / "network.json").read_text(encoding="utf-8")).get("masked")
    return None if masked is None else bool(masked)


def _judge(budget: Any, baseline: float | None, final: float | None) -> BudgetRecord:
    name, number = budget.limit
    met = baseline is not None and final is not None and budget.met(baseline=baseline, final=final)
    return BudgetRecord(metric=budget.metric, limit=f"{name} {number:g}", value=final, met=met)


def _say_if_moved(folder: Path, path: str, watch: Watch) -> None:
    import torch

    now = {"path": path, "threads": torch.get_num_threads()}
    file = folder / "machine.json"
    if file.is_file():
        before = json.loads(file.read_text(encoding="utf-8"))
        if before != now:
            torch.set_num_threads(before["threads"])
            watch.line(
                f"  resuming a step begun with {before['threads']} threads on {before['path']}; on another machine the last bits may differ"
            )
        return
    folder.mkdir(parents=True, exist_ok=True)
    replace_json(file, now)
