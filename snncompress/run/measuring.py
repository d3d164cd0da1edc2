"""Measuring a network by what a user calls it, without a pipeline."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from snncompress.pipeline import read_parts
from snncompress.plan.reference import open_reference
from snncompress.plugins import Host
from snncompress.run.result import require_device
from snncompress.run.watch import Watch

if TYPE_CHECKING:
    from snncompress.network import Network
    from snncompress.record import Measurement


def measure_reference(
    reference: str,
    host: Host,
    *,
    data: str,
    metrics: Sequence[str] = (),
    encode: str = "direct",
    against: str | None = None,
    timesteps: int | None = None,
    seed: int = 0,
    device: str = "cpu",
    allow_code: bool = False,
) -> dict[str, Measurement]:
    """Measure an artifact folder, a run folder or a model reference on the test split of a data set.

    Args:
        reference: the network.
        host: the plugins.
        data: the data set, as a pipeline's ``data:`` has it.
        metrics: metrics, each as an entry of a pipeline's ``measure:``; all that need no baseline by default.
        encode: the encoder, as a pipeline's ``encode:`` has it.
        against: the uncompressed network, which ``latency`` is compared with.
        timesteps: T of a model reference.
        seed: seed of everything random, the split of the data among it.
        device: ``cpu`` or ``cuda``.
        allow_code: whether a user's own code may run.
    """
    from snncompress.measure import METRICS, measured, num_measured
    from snncompress.measure.values import samples_of
    from snncompress.run.generators import derived_seed, seed_everything

    require_device(device)
    wanted = metrics or METRICS
    texts = {"data": data, "encode": encode, "measure": f"[{', '.join(wanted)}]"}
    asked = read_parts(texts, host)
    inputs = asked.data.inputs()

    def opened(name: str) -> Network:
        seed_everything(derived_seed(seed, "model"))  # an untrained model is that of a pipeline with this seed
        network = open_reference(name, host, inputs, allow_code=allow_code, timesteps=timesteps)
        network.module.to(device)
        return network

    network, baseline = opened(reference), opened(against) if against else None
    samples, watch = samples_of(asked.data, seed), Watch()
    watch.measuring([metric.use for metric in asked.measure], num_measured(asked.measure, samples.test))
    try:
        return measured(
            network, samples, asked.encode, asked.measure, seed=seed, baseline=baseline, told=watch.measured
        )
    finally:
        watch.close()
