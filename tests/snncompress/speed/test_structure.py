"""What follows what in a network, seen by watching a batch."""

from __future__ import annotations

import pytest
import torch
from fast_networks import SIDE, B, Flat, InPlace, OtherNorms, Residual, Shared, T, images
from torch import nn

from snncompress import Time, declare
from snncompress.speed.structure import structure_of


def found(kind, host):
    network = declare(kind(), Time("multi_step", T), host=host).in_float64()
    network.module.eval()
    structure = structure_of(network, images((1, SIDE, SIDE), direct=True))
    name = {module: path for path, module in network.module.named_modules()}
    return (
        {name[conv]: name[norm] for conv, norm in structure.norm_of.items()},
        {name[norm]: name[lif] for norm, lif in structure.neuron_of.items()},
        {name[module]: count for module, count in structure.calls.items()},
    )


def test_convolutions_norms_and_neurons_in_a_row(host):
    norms, neurons, calls = found(Residual, host)
    assert norms == {"conv1": "norm1", "conv2": "norm2"}
    assert neurons == {"norm1": "lif1", "norm2": "lif2"}
    assert set(calls.values()) == {1}


def test_what_is_changed_in_place_in_between_does_not_follow(host):
    norms, neurons, _ = found(InPlace, host)
    assert norms == {"conv1": "norm1", "conv2": "norm2"}
    assert neurons == {"norm2": "lif2"}


def test_what_is_called_twice_follows_nothing(host):
    norms, neurons, calls = found(Shared, host)
    assert (norms, neurons) == ({}, {})
    assert calls == {"stem": 1, "body": 2, "norm": 3, "lif": 2}


def test_a_pool_or_a_new_order_of_values_in_between(host):
    norms, neurons, _ = found(OtherNorms, host)
    assert norms == {"conv1": "norm1", "conv2": "norm2", "conv4": "norm4"}
    assert neurons == {f"norm{number + 1}": f"lifs.{number}" for number in range(4)}


def test_linear_layers_are_no_convolutions(host):
    norms, neurons, _ = found(Flat, host)
    assert norms == {"mix.0": "mix.1"}
    assert neurons == {"norm1": "lif1", "mix.1": "mix.2"}


def test_nothing_is_left_behind(host):
    network = declare(Residual(), Time("multi_step", T), host=host).in_float64()
    network.module.eval()
    before = {name: value.clone() for name, value in network.tensors.items()}
    structure_of(network, images((1, SIDE, SIDE), direct=True))
    assert not any(module._forward_hooks for module in network.module.modules())
    assert all(not isinstance(item.module.v, torch.Tensor) for item in network.neurons)
    assert all(torch.equal(network.tensors[name], value) for name, value in before.items())


class Failing(Residual):
    def forward(self, x_TBCHW):
        super().forward(x_TBCHW)
        raise RuntimeError("a user's own mistake")


def test_a_network_that_fails_keeps_no_hooks(host):
    network = declare(Failing(), Time("multi_step", T), host=host)
    with pytest.raises(RuntimeError, match="own mistake"):
        structure_of(network, torch.zeros(T, B, 1, SIDE, SIDE))
    assert not any(module._forward_hooks for module in network.module.modules())


class Through(Residual):
    def build(self):
        super().build()
        self.norm1 = nn.Sequential(self.norm1, nn.Identity())


def test_a_module_that_gives_back_its_input_is_looked_through(host):
    _, neurons, _ = found(Through, host)
    assert neurons == {"norm1.0": "lif1", "norm2": "lif2"}
