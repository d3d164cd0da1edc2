"""The pipeline as a pydantic model, narrowed to what the loaded plugins provide."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, create_model
from pydantic_core import core_schema

from snncompress.components import Architecture, Dataset, Encoder, Exporter, Metric, Reporter
from snncompress.pipeline.budget import Budget
from snncompress.pipeline.tree import kind_of
from snncompress.settings import Seeds, Settings
from snncompress.strategy import Strategy

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
    from pydantic.json_schema import JsonSchemaValue

    from snncompress.plugins import Host

ONE = {"model": "architectures", "data": "datasets", "encode": "encoders"}
"""Fields that hold one component, and its kind in the catalogue."""

MANY = {"steps": "strategies", "measure": "metrics", "export": "exporters", "report": "reporters"}
"""Fields that hold a list of components, and their kind in the catalogue."""

_SLUG = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"


def _whole_one(value: object) -> object:
    if type(value) is not int:
        raise ValueError(f"should be 1, not {kind_of(value)}")
    return value


def _no_path(name: str) -> str:
    if name.endswith("."):
        raise ValueError("should not end with a dot, for it names a folder")
    return name


class Pipeline(Settings):
    """Hold one pipeline: what is compressed, by which steps, and what is measured."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    version: Annotated[Literal[1], BeforeValidator(_whole_one)] = Field(
        description="Version of the pipeline format: 1."
    )
    name: Annotated[str, AfterValidator(_no_path)] = Field(
        pattern=_SLUG,
        max_length=100,
        description="Name of the run and its folder: letters, digits, '-', '_' and '.', first a letter or digit.",
    )
    model: Architecture = Field(description="The network to compress.")
    data: Dataset = Field(description="The data set.")
    encode: Encoder = Field(description="How a static image becomes time steps.")
    timesteps: Annotated[int, Field(ge=1)] | None = Field(
        None, description="Time steps T; the model's own number if null."
    )
    seed: int = Field(0, ge=0, description="Seed of everything random.")
    seeds: Seeds | None = Field(
        None, description="Seeds with which the whole pipeline is repeated, in the place of `seed`."
    )
    speed: Literal["auto", "reference", "fused", "compiled"] = Field(
        "auto",
        description="How training computes: `reference` as the library does it; `fused`, all time steps at once; "
        "`compiled`, the same in C; `auto` chooses for each step. The results are the same but for the last bits.",
    )
    steps: tuple[Strategy, ...] = Field(min_length=1, description="What is done, in order.")
    measure: tuple[Metric, ...] = Field((), description="What is measured before and after.")
    measure_steps: Literal["cheap", "all"] = Field(
        "cheap",
        description="What is measured after the steps between the baseline and the result: `cheap` takes the metrics that "
        "need at most one plain pass over the test split, and leaves out those that count operations, watch neurons or "
        "take time; `all` takes every metric.",
    )
    budget: tuple[Budget, ...] = Field((), description="Limits that the measured values must keep.")
    export: tuple[Exporter, ...] = Field((), description="Forms in which the result is written for other programs.")
    report: tuple[Reporter, ...] = Field((), description="Reports that are written.")

    def canonical(self) -> dict[str, Any]:
        """Return the pipeline as plain JSON data, defaults filled in; ``seed`` or ``seeds``, whichever holds."""
        known = super().canonical()
        del known["seeds" if self.seeds is None else "seed"]
        return known


class _Component:
    """Mark a field as a component: a union of classes, told apart by ``use``; one class or none will do too."""

    def __init__(self, classes: Mapping[str, type[Settings]]) -> None:
        self._classes = dict(classes)

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        del source
        choices = {use: handler.generate_schema(thing) for use, thing in self._classes.items()}
        choices = choices or {"\0": core_schema.none_schema()}  # pydantic wants one choice; this one nobody can make
        return core_schema.tagged_union_schema(choices, "use", strict=True)

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        if not self._classes:
            return {"not": {}, "description": "no installed plugin provides one"}
        bare = sorted(use for use, thing in self._classes.items() if _stands_alone(thing))
        schemes = sorted(use for use, thing in self._classes.items() if getattr(thing, "shorthand", None))
        shorts = [{"type": "string", "enum": bare}] if bare else []
        patterns = [{"type": "string", "pattern": f"^({'|'.join(schemes)}):."}] if schemes else []
        return {"anyOf": [handler(schema), *shorts, *patterns]}


def _stands_alone(thing: type[Settings]) -> bool:
    return not any(known.is_required() for known in thing.model_fields.values())


def pipeline_model(host: Host) -> type[Pipeline]:
    """Return ``Pipeline`` narrowed to the components that the host's plugins provide."""
    fields: dict[str, Any] = {}
    for name, kind in ONE.items():
        fields[name] = (_component(host, kind), _field(name))
    for name, kind in MANY.items():
        one: Any = _component(host, kind)
        fields[name] = (tuple[one, ...], _field(name))
    fields["encode"] = (fields["encode"][0], _field("encode", {"use": "direct"}))
    text = ({"use": "text"},) if "text" in host.catalogue["reporters"] else ()
    fields["report"] = (fields["report"][0], _field("report", text))
    model: type[Pipeline] = create_model("Pipeline", __base__=Pipeline, __doc__=Pipeline.__doc__, **fields)
    return model


def parts_model(host: Host, names: Iterable[str]) -> Any:
    """Return a settings class with some of the fields of a pipeline that hold components, outside a pipeline."""
    fields: dict[str, Any] = {}
    for name in names:
        one: Any = _component(host, ONE[name] if name in ONE else MANY[name])
        fields[name] = (one if name in ONE else tuple[one, ...], _field(name))
    return create_model("Parts", __base__=Settings, **fields)


def component_model(host: Host, kind: str) -> Any:
    """Return a settings class with one field, named as the kind, that holds a component of that kind."""
    return _component_model(kind, tuple(host.catalogue[kind].items()))


@lru_cache(maxsize=32)  # one run asks dozens of times, and making a model takes milliseconds
def _component_model(kind: str, choices: tuple[tuple[str, type[Settings]], ...]) -> Any:
    fields: dict[str, Any] = {kind: (Annotated[Any, _Component(dict(choices))], ...)}
    return create_model("Component", __base__=Settings, **fields)


def schema(host: Host) -> dict[str, Any]:
    """Return the JSON schema of the pipelines that this environment can read."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **pipeline_model(host).model_json_schema()}


def _component(host: Host, kind: str) -> Any:
    return Annotated[Any, _Component(host.catalogue[kind])]


def _field(name: str, default: Any = None) -> Any:
    known = Pipeline.model_fields[name]
    if default is None and known.is_required():
        limits: dict[str, Any] = {"min_length": 1} if name == "steps" else {}
        return Field(description=known.description, **limits)
    chosen = known.default if default is None else default
    return Field(default=chosen, validate_default=True, description=known.description)
