"""The plan: what would be done, checked against the built structure, before any weight or sample is read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import TYPE_CHECKING, Any

from snncompress.compilers import compiler
from snncompress.components import Architecture, Inputs, Metric, is_costly
from snncompress.errors import DataError, EditError, InputError, ModelError, PipelineError, StateError
from snncompress.pipeline import Pipeline, Source
from snncompress.pipeline.replicates import replicates
from snncompress.plan.blank import blank_batch, recognised
from snncompress.plan.checks import (
    fault_of_norms,
    problems_of_metrics,
    problems_of_step,
)
from snncompress.plan.computing import computing_path
from snncompress.plan.keys import canonical, content_parts, key_of, metric_key, root_parts, step_parts
from snncompress.plan.losses import loss_fault
from snncompress.plan.presentation import check_presentation
from snncompress.plugins import Host, guarded, returned
from snncompress.store import Store
from snncompress.strategy import Facts, Strategy, Where

if TYPE_CHECKING:
    from snncompress.network import Network

_ALLOW = "allow it with --allow-code"
_USE = "setting use"

Lines = Callable[[Sequence[tuple[Where, str, str]]], list[str]]
"""Turns places, problems and hints into located lines, in the order of the file."""


@dataclass(frozen=True)
class PlannedStep:
    """One step: its key, whether a finished one is reused, and which parts of the key changed since the last run."""

    index: int
    strategy: Strategy
    key: str
    parts: dict[str, str]
    reused: bool
    changed: tuple[str, ...]

    @property
    def path(self) -> str:
        """The way in which the step computes."""
        return self.parts["computing path"]

    @property
    def why(self) -> str:
        """Say in a few words why the step is reused or done."""
        if self.reused:
            return "finished earlier with the same key"
        if self.changed:
            return "changed: " + ", ".join(self.changed)
        return "not done yet"

    @property
    def summary(self) -> str:
        """Say in one line what will happen to the step."""
        return f"{'reused' if self.reused else 'to do'} ({self.why}), {self.path}, key {self.key[:12]}"


@dataclass(frozen=True, repr=False)
class Plan:
    """Everything that a run needs to know; ``pipeline.model`` has every size filled in.

    ``warnings`` are located lines about what can be done and can hardly be meant so.
    """

    pipeline: Pipeline
    text: str
    inputs: Inputs
    root_key: str
    root_parts: dict[str, str]
    steps: tuple[PlannedStep, ...]
    host: Host
    place: str
    warnings: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Return a line for each step: whether it is done or reused, and why."""
        steps = [f"  {step.index + 1}. {step.strategy.use}: {step.summary}" for step in self.steps]
        return "\n".join([f"{self.pipeline.name}, seed {self.pipeline.seed}", *steps])

    def __repr__(self) -> str:
        return f"Plan(name={self.pipeline.name!r}, seed={self.pipeline.seed}, steps={len(self.steps)})"

    @property
    def keys(self) -> tuple[str, ...]:
        """The key of the state before the first step, then of the state after each step."""
        return (self.root_key, *(step.key for step in self.steps))

    @property
    def baseline_index(self) -> int:
        """The index in ``keys`` of the network before the first step that compresses, or before the first step if none does."""
        return next((step.index for step in self.steps if step.strategy.compresses), 0)

    @property
    def measured_states(self) -> tuple[int, ...]:
        """The indices in ``keys`` of the states that are measured: after every step, and the baseline."""
        return tuple(sorted({self.baseline_index, *range(1, len(self.keys))}))

    def measured(self, index: int) -> dict[str, str]:
        """Return the key of each measurement of the state ``index``, by the metric's name."""
        return {
            metric.use: metric_key(self._compared(index, metric), metric, self.host)
            for metric in self.pipeline.measure
            if self._takes(metric, index)
        }

    def _takes(self, metric: Metric, index: int) -> bool:
        """Tell whether a metric is measured on the state ``index``.

        A costly one is so on the baseline and the result alone, unless the pipeline wants all. Before the baseline there is
        nothing to compare with.
        """
        if index in (self.baseline_index, len(self.steps)):
            return True
        if self.pipeline.measure_steps == "cheap":
            return not is_costly(metric)
        return index > self.baseline_index or not getattr(metric, "compares", False)

    def _compared(self, index: int, metric: Metric) -> str:
        """Return the key of what a metric looks at: a state, and the baseline too where it compares with that."""
        state = self.keys[index]
        return f"{state} {self.keys[self.baseline_index]}" if getattr(metric, "compares", False) else state

    @property
    def content(self) -> dict[str, str]:
        """Hashes of what the pipeline reads besides its own settings: weights and other files, the user's code, samples."""
        samples = self.root_parts["data"].removeprefix(canonical(_canonical(self.pipeline.data)))
        return content_parts(self.root_parts, [step.parts for step in self.steps], samples)

    def to_json(self) -> dict[str, Any]:
        """Return the plan as JSON data."""
        return {
            "name": self.pipeline.name,
            "seed": self.pipeline.seed,
            "model": dict(_canonical(self.pipeline.model)),
            "inputs": {
                "shape": list(self.inputs.shape),
                "num_classes": self.inputs.num_classes,
                "kind": self.inputs.kind,
            },
            "root": self.root_key,
            "content": self.content,
            "steps": [
                {
                    "index": step.index,
                    "use": step.strategy.use,
                    "key": step.key,
                    "reused": step.reused,
                    "why": step.why,
                    "path": step.path,
                }
                for step in self.steps
            ],
            "warnings": list(self.warnings),
        }


def make_plan(
    pipeline: Pipeline,
    host: Host,
    store: Store,
    *,
    lines: Lines | None = None,
    text: str = "",
    allow_code: bool = False,
    place: str = "",
    checked: bool = False,
    device: str = "cpu",
) -> Plan:
    """Plan a pipeline with one seed; raise PipelineError with every problem that the built structure shows.

    Where every step and measurement is finished the structure is not built: it was checked when they ran.

    Args:
        pipeline: what is planned.
        host: the plugins.
        store: what is finished.
        lines: turns problems into located lines.
        text: the pipeline's text.
        allow_code: whether the pipeline may run the user's own functions.
        place: under what the parts of the keys are remembered, from run to run; the pipeline's name by default.
        checked: whether a pipeline that differs in its seed alone has been checked.
        device: where it will run; which way a step computes depends on it.
    """
    assert pipeline.seeds is None, "plan each seed by itself"  # noqa: S101 - make_plans does
    told = lines or _plain_lines
    if pipeline.speed == "compiled" and compiler() is None:
        raise PipelineError(told([(("speed",), "no C compiler is found", "install gcc, or set `speed: fused`")]))
    inputs, resolved = _resolve(pipeline, told, allow_code=allow_code)
    try:
        resolved_pipeline = pipeline.model_copy(update={"model": resolved})
        plan = _keyed(resolved_pipeline, text, inputs, host, store, place or pipeline.name, device)
    except DataError as error:  # the fingerprint looks at the files of the data
        raise PipelineError(told([(("data",), str(error), "")])) from error
    if checked or is_finished(plan, store):
        return plan
    return replace(plan, warnings=tuple(_check(plan, told)))


def make_plans(
    source: Source, host: Host, store: Store, *, allow_code: bool = False, place: str = "", device: str = "cpu"
) -> tuple[Plan, ...]:
    """Plan a pipeline once for each of its seeds; the structure, which no seed changes, is checked once."""
    place = place or source.pipeline.name
    whole: dict[str, Any] = {"lines": source.lines, "allow_code": allow_code, "device": device}
    if source.pipeline.seeds is None:
        return (make_plan(source.pipeline, host, store, text=source.text, place=place, **whole),)
    return tuple(
        make_plan(
            one.pipeline,
            host,
            store,
            text=one.text,
            place=f"{place}/{seed_folder(one.pipeline.seed)}",
            checked=index > 0,
            **whole,
        )
        for index, one in enumerate(replicates(source))
    )


def seed_folder(seed: int) -> str:
    """Return the name of the folder of one seed's run."""
    return f"seed-{seed}"


def is_finished(plan: Plan, store: Store) -> bool:
    """Tell whether every step and every measurement of the plan is in the store."""
    wanted = [key for index in plan.measured_states for key in plan.measured(index).values()]
    return all(step.reused for step in plan.steps) and all(store.measurement(key) is not None for key in wanted)


def _resolve(pipeline: Pipeline, lines: Lines, *, allow_code: bool) -> tuple[Inputs, Architecture]:
    refused: list[tuple[Where, str, str]] = [
        ((section,), f"{thing.use!r} runs your own code", _ALLOW)
        for section, thing in (("model", pipeline.model), ("data", pipeline.data))
        if getattr(thing, "needs_code", False) and not allow_code
    ]
    if not allow_code:
        refused += [
            (("steps", index), f"{place!r} runs your own code", _ALLOW)
            for index, step in enumerate(pipeline.steps)
            for place in own_code(step)
        ]
    if refused:
        raise PipelineError(lines(refused))
    what = f"data set {pipeline.data.use!r}"
    try:
        inputs = returned(guarded(pipeline.data.inputs, what, DataError), Inputs, what, DataError)
    except DataError as error:
        raise PipelineError(lines([(("data",), str(error), "")])) from error
    try:
        resolved = pipeline.model.resolved(inputs, pipeline.timesteps)
    except InputError as error:
        raise PipelineError(lines([(("model",), str(error), "")])) from error
    file = resolved.checkpoint_path()
    if file is not None and not file.exists():
        raise PipelineError(lines([(("model",), f"{str(file)!r} does not exist", "give the path of trained weights")]))
    return inputs, resolved


def own_code(step: Strategy) -> Iterable[str]:
    """Return the places of a user's own code that a step's training names."""
    training = step.training()
    return [training.loss] if training is not None and ":" in training.loss else []


def _keyed(pipeline: Pipeline, text: str, inputs: Inputs, host: Host, store: Store, place: str, device: str) -> Plan:
    root = root_parts(
        architecture=pipeline.model,
        data=pipeline.data,
        encoder=pipeline.encode,
        timesteps=pipeline.timesteps,
        seed=pipeline.seed,
        host=host,
    )
    before, steps = key_of(root), []
    last_root = store.last(f"{place}/root")
    moved = _changed(root, last_root) if last_root else ()
    for index, step in enumerate(pipeline.steps):
        earlier = pipeline.steps[:index]
        path = computing_path(pipeline, step, earlier, inputs, device)
        parts = step_parts(before, step, earlier, host=host, path=path)
        own = _changed(parts, store.last(f"{place}/step-{index}"))
        changed = (
            tuple(dict.fromkeys((*moved, *(name for name in own if name != "the step before" or not moved))))
            if own
            else ()
        )
        before = key_of(parts)
        steps.append(PlannedStep(index, step, before, parts, store.has(before), changed))
        moved = moved or (("an earlier step",) if changed else ())
    return Plan(pipeline, text, inputs, key_of(root), root, tuple(steps), host, place)


def _changed(now: dict[str, str], last: dict[str, str] | None) -> tuple[str, ...]:
    """Return the parts of a key that differ; of another strategy, not each of its settings."""
    if last is None:
        return ()
    names = [name for name in sorted({*now, *last}) if now.get(name) != last.get(name)]
    is_another = _USE in names
    return tuple(name for name in names if name == _USE or not (is_another and name.startswith("setting ")))


def _check(plan: Plan, lines: Lines) -> list[str]:
    """Return the warnings; raise PipelineError with every problem."""
    from snncompress.network import open_architecture
    from snncompress.network.transforms import needs_a_batch

    pipeline = plan.pipeline
    try:
        network = open_architecture(pipeline.model, plan.host, timesteps=pipeline.timesteps, values=False)
    except InputError as error:
        raise PipelineError(lines([(("model",), str(error), "")])) from error
    except EditError as error:
        raise PipelineError(lines([(("timesteps",), str(error), "")])) from error
    problems = list(check_presentation(pipeline, plan.inputs, network.time))
    state = set(_first_state(pipeline, network))
    blocks = cache(partial(recognised, network, plan.inputs))
    blank = cache(lambda: network.with_probe(blank_batch(network, plan.inputs)))
    if fault := fault_of_norms(network, blocks):
        raise PipelineError(lines([(("timesteps",), fault, "")]))
    loss_of = partial(loss_fault, time=network.time, num_classes=plan.inputs.num_classes)
    seen = blank() if needs_a_batch(network) else network
    known = partial(
        Facts,
        seen.inventory,
        network.time,
        plan.inputs,
        blocks=blocks,
        network=blank,
        host=plan.host,
        loss_fault=loss_of,
    )
    problems += problems_of_metrics(pipeline, known(frozenset(state)), plan.host)
    strategies = tuple(step.strategy for step in plan.steps)
    for step in plan.steps:
        earlier, later = strategies[: step.index], strategies[step.index + 1 :]
        try:
            found = problems_of_step(step.strategy, known(frozenset(state), earlier, later=later), plan.host)
        except (ModelError, StateError) as error:  # it looked at the blocks, for which the network runs
            raise PipelineError(lines([(("model",), str(error), "")])) from error
        problems += [(("steps", step.index, *problem.where), problem) for problem in found]
        state |= {problem.lacks for problem in found if problem.lacks}
        state = (state - step.strategy.drops()) | step.strategy.provides()
    warnings, wrong = ([one for one in problems if one[1].warns is warns] for warns in (True, False))
    if wrong:
        raise PipelineError(lines([(where, problem.what, problem.hint) for where, problem in wrong]))
    return lines([(where, problem.what, problem.hint) for where, problem in warnings]) if warnings else []


def _first_state(pipeline: Pipeline, network: Network) -> Iterable[str]:
    yield "snapshot:init"
    if pipeline.model.checkpoint_path() is not None or getattr(pipeline.model, "is_trained", False):
        yield "weights"
    if network.masks:
        yield "masks"


def _canonical(thing: Any) -> dict[str, Any]:
    settings: dict[str, Any] = thing.canonical()
    return settings


def _plain_lines(problems: Sequence[tuple[Where, str, str]]) -> list[str]:
    return [f"{'.'.join(map(str, where))}: {what}" + (f"; {hint}" if hint else "") for where, what, hint in problems]
