"""What cutting structure saves: operations beside time, for the blocks of a Spikformer and for the whole network.

Run ``python tests/benchmarks/structure.py [--rounds N] [--fraction F]``. A live Spikformer 128 wide with two blocks is cut by
``prune.dsp``, then its stem too, by ``prune.dsp`` in its chains and by ``prune.channels``. Uncut and cut networks run in turn
in one process, evaluation without gradients, as their library runs them; ratios are taken round by round, and median and
quartiles printed. A network's blocks are timed on what the uncut stem gives them. Times decide nothing.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from speed_cases import CASES, live
from torch.utils.data import TensorDataset

from snncompress import Data, Inputs, Network
from snncompress.measure import DataBench
from snncompress.measure.memory import freed_memory_kept
from snncompress.run.session import StepRun
from snncompress.run.watch import Watch


def compressed(network: Network, bench: DataBench, use: str, **settings: Any) -> Network:
    """Return the network after one step without training."""
    strategy = network.host.catalogue["strategies"][use](**settings)
    with tempfile.TemporaryDirectory() as folder:
        run = StepRun(seed=0, earlier=(), bench=bench, folder=Path(folder), network=network, watch=Watch(silent=True))
        after: Network = strategy.apply(network, run)
    return after


def bench_of(network: Network, x_BCHW: torch.Tensor) -> DataBench:
    """Return the images as a data set."""
    split = TensorDataset(x_BCHW, torch.arange(len(x_BCHW)) % 10)
    data = Data(split, split, split, Inputs(tuple(x_BCHW.shape[1:]), 10))
    return DataBench(data, network.host.catalogue["encoders"]["direct"](), 0)


def operations(network: Network, bench: DataBench) -> tuple[float, float]:
    """Return dense operations of one sample: of the blocks, and of all."""
    counts = bench.observe(network, "counts").counts
    assert counts is not None
    known = [(row.path, sum(row.dense)) for kind in ("synapse", "attention") for row in counts.of(kind)]
    return sum(ops for path, ops in known if path.startswith("blocks.")), sum(ops for _, ops in known)


def forward_of(network: Network, x_TBCHW: torch.Tensor, *, blocks_alone: bool) -> Callable[[], object]:
    """Return what is timed."""

    def whole() -> None:
        with torch.no_grad():
            network.forward(x_TBCHW)
        network.reset()

    module: Any = network.module
    with torch.no_grad():
        stem = module.patch_embed(x_TBCHW)
    network.reset()

    def alone() -> None:
        value = stem
        with torch.no_grad():
            for block in module.blocks:
                value = block(value)
        network.reset()

    return alone if blocks_alone else whole


def ratios(works: dict[str, Callable[[], object]], rounds: int) -> dict[str, tuple[float, float, float]]:
    """Return quartiles of each work's time as a part of the first one's, run in turn."""
    taken: dict[str, list[float]] = {name: [] for name in works}
    for number in range(rounds + 2):
        for name, work in works.items():
            started = time.perf_counter()
            work()
            if number >= 2:  # the first rounds touch memory anew
                taken[name].append(time.perf_counter() - started)
    first = next(iter(taken.values()))
    found = {}
    for name, times in taken.items():
        low, middle, high = statistics.quantiles([one / other for one, other in zip(times, first, strict=True)], n=4)
        found[name] = (low, middle, high)
    return found


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--fraction", type=float, default=0.5)
    given = parser.parse_args()
    subject = live(CASES["spikformer-128x2"], 64)
    network = subject.network.with_probe(subject.x_TBCHW[:, :8])
    network.module.eval()
    bench = bench_of(network, subject.x_TBCHW[0, :8])
    cut = compressed(network, bench, "prune.dsp", fraction=given.fraction)
    networks = {
        "uncut": network,
        "blocks cut": cut,
        "blocks and chains of the stem cut": compressed(cut, bench, "prune.dsp", fraction={"chain": given.fraction}),
        "blocks and channels of the stem cut": compressed(
            cut, bench, "prune.channels", fraction=given.fraction, select=["stem"]
        ),
    }
    counted = {name: operations(one, bench) for name, one in networks.items()}
    for place, column in (("the blocks", 0), ("the whole network", 1)):
        works = {
            name: forward_of(one, subject.x_TBCHW, blocks_alone=not column)
            for name, one in networks.items()
            if column or "stem" not in name
        }
        with freed_memory_kept():
            found = ratios(works, given.rounds)
        print(f"{place}: part of the uncut network's dense operations, and of its time (quartiles)")
        for name, (low, middle, high) in found.items():
            part = counted[name][column] / counted["uncut"][column]
            size = sum(value.numel() for value in networks[name].module.parameters())
            print(f"  {name:36s} {size:9,} parameters  {part:.3f}  {middle:.3f} ({low:.3f} to {high:.3f})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
