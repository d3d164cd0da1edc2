"""The three networks that two programs count, built alike on every machine.

Weights and inputs come from NumPy's default generator, and the networks run in float64: another summation order moves a
potential by some 1e-15, and no spike flips unless a potential comes that near to its threshold.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import TensorDataset

from snncompress import Data, Host, Inputs, Network
from snncompress.measure import DataBench
from snncompress.network import open_architecture
from snncompress.network.proof import spike_trains

NUM_CLASSES = 10
BATCH_SIZE = 4
CALIBRATION_SAMPLES = 16


@dataclass(frozen=True)
class Case:
    """A network, what it is given, and how much of it is pruned.

    Attributes:
        name: under which its numbers are kept.
        use: the architecture.
        settings: of the architecture.
        shape: [C, H, W] of one image.
        timesteps: T.
        samples: images to count.
        gain: scale of the weights; norms undo it where there are any.
    """

    name: str
    use: str
    settings: tuple[tuple[str, object], ...]
    shape: tuple[int, int, int] = (3, 32, 32)
    timesteps: int = 4
    samples: int = 8
    gain: float = 1.0


CASES = (
    Case(
        "spikformer",
        "spikingjelly.spikformer",
        (("embed_dims", 64), ("depths", 2), ("num_heads", 4), ("patch_size", 4)),
    ),
    Case("sew_resnet18", "spikingjelly.sew_resnet", (("layers", 18),), (3, 64, 64)),
    Case("snntorch_convnet", "snntorch.convnet", (("channels", [12, 64]),), (1, 28, 28), samples=16, gain=0.5),
)
FRACTIONS = (0.0, 0.9)
"""Parts of all weights that are set to zero: dense, and 90 % by global magnitude."""


def live_network(case: Case, fraction: float, host: Host) -> Network:
    """Return a network in float64 whose norms have seen data and whose neurons all fire."""
    settings = host.catalogue["architectures"][case.use](**dict(case.settings))
    resolved = settings.resolved(Inputs(case.shape, NUM_CLASSES), case.timesteps)
    network = open_architecture(resolved, host).copy()
    backend = network.owners.owned[0].backend
    backend.to_float64(network.module)
    draw_parameters(network.module, case.gain)
    prune_globally(network.module, fraction)
    calibrate_norms(network, images(case, CALIBRATION_SAMPLES, seed=1))
    require_spikes(network, images(case, BATCH_SIZE, seed=2))
    return network


def bench(case: Case, host: Host) -> DataBench:
    """Return the images of a case, presented at each step."""
    split = TensorDataset(images(case, case.samples, seed=2), torch.arange(case.samples) % NUM_CLASSES)
    data = Data(split, split, split, Inputs(case.shape, NUM_CLASSES))
    return DataBench(data, host.catalogue["encoders"]["direct"](), 0, batch_size=BATCH_SIZE)


def images(case: Case, count: int, seed: int) -> Tensor:
    """Return x_BCHW in 0..1, a third of it exactly zero."""
    drawn = np.random.default_rng(seed).random((count, *case.shape))
    return torch.from_numpy(np.maximum(0, 1.5 * drawn - 0.5))


def draw_parameters(module: nn.Module, gain: float) -> None:
    """Fill weights with normal numbers, norms with scales about 1 and shifts about 0.5.

    The weights' spread falls only with the fourth root of the fan-in, so that global pruning empties no layer.
    """
    generator = np.random.default_rng(0)
    with torch.no_grad():
        for part in synapses_and_norms(module):
            fan_in = part.weight[0].numel()
            middle, spread = (0.0, gain / fan_in**0.25) if part.weight.ndim > 1 else (1.0, 0.1)
            part.weight.copy_(normal(generator, part.weight, middle, spread))
            if part.bias is not None:
                part.bias.copy_(normal(generator, part.bias, 0.0 if part.weight.ndim > 1 else 0.5, 0.1))


def normal(generator: np.random.Generator, like: Tensor, mean: float, spread: float) -> Tensor:
    """Return normal numbers of the shape of ``like``."""
    return torch.from_numpy(mean + spread * generator.standard_normal(tuple(like.shape)))


def synapses_and_norms(module: nn.Module) -> Iterator[nn.Module]:
    """Yield the layers that hold weights, and the batch norms."""
    kinds = (nn.Linear, nn.modules.conv._ConvNd, nn.modules.batchnorm._BatchNorm)
    return (part for part in module.modules() if isinstance(part, kinds))


def prune_globally(module: nn.Module, fraction: float) -> None:
    """Write zeros into the ``fraction`` of all weights that is smallest; ties go by position."""
    weights = [part.weight for part in synapses_and_norms(module) if part.weight.ndim > 1]
    order = torch.argsort(torch.cat([weight.detach().abs().flatten() for weight in weights]), stable=True)
    removed = torch.zeros_like(order, dtype=torch.bool)
    removed[order[: round(fraction * len(order))]] = True
    with torch.no_grad():
        for weight, part in zip(weights, removed.split([weight.numel() for weight in weights]), strict=True):
            weight.masked_fill_(part.view_as(weight), 0)


def calibrate_norms(network: Network, x_BCHW: Tensor) -> None:
    """Set every norm to the statistics of one training-mode pass."""
    norms = [part for part in network.module.modules() if isinstance(part, nn.modules.batchnorm._BatchNorm)]
    kept = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 1.0
    with torch.no_grad():
        network.module.train()
        network.reset()
        network.forward(x_BCHW.expand(network.time.T, *x_BCHW.shape))
        network.reset()
        network.module.eval()
    for norm, momentum in zip(norms, kept, strict=True):
        norm.momentum = momentum


def require_spikes(network: Network, x_BCHW: Tensor) -> None:
    """Refuse a network in which a layer is silent: it would prove nothing."""
    _, trains = spike_trains(network, x_BCHW.expand(network.time.T, *x_BCHW.shape))
    silent = [path for path, spikes in trains.items() if not spikes.any()]
    assert not silent, f"silent layers: {', '.join(silent)}"
