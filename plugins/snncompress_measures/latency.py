"""How long a network takes on this machine, against the uncompressed one."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from statistics import median
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from snncompress import Bench, Count, Measurement, Settings
from snncompress_measures.timing import Pairs, processor, timed_pairs

if TYPE_CHECKING:
    from torch import Tensor

    from snncompress import Network

_WARM_UP = 3


class Latency(Settings):
    """Time the network on this machine, in turn with the uncompressed one, in one process.

    The ratio means more than the milliseconds: whatever else the machine does falls on both. A masked network takes as
    long as a dense one: a CPU or GPU multiplies the zeros too.
    """

    use: Literal["latency"] = "latency"
    batch_size: Count = Field(32, description="Test samples that are computed at once.")
    repeats: Count = Field(
        15, description="Pairs that are timed; every other one begins with the uncompressed network."
    )

    needs: ClassVar[frozenset[str]] = frozenset()
    compares: ClassVar[bool] = True

    def yields(self) -> tuple[str, ...]:
        """Name the time and the ratio."""
        return "latency_ms", "latency_ratio"

    def measure(self, network: Network, bench: Bench) -> Mapping[str, Measurement]:
        """Run one batch of the test split again and again."""
        from snncompress import leaving_generators

        with leaving_generators():
            x_B = _first_samples(bench, self.batch_size)
            pairs = _timed(network, bench.baseline(), bench, x_B, self.repeats)
        return _measurements(pairs, len(x_B), _machine(network))


def _measurements(pairs: Pairs, samples: int, machine: str) -> dict[str, Measurement]:
    """Return the median time of a sample and the median ratio, from the times of batches of ``samples``."""
    milliseconds, baseline_milliseconds = (
        [1e3 * seconds / samples for seconds in times] for times in (pairs.seconds, pairs.baseline_seconds)
    )
    how = f"median of {len(milliseconds)} runs of {samples} test samples at once after {_WARM_UP} to warm up; {machine}"
    against = "each beside a run of the uncompressed network in the same process"
    if pairs.ratio is None:
        against = "the uncompressed network is not known, so there is no ratio"
    detail = {
        "ratios": list(pairs.ratios),
        "milliseconds": milliseconds,
        "baseline_milliseconds": baseline_milliseconds,
    }
    return {
        "latency_ms": Measurement(
            value=median(milliseconds), unit="ms per sample", how=how, better="lower", comparable=False
        ),
        "latency_ratio": Measurement(
            value=pairs.ratio, unit="1", how=f"{how}; {against}", better="lower", detail=detail
        ),
    }


def _first_samples(bench: Bench, size: int) -> Tensor:
    import torch

    found: list[Tensor] = []
    for x_B, _ in bench.batches("test"):
        found.append(x_B[: size - sum(map(len, found))])
        if sum(map(len, found)) >= size:
            break
    return torch.cat(found)


def _timed(network: Network, baseline: Network | None, bench: Bench, x_B: Tensor, repeats: int) -> Pairs:
    import torch

    from snncompress import evaluating

    with ExitStack() as stack:
        stack.enter_context(torch.no_grad())
        calls: list[Callable[[], object] | None] = []
        for one in (network, baseline):
            if one is not None:
                stack.enter_context(evaluating(one.module))
                stack.callback(one.reset)
            calls.append(None if one is None else _run(one, bench.encode(one, x_B, bench.generator())))
        call, other = calls
        assert call is not None  # noqa: S101 - the network itself
        return timed_pairs(call, other, repeats=repeats, warm_up=_WARM_UP, clock=time.perf_counter)


def _run(network: Network, x: Tensor) -> Callable[[], object]:
    import torch

    def call() -> None:
        network.reset()
        network.forward(x)
        if network.device.type == "cuda":
            torch.cuda.synchronize(network.device)

    return call


def _machine(network: Network) -> str:
    import torch

    device: Any = network.device
    if device.type == "cuda":
        return f"{torch.cuda.get_device_name(device)}, torch {torch.__version__}"
    return f"{processor()}, {torch.get_num_threads()} thread(s), torch {torch.__version__}"
