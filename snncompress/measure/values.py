"""What data sets and metrics return, compared with what they must."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from snncompress.components import Data, Dataset, Metric
from snncompress.errors import DataError, StepError
from snncompress.plugins import Host, guarded, returned
from snncompress.record import Measurement


def samples_of(dataset: Dataset, seed: int) -> Data:
    """Return the splits of a data set; raise DataError where they cannot be had."""
    what = f"loading the data set {dataset.use!r}"
    return returned(guarded(lambda: dataset.load(seed), what, DataError), Data, what, DataError)


def values_of(metric: Metric, work: Callable[[], Any], host: Host) -> dict[str, Measurement]:
    """Return the values of a metric; raise StepError, naming its plugin, where they are not what it yields."""
    what = host.named("metrics", metric.use)
    values: Mapping[str, Any] = returned(guarded(work, what, StepError), Mapping, what, StepError)  # type: ignore[type-abstract]
    for name, value in values.items():
        returned(value, Measurement, f"{what}: {name!r}", StepError)
    if different := set(values) ^ set(metric.yields()):
        lacks = [name for name in metric.yields() if name in different]
        more = [name for name in values if name in different]
        parts = [f"returns {more}"] * bool(more) + [f"does not return {lacks}"] * bool(lacks)
        raise StepError(
            f"{what} yields {list(metric.yields())}, but {' and '.join(parts)}; its `yields` must name what it returns"
        )
    return dict(values)
