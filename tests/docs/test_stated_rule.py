"""The neuron with a trainable threshold per channel that the guide on plugins states: its rule is what it computes."""

from __future__ import annotations

import pytest
import torch

from snncompress import Fusible
from snncompress.speed.kernels import run_rule

CHANNELS = 6


@pytest.fixture
def guide(import_from_the_guide):
    """Return the guide's backend and its neuron."""
    neurons, backend = import_from_the_guide("my_neurons", "my_backend")
    return backend.MyBackend(), neurons.Integrate


def numbers(*shape, seed):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def gradients(spikes_TBC, v_BC, leaves):
    loss = (spikes_TBC * numbers(*spikes_TBC.shape, seed=5)).sum() + (v_BC * numbers(*v_BC.shape, seed=6)).sum()
    return torch.autograd.grad(loss, leaves)


@pytest.mark.parametrize("steps", [1, 4, 9])
def test_the_stated_rule_computes_what_the_neuron_does(guide, steps):
    backend, integrate = guide
    neuron = integrate(CHANNELS).double()
    neuron.threshold.data = torch.linspace(0.4, 1.4, CHANNELS, dtype=torch.float64)
    first_TBC, x_TBC = numbers(3, 5, CHANNELS, seed=1), numbers(steps, 5, CHANNELS, seed=2).requires_grad_()
    leaves = [x_TBC, neuron.threshold]

    own_TBC = [torch.stack([neuron(x_BC) for x_BC in sequence]) for sequence in (first_TBC, x_TBC)]
    own_v_BC, expected = neuron.v, gradients(own_TBC[1], neuron.v, leaves)

    backend.reset(neuron)
    how = backend.fusible(neuron)
    assert backend.membrane(neuron, x_TBC[0]) is None
    v_BC = torch.zeros(5, CHANNELS, dtype=torch.float64)
    for sequence, own in zip((first_TBC, x_TBC), own_TBC, strict=True):
        spikes_TBC, v_BC = run_rule(how.rule, sequence, v_BC, how.parameters, steps=len(sequence))
        assert torch.equal(spikes_TBC, own)
        backend.keep_membrane(neuron, v_BC)
        v_BC = backend.membrane(neuron, sequence[0])
    assert torch.equal(v_BC, own_v_BC)
    assert 0.05 < own_TBC[1].mean() < 0.7
    for one, other in zip(gradients(spikes_TBC, v_BC, leaves), expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-9)


def test_its_neurons_share_a_rule_and_a_derived_one_has_none(guide):
    backend, integrate = guide
    one, other = (backend.fusible(integrate(channels)) for channels in (3, 7))
    assert isinstance(one, Fusible)
    assert one.rule == other.rule
    assert isinstance(backend.fusible(type("Derived", (integrate,), {})(3)), str)
