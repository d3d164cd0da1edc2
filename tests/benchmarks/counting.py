"""What counting costs: a pass with all five counts against a plain pass, interleaved, on a live network.

Run ``python tests/benchmarks/counting.py [--pairs N] [--batch B]``. The network is SpikingJelly's Spikformer, 128 wide with
two blocks, T = 4, on 32x32 images, its norms calibrated so that every layer fires. SpikingJelly's own counter of synaptic
operations is timed beside it.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import time
from collections.abc import Callable

import torch
from spikingjelly.activation_based import op_counter
from torch import Tensor

from snncompress import Host, Inputs, Network
from snncompress.measure.counting.counter import Counter
from snncompress.network import open_architecture

T = 4


def live_spikformer(width: int, batch: int) -> tuple[Network, Tensor]:
    """Return a Spikformer whose neurons fire, and a batch x_TBCHW."""
    host = Host.from_environment()
    settings = host.catalogue["architectures"]["spikingjelly.spikformer"](embed_dims=width, depths=2, num_heads=4)
    torch.manual_seed(0)
    network = open_architecture(settings.resolved(Inputs((3, 32, 32), 10), T), host, timesteps=T)
    x = torch.rand(batch, 3, 32, 32).expand(T, batch, 3, 32, 32).contiguous()
    network.module.train()
    with torch.no_grad():
        for part in network.module.modules():
            if isinstance(part, torch.nn.modules.batchnorm._BatchNorm):
                part.momentum = None  # the statistics of what it has seen, whole
        network.forward(x)
    network.reset()
    network.module.eval()
    return network, x


def seconds(work: Callable[[], object]) -> float:
    """Return how long ``work`` took."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def main() -> None:
    """Time pairs and print their ratios."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--pairs", type=int, default=11)
    parser.add_argument("--batch", type=int, default=64)
    given = parser.parse_args()
    network, x = live_spikformer(128, given.batch)
    counter = Counter(network)

    def plain() -> None:
        network.forward(x)
        network.reset()

    def counted() -> None:
        with counter.counting(x, repeats=True):
            network.forward(x)
        network.reset()

    def theirs() -> None:
        with op_counter.DispatchCounterMode([op_counter.SynOpCounter()]):
            network.forward(x)
        network.reset()

    with torch.no_grad():
        plain(), counted(), theirs()
        rounds = [(seconds(plain), seconds(counted), seconds(theirs)) for _ in range(given.pairs)]
    counts = counter.result()
    silent = [row.path for row in counts.of("synapse") if not sum(row.pairs)]
    assert not silent, f"nothing fires before {silent}"
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, {torch.get_num_threads()} threads")
    print(
        f"batch {given.batch}, plain pass {statistics.median(one for one, _, _ in rounds):.2f} s (median of {given.pairs})"
    )
    for name, ratios in (
        ("all five counts", [other / one for one, other, _ in rounds]),
        ("SpikingJelly's SynOpCounter", [other / one for one, _, other in rounds]),
    ):
        low, high = min(ratios), max(ratios)
        print(f"{name}: {statistics.median(ratios):.2f} times a plain pass (median; {low:.2f} to {high:.2f})")
    print(f"synops {counts.synops:,.1f}, macs {counts.macs:,.1f}, attention {counts.attention_ops:,.1f} a sample")


if __name__ == "__main__":
    main()
