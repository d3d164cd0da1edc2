"""The energy of a sample, under several named models side by side."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field

from snncompress import (
    Bench,
    EnergyModel,
    Host,
    InputError,
    Measurement,
    OperationCounts,
    Problem,
    Settings,
    as_tuple,
    read_component,
)
from snncompress_measures.operations import counts_of, over

if TYPE_CHECKING:
    from snncompress import Network

_KIND = "energy_models"

_Given = str | dict[str, Any]


def _one_or_many(value: object) -> object:
    return (value,) if isinstance(value, str | dict) else as_tuple(value)


class Energy(Settings):
    """Estimate the energy of a sample from its operations: `energy` under the first model, `energy_NAME` under the others.

    Published conventions differ by more than an order of magnitude: name the model beside every figure, and compare
    figures of one model only.
    """

    use: Literal["energy"] = "energy"
    models: Annotated[
        tuple[_Given, ...],
        BeforeValidator(_one_or_many, json_schema_input_type=_Given | tuple[_Given, ...]),
    ] = Field(
        ("45nm", "spikformer", "spikingformer", "sdt", "77fj"),
        min_length=1,
        description="Energy models: names, or mappings with `use` and settings.",
    )

    needs: ClassVar[frozenset[str]] = frozenset({"counts"})

    def yields(self) -> tuple[str, ...]:
        """Name the energy under each model; that of the first has no suffix."""
        return ("energy", *(f"energy_{_name(given)}" for given in self.models[1:]))

    def problems(self, host: Host) -> Iterable[Problem]:
        """Return what is wrong with the models."""
        first: dict[str, int] = {}
        for index, given in enumerate(self.models):
            _, found = read_component(given, _KIND, host)
            yield from (replace(problem, where=("models", index, *problem.where)) for problem in found)
            if not found and first.setdefault(_name(given), index) != index:
                hint = f"first as models.{first[_name(given)]}"
                yield Problem(("models", index), f"{_name(given)!r} is named twice", hint)

    def components(self, host: Host) -> tuple[EnergyModel, ...]:
        """Return the models; raise InputError where one is wrong."""
        for problem in self.problems(host):
            where = ".".join(map(str, problem.where))
            raise InputError(
                f"metric 'energy': {where}: {problem.what}" + (f"; {problem.hint}" if problem.hint else "")
            )
        return tuple(read_component(given, _KIND, host)[0] for given in self.models)

    def measure(self, network: Network, bench: Bench) -> Mapping[str, Measurement]:
        """Apply every model to the operations of the test split."""
        models = self.components(network.host)
        counts = counts_of(network, bench)
        entries = [_entry(model, counts) for model in models]
        measured = {
            value: Measurement(
                value=entry["mj"],
                unit="mJ per sample",
                how=f"model {entry['name']!r}, {entry['scope']}; {over(counts)}",
                better="lower",
            )
            for value, entry in zip(self.yields(), entries, strict=True)
        }
        return measured | {"energy": measured["energy"].model_copy(update={"detail": {"models": entries}})}


def _name(given: _Given) -> str:
    return given if isinstance(given, str) else str(given.get("use", ""))


def _entry(model: EnergyModel, counts: OperationCounts) -> dict[str, Any]:
    settings: Any = model
    parts = dict(model.energy(counts))
    return {
        "name": model.use,
        "mj": sum(parts.values()),
        "parts": parts,
        "layers": {path: sum(model.energy(alone).values()) for path, alone in _by_layer(counts).items()},
        "scope": model.scope,
        "source": model.source,
        "settings": settings.canonical(),
    }


def _by_layer(counts: OperationCounts) -> dict[str, OperationCounts]:
    """Return the counts of each module alone."""
    paths = dict.fromkeys(row.path for row in counts.rows)
    return {
        path: counts.model_copy(update={"rows": tuple(row for row in counts.rows if row.path == path)})
        for path in paths
    }
