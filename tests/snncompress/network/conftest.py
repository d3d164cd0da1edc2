import pytest
import torch
from own_networks import JellyNet, LoopNet, jelly_chain

from snncompress import Host, Time, declare


@pytest.fixture(scope="session")
def host():
    return Host.from_environment()


@pytest.fixture
def jelly(host):
    """A SpikingJelly network of a user whose norms have seen data and whose neurons fire."""
    torch.manual_seed(0)
    module = JellyNet()
    network = declare(module, Time("multi_step", 4), host=host)
    module.train()
    for _ in range(30):
        network.forward(torch.rand(4, 32, 1, 8, 8) * 2)
        network.reset()
    module.eval()
    return network


@pytest.fixture
def loop(host):
    """A snnTorch network of a user that loops in forward."""
    torch.manual_seed(0)
    time = Time("inside", 6, input="static", records=("output", "membranes"), attribute="num_steps")
    return declare(LoopNet(), time, host=host)


@pytest.fixture
def chain(host):
    torch.manual_seed(1)
    module = jelly_chain()
    return declare(module, Time("multi_step", 3), build=jelly_chain, host=host)
