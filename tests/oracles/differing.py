"""Three small networks that NeuroBench and this project classify by different rules, with what each must say."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from oracles.single_layers import filled
from spikingjelly.activation_based import functional, layer, neuron
from spikingjelly.activation_based.ann2snn import modules
from torch import Tensor, nn
from torch.utils.data import TensorDataset

from snncompress import Data, Host, Inputs, Network, OperationCounts, Time
from snncompress.measure import DataBench
from snncompress.network.source import InHand

STILL = Time("none", input="static", output="averaged")
ONE_STEP = Time("multi_step", T=1)
SPIKES = torch.tensor([[[1.0, 1, 0, 1]]])
"""x_BCL [1, 1, 4]: three spikes."""


@dataclass(frozen=True)
class Difference:
    """A network, its input, and (accumulates, multiply-accumulates) of one sample by either rule."""

    name: str
    build: Callable[[], nn.Module]
    time: Time
    neurobench: tuple[int, int]
    snncompress: tuple[int, int]


class CalledTwice(nn.Module):
    """A layer that gets spikes once, and twos once: a residual stream that sums up."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = filled(nn.Linear(4, 3))

    def forward(self, x_BCL: Tensor) -> Tensor:
        x_BL = x_BCL.flatten(1)
        return self.fc(x_BL) + self.fc(2 * x_BL)


def pooled() -> nn.Module:
    """Return spikes, their means over pairs (1 and 1/2), and a layer."""
    return multi_step(layer.AvgPool1d(2), layer.Flatten(), filled(layer.Linear(2, 3)))


def scaled() -> nn.Module:
    """Return spikes of height 1/2, as a converted network has them, and a layer."""
    return multi_step(modules.VoltageScaler(0.5), layer.Flatten(), filled(layer.Linear(4, 3)))


def multi_step(*parts: nn.Module) -> nn.Module:
    """Return neurons that fire where their input is 1, and what follows them."""
    chain = nn.Sequential(neuron.IFNode(), *parts)
    functional.set_step_mode(chain, "m")
    return chain


DIFFERENCES = (
    Difference("average-pooled spikes", pooled, ONE_STEP, neurobench=(0, 2 * 3), snncompress=(3 * 3, 0)),
    Difference("spikes times a declared scale", scaled, ONE_STEP, neurobench=(0, 3 * 3), snncompress=(3 * 3, 0)),
    Difference("spikes once, integers once", CalledTwice, STILL, neurobench=(9, 9), snncompress=(0, 18)),
)


def count(module: nn.Module, x_B: Tensor, time: Time, host: Host) -> OperationCounts:
    """Return this project's counts of a module in hand on still images."""
    split = TensorDataset(x_B, torch.zeros(len(x_B), dtype=torch.int64))
    data = Data(split, split, split, Inputs(tuple(x_B.shape[1:]), 0))
    network = Network(module.eval(), time, InHand(module, time, {}), host)
    return DataBench(data, host.catalogue["encoders"]["direct"](), 0).observe(network, "counts").counts
