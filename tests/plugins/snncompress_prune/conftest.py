import pytest
import torch
from own_networks import JellyNet

from snncompress import Time, declare


@pytest.fixture(scope="session")
def fresh(host):
    torch.manual_seed(0)
    module, time = JellyNet(hidden=24), Time("multi_step", 2)
    return declare(module, time, arguments={"hidden": 24}, head=("fc2",), host=host).with_snapshot("init")


@pytest.fixture(scope="session")
def train_step(host):
    settings = {"epochs": 3, "lr": 0.01, "batch_size": 250, "snapshots": (0, 1), "weight_decay": 0.05}
    return host.catalogue["strategies"]["train"](**settings, warmup_epochs=1)


@pytest.fixture(scope="session")
def trained(fresh, train_step, new_run):
    """A network after three epochs on the digits, with the snapshots init, epoch-0 and epoch-1."""
    torch.manual_seed(1)
    return train_step.apply(fresh, new_run(fresh))
