"""Read a pipeline from a file, a recipe or plain data, and keep where everything stands."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from snncompress.arguments import shown
from snncompress.code import place_of_function
from snncompress.errors import PipelineError, did_you_mean, near
from snncompress.pipeline.across import check_across
from snncompress.pipeline.check import check
from snncompress.pipeline.document import Flaw, compose, dump, serialize
from snncompress.pipeline.model import Pipeline, parts_model, pipeline_model
from snncompress.pipeline.overrides import Override, override
from snncompress.pipeline.recipes import recipes
from snncompress.pipeline.shorthand import expand
from snncompress.pipeline.tree import Tree, build
from snncompress.record import PIPELINE_FILE

if TYPE_CHECKING:
    from snncompress.components import Architecture
    from snncompress.plugins import Host
    from snncompress.strategy import Problem, Where

IN_PYTHON = "pipeline"
"""Name of a pipeline that came as plain data and so has no lines."""


@dataclass(frozen=True)
class Places:
    """Map paths in a pipeline to marks in its text or in a ``--set``."""

    name: str
    marks: Mapping[Where, yaml.Mark]
    overrides: tuple[Override, ...] = ()

    def nearest(self, where: Where) -> yaml.Mark:
        """Return the mark of ``where`` or of its nearest ancestor that exists."""
        while where and where not in self.marks:
            where = where[:-1]
        return self.marks[where]

    def order(self, mark: yaml.Mark) -> tuple[int, int, int]:
        """Return what sorts marks in file order, those of each ``--set`` after the file."""
        names = (self.name, *(entry.label for entry in self.overrides))
        return names.index(mark.name), mark.line, mark.column

    def line(self, mark: yaml.Mark, where: Where, what: str, hint: str) -> str:
        """Return ``file:line:column: path: what; hint``, or ``--set PATH=VALUE: ...``."""
        has_lines = mark.name == self.name and self.name != IN_PYTHON
        label = f"{mark.name}:{mark.line + 1}:{mark.column + 1}" if has_lines else mark.name
        path = ".".join(map(str, where))
        return ": ".join(part for part in (label, path, what) if part) + (f"; {hint}" if hint else "")


@dataclass(frozen=True)
class Source:
    """Hold a checked pipeline, the text that says the same, and where everything stands in it."""

    pipeline: Pipeline
    text: str
    name: str
    places: Places

    def line(self, path: Where, what: str, hint: str = "") -> str:
        """Return a located line about the setting at ``path``."""
        return self.places.line(self.places.nearest(path), path, what, hint)

    def lines(self, problems: Sequence[tuple[Where, str, str]]) -> list[str]:
        """Return a located line for each place, problem and hint, in the order of the file."""
        ordered = sorted(problems, key=lambda problem: self.places.order(self.places.nearest(problem[0])))
        return [self.line(*problem) for problem in ordered]


def load_pipeline(reference: str, host: Host, *, overrides: Sequence[str | Override] = ()) -> Source:
    """Read a pipeline file or ``recipe:NAME``; raise PipelineError with all problems at once."""
    return _read(_text_of(reference, host), reference, host, _overrides(overrides))


def pipeline_from(data: Mapping[str, Any], host: Host, *, overrides: Sequence[str | Override] = ()) -> Source:
    """Check a pipeline given as plain Python data; raise PipelineError with all problems at once."""
    try:
        text = dump(plain(data))
    except yaml.representer.RepresenterError as error:
        what = f"{shown(error.args[1])} is no plain value"
        raise PipelineError(
            [f"{IN_PYTHON}: {what}; use text, numbers, true, false, null, lists and mappings"]
        ) from error
    return _read(text, IN_PYTHON, host, _overrides(overrides))


def read_source(
    pipeline: str | PathLike[str] | Mapping[str, Any] | Source, host: Host, overrides: Sequence[str | Override] = ()
) -> Source:
    """Read a pipeline from a file, ``recipe:NAME`` or plain data; one that has been read before is taken as it is."""
    if isinstance(pipeline, Source):
        return _read(pipeline.text, pipeline.name, host, _overrides(overrides)) if overrides else pipeline
    if isinstance(pipeline, Mapping):
        return pipeline_from(pipeline, host, overrides=overrides)
    if not isinstance(pipeline, (str, PathLike)):
        raise PipelineError(
            [f"{IN_PYTHON}: should be a file, 'recipe:NAME', or the same as a mapping, not {type(pipeline).__name__!r}"]
        )
    return load_pipeline(str(pipeline), host, overrides=overrides)


def read_parts(texts: Mapping[str, str], host: Host, *, overrides: Sequence[str] = ()) -> Any:
    """Read some sections of a pipeline (``model``, ``data``, ``encode``, ``measure``), each given as YAML text.

    Return a value with these sections as its attributes; raise PipelineError with all problems at once.
    """
    node, flaws = compose("".join(f"{name}: {text}\n" for name, text in texts.items()), IN_PYTHON)
    if not isinstance(node, yaml.MappingNode):
        raise _failed(Places(IN_PYTHON, {(): yaml.Mark(IN_PYTHON, 0, 0, 0, None, 0)}), flaws, [])
    entries = _overrides(overrides)
    flaws += [flaw for entry in entries for flaw in override(node, entry)]
    tree = build(node)
    tree.flaws += flaws
    data, problems = expand(tree.data, host.catalogue)
    found, wrong = check(data, parts_model(host, texts), host)
    problems = [*problems, *wrong, *check_across(data, host)]
    if found is None or problems or tree.flaws:
        raise _failed(Places(IN_PYTHON, tree.marks, entries), tree.flaws, problems)
    return found


def read_model(reference: str, host: Host, *, overrides: Sequence[str] = ()) -> Architecture:
    """Read a model reference as a pipeline's ``model:`` has it; raise PipelineError with all problems at once."""
    model: Architecture = read_parts({"model": reference}, host, overrides=overrides).model
    return model


def parts_from(data: Mapping[str, Any], host: Host) -> Any:
    """Check some sections of a pipeline given as plain Python data; see ``read_parts``."""
    try:
        texts = {name: json.dumps(plain(value)) for name, value in data.items()}
    except TypeError as error:
        what = f"{error}; use text, numbers, true, false, null, lists and mappings"
        raise PipelineError([f"{IN_PYTHON}: {what}"]) from error
    return read_parts(texts, host)


def entries_of(given: Any) -> Any:
    """Return what a Python user gave for a list of entries: a single one may stand alone; the check tells what is no list."""
    if isinstance(given, str | Mapping):
        return [given]
    return list(given) if isinstance(given, Iterable) else given


def plain(value: Any) -> Any:
    """Return Python data as a file could hold them: lists for tuples, a place for a user's own loss."""
    if isinstance(value, Mapping):
        return {key: plain(_named(entry) if key == "loss" else entry) for key, entry in value.items()}
    return [plain(entry) for entry in value] if isinstance(value, list | tuple) else value


def _named(loss: Any) -> Any:
    """Return the place of a user's own function, which a pipeline holds in its stead."""
    return place_of_function(loss) if callable(loss) else loss


def _text_of(reference: str, host: Host) -> str:
    path = _path_of(reference, host)
    try:
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise PipelineError([f"{reference}: no such file{_near(reference, path, host)}"]) from error
    except IsADirectoryError as error:
        raise PipelineError([f"{reference or path}: cannot be read: is a directory{_pipeline_in(path)}"]) from error
    except ValueError as error:  # a character that no path may hold
        raise PipelineError([f"{reference!r}: cannot be read: {error}"]) from error
    except OSError as error:
        raise PipelineError([f"{reference}: cannot be read: {(error.strerror or str(error)).lower()}"]) from error
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        column = error.start - content.rfind(b"\n", 0, error.start)
        raise PipelineError([f"{reference}:{line}:{column}: this byte is not UTF-8; save the file as UTF-8"]) from error


def _path_of(reference: str, host: Host) -> Path:
    if not reference.startswith("recipe:"):
        return Path(reference)
    name, known = reference.removeprefix("recipe:"), recipes(host)
    if name not in known:
        raise PipelineError([f"{reference}: no recipe {name!r}; {did_you_mean(name, known)}{host.excuse()}"])
    return known[name]


def _near(reference: str, path: Path, host: Host) -> str:
    """Return a hint where a recipe, or else a file beside the missing one, is called alike."""
    known, name = recipes(host), reference.removesuffix(".yaml")
    if name in known:
        return f"; did you mean 'recipe:{name}'?"
    best = near(name, known, most=1) if path.parent == Path() else []
    return _near_files(path) or (f"; did you mean 'recipe:{best[0]}'?" if best else "")


def _pipeline_in(folder: Path) -> str:
    return f"; did you mean {str(folder / PIPELINE_FILE)!r}?" if (folder / PIPELINE_FILE).is_file() else ""


def _near_files(path: Path) -> str:
    folder = path.parent
    if not folder.is_dir():
        return f"; there is no folder {str(folder)!r}"
    best = near(path.name, [entry.name for entry in folder.iterdir() if entry.is_file()])
    return f"; near: {', '.join(repr(str(folder / name)) for name in best)}" if best else ""


def _overrides(given: Sequence[str | Override]) -> tuple[Override, ...]:
    if (
        isinstance(given, str)
        or not isinstance(given, Sequence)
        or not all(isinstance(entry, (str, Override)) for entry in given)
    ):
        raise PipelineError([f"overrides: should be a list of texts such as ['seed=1'], not {shown(given)}"])
    return tuple(Override(entry) if isinstance(entry, str) else entry for entry in given)


def _read(text: str, name: str, host: Host, overrides: tuple[Override, ...]) -> Source:
    node, flaws = compose(text, name)
    if not isinstance(node, yaml.MappingNode):
        raise _failed(Places(name, {}), [*flaws, *_no_pipeline(node, name, has_flaws=bool(flaws))], [])
    flaws += [flaw for entry in overrides for flaw in override(node, entry)]
    tree = build(node)
    tree.flaws += flaws
    places = Places(name, tree.marks, overrides)
    pipeline, problems = _check(tree, host)
    if pipeline is None or problems or tree.flaws:
        raise _failed(places, tree.flaws, problems)
    return Source(pipeline, serialize(node) if overrides else text, name, places)


def _no_pipeline(node: yaml.Node | None, name: str, *, has_flaws: bool) -> list[Flaw]:
    if has_flaws:
        return []
    start = yaml.Mark(name, 0, 0, 0, None, 0)
    if node is None or node.tag.endswith(":null"):
        return [Flaw(start, "there is no pipeline here", "see `snncompress recipes` for some to start from")]
    what = "a list" if isinstance(node, yaml.SequenceNode) else repr(node.value)
    return [Flaw(node.start_mark, f"a pipeline is a mapping of settings, not {what}")]


def _check(tree: Tree, host: Host) -> tuple[Pipeline | None, list[Problem]]:
    data, problems = expand(tree.data, host.catalogue)
    pipeline, found = check(data, pipeline_model(host), host)
    problems += [*found, *check_across(data, host)]
    return pipeline, [
        _as_written(problem, tree)
        for problem in problems
        if not tree.hides(problem.where, missing=problem.what.startswith("required setting is missing"))
    ]


def _as_written(problem: Problem, tree: Tree) -> Problem:
    """Blame the short form itself where a component is given as text and has no ``use``."""
    *outer, last = problem.where or ("",)
    is_short = last == "use" and (tuple(outer) not in tree.marks or tree.is_text(tuple(outer)))
    return replace(problem, where=tuple(outer)) if is_short else problem


def _failed(places: Places, flaws: Sequence[Flaw], problems: Sequence[Problem]) -> PipelineError:
    told = [(flaw.mark, flaw.path, flaw.what, flaw.hint) for flaw in flaws if flaw.what]
    told += [(places.nearest(problem.where), problem.where, problem.what, problem.hint) for problem in problems]
    told.sort(key=lambda entry: places.order(entry[0]))
    return PipelineError([places.line(*entry) for entry in told])
