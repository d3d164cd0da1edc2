"""The anatomy of the guide on plugins: what it says of the gated block can be cut, and is proved."""

from __future__ import annotations

import importlib
import sys
from dataclasses import replace

import pytest
import torch

from snncompress import Block, Host, ProofError, Time, declare

HIDDEN = 8
NETWORK = """
from torch import nn

def build():
    from my_neurons import GatedMLP, Integrate

    layers = nn.Linear(4, 5), Integrate(5), GatedMLP(5, 8), nn.Linear(5, 3)
    return nn.Sequential(*layers).double()
"""


@pytest.fixture
def network(import_from_the_guide, tmp_path):
    """Return a network with a gated block whose neurons fire; its host knows the guide's plugin."""
    *_, plugin = import_from_the_guide("my_neurons", "my_backend", "my_anatomy", "my_plugin")
    host = Host.from_environment()
    host.register(plugin, name="guide")
    assert host.faults == []

    (tmp_path / "gated_network.py").write_text(NETWORK, encoding="utf-8")
    build = importlib.import_module("gated_network").build
    torch.manual_seed(0)
    module = build()
    with torch.no_grad():
        for neuron in (module[1], module[2].value_spikes, module[2].gate_spikes):
            neuron.threshold.copy_(torch.linspace(0.1, 0.3, len(neuron.threshold)))
    found = declare(module, Time("per_step", T=6), build=build, head="3", host=host)
    yield found.with_probe(torch.rand(6, 7, 4, dtype=torch.float64))
    del sys.modules["gated_network"]


def gated(network) -> Block:
    (found,) = (block for block in network.blocks() if block.path == "2")
    return found


def test_the_block_is_recognised(network):
    assert str(gated(network)) == "2: gated MLP, mlp 8"


def test_a_cut_is_proved_and_takes_every_tensor_along(network):
    """An index has a row of 5 and a bias in value and gate, two thresholds, and a column of 5 in the output."""
    kept = [0, 2, 3, 5, 7]
    smaller = network.cut([gated(network)], {"2 hidden": kept})
    before, after = (one.inventory.num_parameters() for one in (network, smaller))
    assert before - after == (HIDDEN - len(kept)) * (2 * (5 + 1) + 2 + 5)
    block, old = smaller.module[2], network.module[2]
    assert (block.value.out_features, block.gate.out_features, block.out.in_features) == (5, 5, 5)
    assert torch.equal(block.gate_spikes.threshold, old.gate_spikes.threshold[kept])
    assert torch.equal(block.out.weight, old.out.weight[:, kept])


def test_an_index_that_is_laid_wrong_fails_the_step(network):
    """Columns of the output one place further: every shape is right, and what is computed is not."""
    block = gated(network)
    (hidden,) = block.dimensions
    *into, out = hidden.weights
    shifted = replace(hidden, weights=(*into, replace(out, start=1)))
    with pytest.raises(ProofError):
        network.cut([replace(block, dimensions=(shifted,))], {"2 hidden": [0, 2, 3, 5, 7]})
