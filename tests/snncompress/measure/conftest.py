import pytest
import torch
from torch.utils.data import TensorDataset

from snncompress import Data, Host, Inputs, Time
from snncompress.measure import DataBench
from snncompress.network import InHand, Network


class AsGiven:
    """Hand a network the samples [B, T, ...] time first, whatever their shape."""

    use = "direct"

    def encode(self, x_BT, timesteps, generator):
        return x_BT.transpose(0, 1)


@pytest.fixture(scope="session")
def host():
    return Host.from_environment()


@pytest.fixture
def network_of(host):
    """Return a function that makes a network of any module."""

    def make(module, runner="multi_step", timesteps=2, **settings):
        if runner == "none":
            settings = {"output": "averaged", "input": "static", "settable": False} | settings
        time = Time(runner, 1 if runner == "none" else timesteps, **settings)
        return Network(module.eval(), time, InHand(module, time, {"use": "python"}), host)

    return make


@pytest.fixture
def observed(network_of):
    """Return a function that runs a module over samples x_TB... (x_B... for an ANN) and says what was observed."""

    def observe(module, x, runner="multi_step", batch_size=250, needs=("counts", "activity"), **settings):
        static = runner == "none" or settings.get("input") == "static"
        timesteps = settings.pop("timesteps", 1 if static else x.shape[0])
        x_B = x if static else x.transpose(0, 1)
        split = TensorDataset(x_B, torch.zeros(len(x_B), dtype=torch.long))
        data = Data(split, split, split, Inputs((), 0))
        network = network_of(module, runner, timesteps, **settings)
        return DataBench(data, AsGiven(), 0, batch_size=batch_size).observe(network, *needs)

    return observe


@pytest.fixture
def counted(observed):
    """Return a function that counts the operations of a module."""
    return lambda module, x, *arguments, **settings: observed(module, x, *arguments, **settings).counts
