"""A sweep: one pipeline with every combination of some settings' values, one after the other, sharing the store."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from snncompress.arguments import list_of, path_of, shown
from snncompress.components import ComparisonReporter
from snncompress.errors import InputError, PipelineError, SnncompressError, StepError
from snncompress.notebook import framed
from snncompress.pipeline import Choice, Source, choices, read_axes, read_source
from snncompress.plan import Plan, make_plans
from snncompress.plugins import Host, guarded, returned
from snncompress.record import SWEEP_FILE, Combination, Sweep
from snncompress.report import Comparison, compare, read_swept
from snncompress.run.folder import of_sweep, planned, run_folder
from snncompress.run.replicates import Replicates, replicated
from snncompress.run.result import RUNS, STORE, Result, executed, require_device
from snncompress.run.watch import Watch
from snncompress.store import Store, replace_json

if TYPE_CHECKING:
    from pandas import DataFrame

Over = Mapping[str, Sequence[Any]] | Sequence[str]
"""Values by path, ``{"steps.1.fraction": [0.5, 0.75]}``; or texts as the command line has them."""

_Some = TypeVar("_Some")


@dataclass(frozen=True, repr=False)
class Swept:
    """What a sweep left behind: which combinations there are, their comparison, and the results of those that ended."""

    sweep: Sweep
    folder: Path
    comparison: Comparison
    results: dict[str, Result | Replicates]

    @property
    def failed(self) -> tuple[Combination, ...]:
        """The combinations in which a step failed."""
        return tuple(one for one in self.sweep.combinations if one.failed is not None)

    def to_frame(self) -> DataFrame:
        """Return the comparison as a pandas table; raise InputError if pandas is not installed."""
        return self.comparison.to_frame()

    def __str__(self) -> str:
        """Return a few lines: the combinations, and the folder."""
        return f"{self.sweep.name}: {self.comparison}\nin {self.folder}"

    def __repr__(self) -> str:
        return (
            f"Swept(name={self.sweep.name!r}, combinations={len(self.sweep.combinations)}, folder={str(self.folder)!r})"
        )

    def _repr_html_(self) -> str | None:
        return framed(self.comparison, "render_comparison")


def sweep(
    pipeline: str | PathLike[str] | Mapping[str, Any] | Source,
    over: Over,
    *,
    overrides: Sequence[str] = (),
    output: Path | str | None = None,
    store: Path | str = STORE,
    overwrite: bool = False,
    device: str = "cpu",
    allow_code: bool = False,
    silent: bool = False,
    host: Host | None = None,
) -> Swept:
    """Run a pipeline with every combination of the given values; what combinations share is done once.

    Args:
        pipeline: a file, ``recipe:NAME``, or the same as plain data; its ``seeds`` repeat every combination.
        over: the values of each setting that is varied, by its path: ``{"steps.1.fraction": [0.5, 0.75, 0.9]}``.
        overrides: ``PATH=VALUE`` settings that hold for every combination.
        output: the folder of the sweep, ``runs/NAME-sweep`` by default; each combination has a run folder in it. With a
            number where it holds the results of another sweep.
        store: the step store.
        overwrite: whether results of another sweep in the folder are replaced.
        device: ``cpu`` or ``cuda``.
        allow_code: whether the pipeline may run your own functions.
        silent: whether to show no progress; that results go to a folder with a number is said all the same.
        host: the plugins; those installed by default.

    Raises:
        PipelineError: with every problem of every combination at once, before anything runs.
        StepError: if every combination failed; if only some did, the result says which and why.
    """
    host = host or Host.from_environment()
    kept = Store(path_of(store, "store"))
    found = choices(read_axes(_texts(over), overrides))
    sources = _all(found, lambda one: read_source(pipeline, host, [*overrides, *one.overrides]))
    name = sources[0].pipeline.name
    plans = _all(
        tuple(zip(found, sources, strict=True)),
        lambda pair: make_plans(
            pair[1], host, kept, allow_code=allow_code, place=f"{name}/{pair[0].name}", device=device
        ),
    )
    require_device(device)
    asked = RUNS / f"{name}-sweep" if output is None else path_of(output, "output")
    layout = of_sweep(
        {one.name: planned(source, of_it) for one, source, of_it in zip(found, sources, plans, strict=True)}
    )
    with run_folder(asked, layout, kept, host, overwrite=overwrite) as folder:
        work = _Work(kept, folder, device, silent=silent)
        for number, (choice, source, of_it) in enumerate(zip(found, sources, plans, strict=True), start=1):
            work.carry_out(choice, source, of_it, f"{choice.name} ({number} of {len(found)})")
        return work.ended(name, found, sources[0], host)


@dataclass
class _Work:
    store: Store
    folder: Path
    device: str
    silent: bool = field(kw_only=True)
    results: dict[str, Result | Replicates] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)
    compressing: set[str] = field(default_factory=set)

    def carry_out(self, choice: Choice, source: Source, plans: Sequence[Plan], told: str) -> None:
        """Run one combination; a step that fails ends it alone."""
        place = self.folder / choice.name
        if any(step.strategy.compresses for step in plans[0].steps):
            self.compressing.add(choice.name)
        try:
            if source.pipeline.seeds is None:
                result: Result | Replicates = executed(
                    plans[0], self.store, place, self.device, silent=self.silent, told=told
                )
            else:
                result = replicated(source, plans, self.store, place, self.device, silent=self.silent, told=f"{told}: ")
        except SnncompressError as error:
            self.failures[choice.name] = str(error)
            Watch(silent=self.silent).line(f"{choice.name} failed: {error}")
        else:
            self.results[choice.name] = result

    def ended(self, name: str, found: Sequence[Choice], source: Source, host: Host) -> Swept:
        """Write what the sweep came to, and its comparison."""
        combinations = tuple(
            Combination(
                name=one.name,
                settings=one.settings,
                folder=one.name,
                failed=self.failures.get(one.name),
                compresses=one.name in self.compressing,
            )
            for one in found
        )
        over = {path: _distinct([one.settings[path] for one in found]) for path in found[0].settings}
        whole = Sweep(name=name, over=over, combinations=combinations)
        replace_json(self.folder / SWEEP_FILE, whole.model_dump(mode="json"))
        if not self.results:
            raise StepError("\n".join(f"{one}: {why}" for one, why in self.failures.items()))
        comparison = compare(read_swept(self.folder, whole))
        for reporter in _reporters(source, host):
            what = f"reporter {reporter.use!r}"
            text = returned(
                guarded(partial(reporter.render_comparison, comparison), what, StepError), str, what, StepError
            )
            (self.folder / reporter.file_name).write_text(text, encoding="utf-8")
        return Swept(whole, self.folder, comparison, self.results)


def _reporters(source: Source, host: Host) -> Iterator[ComparisonReporter]:
    """Yield every reporter that renders comparisons: with the pipeline's settings, else with its defaults."""
    given = {reporter.use: reporter for reporter in source.pipeline.report}
    for use, reporter in host.catalogue["reporters"].items():
        found = given.get(use) or (None if _needs_settings(reporter) else reporter())
        if isinstance(found, ComparisonReporter):
            yield found


def _needs_settings(reporter: Any) -> bool:
    return any(known.is_required() for known in reporter.model_fields.values())


def _texts(over: Over) -> tuple[str, ...]:
    if not isinstance(over, Mapping):
        over = list_of(over, "over", '["steps.1.fraction=0.5,0.75"]')
        if wrong := [text for text in over if not isinstance(text, str)]:
            raise InputError(f"over should be texts such as 'steps.1.fraction=0.5,0.75', not {shown(wrong[0])}")
    if not over:
        raise InputError("over: no setting is varied; give PATH=V1,V2, for example steps.1.fraction=0.5,0.75")
    if not isinstance(over, Mapping):
        return tuple(over)
    return tuple(f"{path}={_listed(path, values)}" for path, values in over.items())


def _listed(path: str, values: Any) -> str:
    if not isinstance(values, list | tuple):
        raise InputError(f"over: {path!r} should have a list of values, not {shown(values)}; write [{shown(values)}]")
    try:
        return ",".join(json.dumps(value, ensure_ascii=False) for value in values)
    except TypeError as error:
        raise InputError(f"over: {path!r} has a value that is no plain data: {error}") from error


def _distinct(values: Sequence[Any]) -> tuple[Any, ...]:
    return tuple({json.dumps(value, sort_keys=True): value for value in values}.values())


def _all(things: Sequence[Any], work: Callable[[Any], _Some]) -> list[_Some]:
    """Do the work on everything; raise PipelineError with the problems of all, each line once."""
    done, lines = [], dict[str, None]()
    for thing in things:
        try:
            done.append(work(thing))
        except PipelineError as error:
            lines |= dict.fromkeys(error.lines)
    if lines:
        raise PipelineError(list(lines))
    return done
