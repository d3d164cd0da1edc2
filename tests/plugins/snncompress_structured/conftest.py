import pytest
import torch
from channel_networks import SIDE, lively
from oracles.networks import Case, images, live_network

from snncompress import Data, Facts, Inputs, Time, declare
from snncompress.measure import DataBench
from snncompress.network import open_architecture
from snncompress.plan.blank import blank_batch, recognised
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


@pytest.fixture
def opened(host):
    """Return a function that opens a live network by name."""

    def open_live(use, sizes, **settings):
        torch.manual_seed(0)
        architecture = host.catalogue["architectures"][use](**settings).resolved(Inputs(sizes, 10), 4)
        return lively(open_architecture(architecture, host, timesteps=4), sizes)

    return open_live


@pytest.fixture
def declared(host):
    """Return a function that makes a live network of a user's own module."""

    def make(module, time=None, sizes=(1, SIDE, SIDE), **settings):
        return lively(declare(module, time or Time("multi_step", 2), host=host, **settings), sizes)

    return make


@pytest.fixture
def prune(make, new_run):
    """Return a function that prunes a network and gives the result and the note on it."""

    def apply(network, **settings):
        run = new_run(network)
        after = make("prune.channels", **{"fraction": 0.5, **settings}).apply(network, run)
        return after, run.notes()["pruned"]

    return apply


@pytest.fixture
def planned(host, make):
    """Return a function that gives what the plan says of a step for a network without values."""

    def problems(use, sizes, earlier=(), model=None, step="prune.channels", **settings):
        inputs = Inputs(sizes, 10)
        architecture = host.catalogue["architectures"][use](**(model or {})).resolved(inputs, 4)
        network = open_architecture(architecture, host, timesteps=4, values=False)
        blank = network.with_probe(blank_batch(network, inputs))
        facts = Facts(
            network.inventory,
            network.time,
            inputs,
            frozenset({"weights"}),
            earlier,
            host=host,
            blocks=lambda: recognised(network, inputs),
            network=lambda: blank,
        )
        return list(make(step, **{"fraction": 0.5, **settings}).check(facts))

    return problems
