import pytest
import torch
from channel_networks import SIDE, lively

from snncompress import Inputs, Time, declare
from snncompress.network import open_architecture


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
