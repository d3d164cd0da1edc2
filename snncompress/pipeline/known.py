"""Which settings a place in a pipeline knows: a walk over annotations along a path."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, get_args

from pydantic import BaseModel

from snncompress.hookspecs import REGISTRATION
from snncompress.pipeline.model import MANY, ONE

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

    from snncompress.strategy import Where

Catalogue = Mapping[str, Mapping[str, Any]]


def kind_at(where: Where) -> str | None:
    """Return the kind of component that stands at a path, if one does; a field named as a kind holds one of it."""
    if len(where) == 1:
        return ONE.get(str(where[0]), str(where[0]) if where[0] in REGISTRATION else None)
    return MANY.get(str(where[0])) if len(where) == 2 and isinstance(where[1], int) else None  # noqa: PLR2004 - steps.1


def fields_at(model: type[BaseModel], where: Where, data: Any, catalogue: Catalogue) -> dict[str, FieldInfo]:
    """Return the settings that the mapping at ``where`` may hold."""
    models: Sequence[type[BaseModel]] = (model,)
    value = data
    for depth, piece in enumerate(where):
        value = _child(value, piece)
        if kind := kind_at(where[: depth + 1]):
            thing = catalogue[kind].get(str(_child(value, "use")))
            models = () if thing is None else (thing,)
        elif isinstance(piece, str):
            fields = [known for one in models for name, known in _named(one).items() if name == piece]
            models = tuple(inner for known in fields for inner in _models_in(known.annotation))
    return {name: known for one in models for name, known in _named(one).items()}


def _named(model: type[BaseModel]) -> dict[str, FieldInfo]:
    return {known.alias or name: known for name, known in model.model_fields.items()}


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from _models_in(part)


def _child(value: Any, piece: str | int) -> Any:
    if isinstance(piece, int):
        return value[piece] if isinstance(value, list) and piece < len(value) else None
    return value.get(piece) if isinstance(value, Mapping) else None
