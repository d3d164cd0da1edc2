import pytest
import torch
from oracles.networks import Case, images, live_network

from snncompress import Data, Inputs
from snncompress.measure import DataBench
from snncompress.run.session import StepRun
from snncompress.run.watch import Watch


@pytest.fixture(scope="session")
def digits16(host):
    """The digits as the Spikformers of these tests take them, few of them."""
    data = host.catalogue["datasets"]["digits"](size=16).load(0)
    few = torch.utils.data.Subset(data.train, range(100))
    return DataBench(Data(few, few, few, Inputs((1, 16, 16), 10)), host.catalogue["encoders"]["direct"](), 0)


@pytest.fixture
def new_run16(digits16, tmp_path_factory):
    """Return a function that begins a step on them."""

    def begin(network, folder=None):
        watch = Watch(silent=True)
        return StepRun(
            seed=1,
            earlier=(),
            bench=digits16,
            folder=folder or tmp_path_factory.mktemp("step"),
            network=network,
            watch=watch,
        )

    return begin


@pytest.fixture(scope="session")
def spikformer16(host):
    """A live Spikformer 32 wide with two blocks and two heads, in float32."""
    settings = (("embed_dims", 32), ("depths", 2), ("num_heads", 2))
    case = Case("spikformer", "spikingjelly.spikformer", settings, (1, 16, 16))
    network = live_network(case, 0.0, host)
    network.module.float()
    x_BCHW = images(case, 8, seed=3).float()
    return network.with_probe(x_BCHW.expand(4, *x_BCHW.shape)).with_snapshot("init")
