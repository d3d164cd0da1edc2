import pytest
import torch
from own_networks import IntegrateNet
from torch import nn
from torch.utils.data import TensorDataset

from snncompress import Data, Inputs, Time, declare
from snncompress.measure import DataBench
from snncompress.network import InHand, Network


@pytest.fixture
def bench_of(host):
    """Return a function that makes a bench of test samples and labels."""

    def make(x_B, labels_B, **settings):
        split = TensorDataset(torch.as_tensor(x_B, dtype=torch.float32), torch.as_tensor(labels_B))
        inputs = Inputs(tuple(split.tensors[0].shape[1:]), 0)
        return DataBench(Data(split, split, split, inputs), host.catalogue["encoders"]["direct"](), 0, **settings)

    return make


@pytest.fixture
def linear(host):
    """A linear network of known weights: the logits are the three inputs themselves, class by class."""
    module = nn.Sequential(nn.Flatten(), nn.Linear(3, 3))
    with torch.no_grad():
        module[1].weight.copy_(torch.eye(3))
        module[1].bias.zero_()
    time = Time("none", 1, output="averaged", input="static", settable=False)
    return Network(module, time, InHand(module, time, {"use": "python"}), host)


@pytest.fixture
def integrate(host):
    return declare(IntegrateNet(), Time("multi_step", 4), host=host)
