"""Comparing two ways through a network: what differs is found and told."""

from __future__ import annotations

import pytest
import torch
from fast_networks import SIDE, Dropping, Residual, images, own

from snncompress.speed.proving import difference

X = images((1, SIDE, SIDE), direct=True)


def changed(name, factor):
    """Return a maker of a way that runs with one tensor changed."""

    def make(network):
        def way(x):
            value = network.module.get_parameter(name)
            with torch.no_grad():
                value.mul_(factor)
            return network.own_way(x)

        return way

    return make


def same(network):
    return network.own_way


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("kind", [Residual, Dropping])
def test_the_same_way_is_equal_also_where_random_numbers_are_drawn(host, kind, training):
    network = own(kind, host)
    before, state = {name: value.clone() for name, value in network.tensors.items()}, torch.get_rng_state()
    assert difference(network, same, X, training=training) == ""
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(network.tensors[name], value) for name, value in before.items())


@pytest.mark.parametrize("training", [True, False])
def test_another_output_is_told(host, training):
    found = difference(own(Residual, host), changed("head.weight", 1 + 1e-6), X, training=training)
    assert found.startswith("output 'logits' differs by ")


def test_another_gradient_alone_is_told(host):
    class Doubled(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x.clone()

        @staticmethod
        def backward(ctx, g):
            return 2 * g

    def make(network):
        return lambda x: Doubled.apply(network.own_way(x))

    assert difference(own(Residual, host), make, X, training=True).startswith("gradient '")
    assert difference(own(Residual, host), make, X, training=False) == ""


def test_another_buffer_alone_is_told(host):
    def make(network):
        def way(x):
            network.module.norm2.running_var.mul_(1 + 1e-6)  # which training does not read
            return network.own_way(x)

        return way

    assert difference(own(Residual, host), make, X, training=True).startswith("buffer 'norm2.running_var' differs")


def test_an_output_of_another_shape_is_told(host):
    found = difference(own(Residual, host), lambda network: lambda x: network.own_way(x)[:, :, :3], X, training=False)
    assert found == "output 'logits' has shape [4, 8, 3] and not [4, 8, 5]"
    found = difference(own(Residual, host), lambda network: lambda x: network.own_way(x)[:, :3], X, training=False)
    assert found.startswith(
        "the network returned [4, 3, 5] for 4 time step(s) of 8 sample(s), but its declaration says"
    )


def test_a_way_that_fails_is_told(host):
    def make(network):
        def way(x):
            raise ValueError("no such way")

        return way

    assert "no such way" in difference(own(Residual, host), make, X, training=True)


def test_no_number_is_no_equality(host):
    found = difference(own(Residual, host), changed("head.weight", torch.nan), X, training=False)
    assert found.startswith("output 'logits' differs by nan")


class WithAnEmptyTensor(Residual):
    def build(self):
        super().build()
        self.none = torch.nn.Parameter(torch.zeros(0))

    def forward(self, x_TBCHW):
        return super().forward(x_TBCHW) + self.none.sum()


def test_tensors_without_values_are_equal(host):
    assert difference(own(WithAnEmptyTensor, host), same, X, training=True) == ""
