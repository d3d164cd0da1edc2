"""What the framework costs: its training beside a loop written by hand, interleaved batch by batch in one process.

Run ``python tests/benchmarks/framework.py [--epochs N]``. Both train SpikingJelly's Spikformer, 64 wide with two blocks, T = 4,
on the digits at 16x16 in batches of 50: the same loss, optimiser, schedule and order of samples, validation in neither. The
framework holds masks over 90 % of the synaptic weights, writes a checkpoint after each epoch and shows its progress; the loop
does none of it. Before that, without masks, both must end with the same bits. Processor time leaves out the waiting for the
disk, and is the steadier one where other programs run.
"""

from __future__ import annotations

import argparse
import io
import math
import os
import platform
import statistics
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from spikingjelly.activation_based import functional
from torch import Tensor, nn

from snncompress import Data, Host, Network, Training
from snncompress.measure import DataBench
from snncompress.network import open_architecture
from snncompress.run.training import train
from snncompress.run.watch import Watch

T = 4
CLOCKS = {"time": time.perf_counter, "processor time": time.process_time}
Seconds = dict[str, tuple[float, float]]
"""By clock, what an epoch of the framework took, and one of the loop."""


class Bare:
    """Train a module as one would without any framework."""

    def __init__(self, module: nn.Module, images: Tensor, labels: Tensor, training: Training) -> None:
        self.module, self.images, self.labels, self.training = module, images, labels, training
        self.num_batches = math.ceil(len(labels) / training.batch_size)
        self.updates = 0
        values = list(module.parameters())
        self.optimizer = torch.optim.AdamW(
            [
                {"params": [value for value in values if value.dim() > 1], "weight_decay": training.weight_decay},
                {"params": [value for value in values if value.dim() <= 1], "weight_decay": 0.0},
            ],
            lr=training.lr,
        )

    def lr(self) -> float:
        """Return the rate of the next update: it rises over the first epoch, then falls along a cosine."""
        highest, rising = self.training.lr, self.num_batches
        if self.updates < rising:
            lowest = highest / (rising + 1)
            return lowest + self.updates * (highest - lowest) / rising
        falling = self.training.epochs * self.num_batches - rising
        return 0.5 * highest * (1 + math.cos(math.pi * (self.updates - rising) / falling))

    def step(self, rows: list[int]) -> float:
        """Train on these rows of the data; return the loss."""
        self.module.train()
        for group in self.optimizer.param_groups:
            group["lr"] = self.lr()
        self.updates += 1
        x_TBCHW = self.images[rows].unsqueeze(0).expand(T, -1, -1, -1, -1)
        loss = nn.functional.cross_entropy(self.module(x_TBCHW).mean(0), self.labels[rows])
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        functional.reset_net(self.module)
        return loss.item()


class Interleaved:
    """Be the training data of the framework: before it gets a batch, the loop trains on the same."""

    def __init__(self, split: Any, bare: Bare) -> None:
        self.split, self.bare = split, bare
        self.of_loop = [dict.fromkeys(CLOCKS, 0.0)]

    def __len__(self) -> int:
        return len(self.split)

    def __getitems__(self, rows: list[int]) -> Any:
        started = now()
        self.bare.step(rows)
        for clock, taken in since(started).items():
            self.of_loop[-1][clock] += taken
        return self.split.__getitems__(rows)


class Timed(Watch):
    """Take the seconds of every epoch, without those of the loop."""

    def __init__(self, data: Interleaved) -> None:
        super().__init__(io.StringIO())
        self.data = data
        self.seconds: list[Seconds] = []
        self.started = now()

    def epoch(self, label: str, number: int, of: int, report: str) -> None:
        """Show it as ever; then the next epoch begins."""
        super().epoch(label, number, of, report)
        loop = self.data.of_loop[-1]
        self.seconds.append({clock: (taken - loop[clock], loop[clock]) for clock, taken in since(self.started).items()})
        self.data.of_loop.append(dict.fromkeys(CLOCKS, 0.0))
        self.started = now()


def now() -> dict[str, float]:
    """Read every clock."""
    return {name: clock() for name, clock in CLOCKS.items()}


def since(started: dict[str, float]) -> dict[str, float]:
    """Return the seconds since then, by every clock."""
    return {name: value - started[name] for name, value in now().items()}


def spikformer(host: Host, data: Data) -> Network:
    """Return a Spikformer 64x2 for these data."""
    settings = host.catalogue["architectures"]["spikingjelly.spikformer"](embed_dims=64, depths=2, num_heads=4)
    torch.manual_seed(0)
    return open_architecture(settings.resolved(data.inputs, T), host, timesteps=T)


def both(network: Network, bench: DataBench, training: Training) -> tuple[Network, Bare, list[Seconds]]:
    """Train ``network`` by the framework and a copy by the loop; return both, and the seconds of each epoch."""
    images, labels = bench.data.train.__getitems__(range(len(bench.data.train)))
    bare = Bare(network.copy().module, images, labels, training)
    data = Interleaved(bench.data.train, bare)
    bench = replace(bench, data=replace(bench.data, train=data))
    with tempfile.TemporaryDirectory() as folder:
        watch = Timed(data)
        trained, _ = train(network, training, bench=bench, folder=Path(folder), label="framework", watch=watch)
    return trained, bare, watch.seconds


def masks(network: Network, fraction: float) -> dict[str, Tensor]:
    """Return masks that remove ``fraction`` of every synaptic weight, drawn at random."""
    weights = {name: network.tensors[name] for name in network.inventory.weights(("synapse",))}
    return {name: torch.rand(value.shape) >= fraction for name, value in weights.items()}


def main() -> None:
    """Check that both do the same, then time epochs and print their ratios."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int, default=15)
    given = parser.parse_args()
    host = Host.from_environment()
    digits = host.catalogue["datasets"]["digits"](size=16)
    data = replace(digits.load(0), validation=[])
    bench = DataBench(data, host.catalogue["encoders"]["direct"](), seed=0)
    network = spikformer(host, data)

    trained, bare, _ = both(network, bench, Training(epochs=2, warmup_epochs=1))
    theirs = bare.module.state_dict()
    differing = [name for name, value in trained.tensors.items() if not torch.equal(value, theirs[name])]
    assert not differing, f"the two do not train alike: {differing} differ"

    masked = network.with_masks(masks(network, 0.9))
    _, bare, seconds = both(masked, bench, Training(epochs=given.epochs, warmup_epochs=1))
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, {torch.get_num_threads()} threads")
    for clock in CLOCKS:
        taken = [one[clock] for one in seconds]
        low, middle, high = statistics.quantiles([framework / loop for framework, loop in taken], n=4)
        print(
            f"{clock}: an epoch of the loop {statistics.median(loop for _, loop in taken):.3f} s, {bare.num_batches} batches; "
            f"of the framework {middle:.4f} times that (median of {len(taken)}; quartiles {low:.4f} to {high:.4f})"
        )


if __name__ == "__main__":
    main()
