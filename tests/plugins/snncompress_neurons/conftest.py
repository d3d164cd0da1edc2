import pytest
import snntorch
import torch
from snntorch import surrogate
from torch import nn

from snncompress import Time, declare
from snncompress.network import open_architecture

T, B, SIDE = 3, 32, 8


@pytest.fixture(scope="session")
def x_TBCHW():  # noqa: N802 - the batch is called so wherever it is asked for
    return torch.rand(T, B, 1, SIDE, SIDE, generator=torch.Generator().manual_seed(5))


@pytest.fixture(scope="session")
def live(x_TBCHW):
    """Return a function that lets a network's norms see data, and gives it a batch to prove on."""

    def calibrated(network, gain=1.0):
        for module in network.module.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.momentum = 0.9
        with torch.no_grad():
            for name, value in network.module.named_parameters():
                value.mul_(gain if name.endswith("weight") else 1.0)
            network.module.train()
            for _ in range(8):
                network.forward(x_TBCHW)
                network.reset()
        network.module.eval()
        return network.with_probe(x_TBCHW).with_snapshot("init")

    return calibrated


@pytest.fixture(scope="session")
def opened(host):
    """Return a function that opens a registered network for images [1, 8, 8]."""

    def build(use, **settings):
        torch.manual_seed(0)
        sizes = {"in_channels": 1, "image_size": (SIDE, SIDE), "num_classes": 10, "timesteps": T}
        return open_architecture(host.catalogue["architectures"][use](**sizes, **settings), host)

    return build


@pytest.fixture(scope="session")
def spikformer(opened, live):
    return live(opened("spikingjelly.spikformer", embed_dims=32, depths=1, num_heads=4))


@pytest.fixture(scope="session")
def convnet(opened, live):
    return live(opened("snntorch.convnet", channels=(6, 12), surrogate="atan"), gain=3.0)


def reset_to_zero(beta=0.8):
    """Return a user's snnTorch network whose neurons are reset to zero, which SpikingJelly knows too."""
    torch.manual_seed(0)
    settings = {"reset_mechanism": "zero", "init_hidden": True, "spike_grad": surrogate.atan()}
    return nn.Sequential(
        nn.Conv2d(1, 6, 3),
        snntorch.Leaky(beta=beta, **settings),
        nn.Flatten(),
        nn.Linear(216, 10),
        snntorch.Leaky(beta=beta, **settings),
    )


@pytest.fixture
def zero_net(host, live):
    def build(**arguments):
        network = declare(
            reset_to_zero(**arguments), Time("per_step", T), build=reset_to_zero, arguments=arguments, host=host
        )
        return live(network, gain=4.0)

    return build
