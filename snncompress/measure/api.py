"""Measuring a network in hand: ``snncompress.measure(network, data, metrics)``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, cast

from torch.utils.data import DataLoader

from snncompress.arguments import whole_number
from snncompress.components import Data, Encoder, Inputs, Metric
from snncompress.errors import DataError, InputError
from snncompress.measure.bench import DataBench, batch_size_of, loader_of, needs_of
from snncompress.measure.gate import Batches, first_of, require_no_arrays
from snncompress.measure.values import samples_of, values_of
from snncompress.network import Network, leaving_generators, require_declared
from snncompress.network.finite import require_finite
from snncompress.network.transforms import needs_a_batch
from snncompress.network.weight_hooks import require_plain
from snncompress.pipeline import entries_of, parts_from
from snncompress.plugins import Host
from snncompress.record import Measurement

METRICS = ("accuracy", "parameters", "sparsity", "size", "spikes", "synops", "energy")
"""What is measured where nothing else is asked for."""

_BATCH_SIZE = 250


def measure(
    network: Network,
    data: Any,
    metrics: Sequence[Any] | str | Mapping[str, Any] = METRICS,
    *,
    encode: Any = "direct",
    kind: str = "static",
    seed: int = 0,
    batch_size: int | None = None,
    baseline: Network | None = None,
) -> dict[str, Measurement]:
    """Measure a network without a pipeline, in one pass over the samples.

    Args:
        network: what is measured; it is left as it was.
        data: the samples to measure on: a DataLoader or a data set of (x, y), three of them of which the last is taken, or
            a data set of a pipeline, by name or as a mapping with ``use``.
        metrics: metrics of a pipeline, each by name or as a mapping with ``use``, or a single one.
        encode: how a still image becomes time steps.
        kind: ``static`` for x_B..., ``frames`` for event frames x_BT...; a data set of a pipeline knows its own.
        seed: seed of everything random.
        batch_size: samples of a batch, 250 by default; a loader decides itself.
        baseline: the uncompressed network, which ``latency`` is compared with.

    Returns:
        Measurements by the names of the values, in the order of the metrics.

    Raises:
        InputError: if a metric, an encoder or a data set is not known, or wrong.
        CountError: if operations cannot be counted exactly.
    """
    require_declared(network, "measure")
    if baseline is not None:
        require_declared(baseline, "measure(baseline=)")
    whole_number(seed, "seed", 0)
    if batch_size is not None:
        whole_number(batch_size, "batch_size", 1)
    host = network.host
    asked = parts_from({"encode": encode, "measure": entries_of(metrics)}, host)
    samples = _samples_of(data, kind, host, seed)
    decided = batch_size_of(samples.test)
    if batch_size is not None and decided not in (None, batch_size):
        raise InputError(f"batch_size is {batch_size}, but the loader decides, and its batches have {decided} samples")
    size = batch_size or _BATCH_SIZE
    return measured(network, samples, asked.encode, asked.measure, seed=seed, batch_size=size, baseline=baseline)


def measured(
    network: Network,
    samples: Data,
    encoder: Encoder,
    metrics: Sequence[Metric],
    *,
    seed: int,
    batch_size: int = _BATCH_SIZE,
    baseline: Network | None = None,
    told: Callable[[int, int], None] | None = None,
) -> dict[str, Measurement]:
    """Return what metrics that have been read say of a network on the test split of ``samples``; see ``measure``."""
    bench = DataBench(
        samples,
        encoder,
        seed,
        batch_size=batch_size,
        device=str(network.device),
        wanted=needs_of(metrics),
        uncompressed=None if baseline is None else lambda: baseline,
        told=told,
    )
    require_plain(network.module, "the network")
    require_finite(network.module, "the network")
    network = _probed(network, bench)
    found: dict[str, Measurement] = {}
    for metric in metrics:
        found |= values_of(metric, partial(metric.measure, network, bench), network.host)
    return found


def _probed(network: Network, bench: DataBench) -> Network:
    """Return the network with a batch to look at where its shapes do not tell which of its parameters are weights."""
    if network.probe is not None or not needs_a_batch(network):
        return network
    with leaving_generators():
        x_B, _ = next(iter(bench.batches("test")))
        return network.with_probe(bench.encode(network, x_B, bench.generator()))


def _samples_of(data: Any, kind: str, host: Host, seed: int) -> Data:
    """Return splits whose test split is what ``data`` names or holds."""
    if isinstance(data, (str, Mapping)):
        return samples_of(parts_from({"data": data}, host).data, seed)
    if kind not in ("static", "frames"):
        raise InputError(f"kind must be 'static' or 'frames', not {kind!r}")
    require_no_arrays(data, "data")
    split = data[-1] if isinstance(data, (tuple, list)) and data else data
    require_no_arrays(split, "data")
    samples = split.dataset if isinstance(split, DataLoader) else split
    if not hasattr(samples, "__getitem__") or not hasattr(samples, "__len__") or not len(samples):
        raise DataError(
            "data must be a DataLoader or a data set of (x, y) with a length, samples by number, and at least one"
        )
    inputs = Inputs((), 0, cast("Any", kind))  # the number of classes is what the network tells apart
    x_B, _ = first_of(Batches(loader_of(split, 2, shuffle=False), "test", inputs))
    return Data(split, split, split, replace(inputs, shape=tuple(x_B.shape[1:])))
