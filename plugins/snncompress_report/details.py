"""What stands behind the numbers of a record: each detail read where it is there and has the form that we know."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from snncompress import Activity, Measurement, OperationCounts

Model = TypeVar("Model", bound=BaseModel)


class _Detail(BaseModel):
    model_config = ConfigDict(frozen=True)


class Energy(_Detail):
    """The energy of one sample under one model, in mJ: the whole, by part, and by module."""

    name: str
    mj: float
    parts: dict[str, float] = {}
    layers: dict[str, float] = {}
    scope: str = ""
    source: str = ""


class _Energies(_Detail):
    models: tuple[Energy, ...]


class _ByTime(_Detail):
    by_time: tuple[float, ...]


class Latency(_Detail):
    """Repeated timings, interleaved with the baseline's."""

    ratios: tuple[float, ...]
    milliseconds: tuple[float, ...] = ()
    baseline_milliseconds: tuple[float, ...] = ()


@dataclass(frozen=True)
class Side:
    """Everything known about one network, the baseline or the final one."""

    values: Mapping[str, Measurement]
    counts: OperationCounts | None
    activity: Activity | None
    energies: tuple[Energy, ...]
    accuracy_by_time: tuple[float, ...]
    latency: Latency | None

    def value(self, name: str) -> float | None:
        """Return a measured value, None where it was not measured."""
        return self.values[name].value if name in self.values else None


def side_of(values: Mapping[str, Measurement]) -> Side:
    """Read the details of one network's measurements; what is missing or has another form stays empty."""
    energies = _read(values, "energy", _Energies)
    by_time = _read(values, "accuracy", _ByTime)
    return Side(
        values=values,
        counts=_read(values, "synops", OperationCounts),
        activity=_read(values, "firing_rate", Activity),
        energies=energies.models if energies else (),
        accuracy_by_time=by_time.by_time if by_time else (),
        latency=_read(values, "latency_ratio", Latency),
    )


def _read(values: Mapping[str, Measurement], name: str, form: type[Model]) -> Model | None:
    detail = values[name].detail if name in values else None
    if detail is None:
        return None
    try:
        return form.model_validate(detail)
    except ValidationError:  # a metric of that name by someone else keeps other things behind its number
        return None
