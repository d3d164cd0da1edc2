"""sLIF and the adaptive LIF of snnTorch: they begin as the library's own neuron, and gradients are those of the equations."""

from __future__ import annotations

import math

import pytest
import snntorch
import torch
from exchanged_neurons import AtanSpike, in_place_of, numbers, torch_loop
from snntorch import surrogate, utils
from torch import nn

from snncompress.compilers import compiler
from snncompress.speed.kernels import run_rule
from snncompress_snntorch.backend import SnnTorchBackend
from snncompress_snntorch.kinds import ALIF, IF, LIF, PLIF, SLIF
from snncompress_snntorch.nodes import SLeaky

BACKEND = SnnTorchBackend()
T, B, C, L = 6, 16, 5, 7
X = numbers(T, B, C, L, scale=1.2)
MECHANISMS = ["subtract", "zero", "none"]
BETAS = {
    "0.5": 0.5,
    "0.9": 0.9,
    "by channel": torch.linspace(0.2, 0.95, C).reshape(C, 1),
}


def leaky(beta=0.9, threshold=1.0, **given):
    return snntorch.Leaky(
        beta=beta, threshold=threshold, **{"init_hidden": True, "spike_grad": surrogate.atan(), **given}
    )


def same_as(neuron, **given):
    """Return a sLIF in the place of a neuron."""
    return in_place_of(neuron, BACKEND, given.pop("kind", SLIF()), (C, L), **given)


def spikes_of(neuron, x_TB):
    BACKEND.reset(neuron)
    spikes = torch.stack([BACKEND.spikes(neuron, neuron(x_B)) for x_B in x_TB])
    BACKEND.reset(neuron)
    return spikes


def in_float64(neuron):
    BACKEND.to_float64(neuron)
    return neuron


# ---- what it begins as


@pytest.mark.parametrize("per", ["layer", "channel", "neuron"])
@pytest.mark.parametrize("learn_beta", [True, False])
@pytest.mark.parametrize("delay", [True, False])
@pytest.mark.parametrize("mechanism", MECHANISMS)
@pytest.mark.parametrize("beta", BETAS)
@pytest.mark.parametrize("exact", [True, False])
def test_zero_offsets_give_the_neuron_that_was_there_bit_for_bit(exact, beta, mechanism, delay, learn_beta, per):
    threshold = torch.linspace(0.5, 1.2, C).reshape(C, 1)
    old = leaky(
        BETAS[beta], threshold, reset_mechanism=mechanism, reset_delay=delay, learn_beta=learn_beta, output=True
    )
    new, x = same_as(old, per=per), X.float()
    if exact:
        old, new, x = in_float64(old), in_float64(new), X
    for one in (*x, *x.flip(0)):
        expected, found = old(one), new(one)
        assert torch.equal(found[0], expected[0])
        assert torch.equal(found[1], expected[1])
    assert 0.02 < spikes_of(old, x).mean() < 0.7


def test_a_membrane_that_the_caller_passes_in_still_is():
    old = leaky(0.8, init_hidden=False)
    new = same_as(old)
    mem = torch.zeros(B, C, L)
    expected, found = old(X[0].float(), mem), new(X[0].float(), mem)
    assert torch.equal(found[0], expected[0])
    assert torch.equal(found[1], expected[1])


def test_channels_that_were_trained_go_on_from_where_they_are():
    first = same_as(leaky())
    with torch.no_grad():
        first.threshold_offset.copy_(torch.linspace(-0.6, 0.3, C))
        first.leak_offset.copy_(torch.linspace(-1, 1, C))
    second = same_as(first)
    for name, values in BACKEND.intrinsics(first).items():
        torch.testing.assert_close(BACKEND.intrinsics(second)[name].flatten(), values.flatten(), rtol=1e-6, atol=1e-8)
    assert torch.equal(spikes_of(in_float64(second), X), spikes_of(in_float64(first), X))


# ---- what is trained


def test_offsets_move_the_threshold_by_a_factor_and_the_leak_in_sigmoid_space():
    new = same_as(leaky(0.75, 0.5))
    with torch.no_grad():
        new.threshold_offset.fill_(math.log(3))
        new.leak_offset.fill_(math.log(3))
    found = BACKEND.intrinsics(new)
    torch.testing.assert_close(
        found["threshold"].flatten(), torch.full((C,), 1.5, dtype=torch.float64), rtol=1e-6, atol=0
    )
    torch.testing.assert_close(found["leak"].flatten(), torch.full((C,), 0.5, dtype=torch.float64), rtol=1e-6, atol=0)


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_gradients_are_those_of_the_equations(mechanism):
    new = in_float64(same_as(leaky(0.6, 0.8, spike_grad=surrogate.atan(alpha=1.7), reset_mechanism=mechanism)))
    u, w = numbers(C, seed=1, scale=0.3), numbers(C, seed=2, scale=0.5)
    with torch.no_grad():
        new.threshold_offset.copy_(u)
        new.leak_offset.copy_(w)
    x, weights = X.clone().requires_grad_(), numbers(T, B, C, L, seed=3)
    (spikes_of(new, x) * weights).sum().backward()
    found = [x.grad, new.threshold_offset.grad, new.leak_offset.grad]

    x, u, w = (value.clone().requires_grad_() for value in (X, u, w))
    threshold_start, beta_start = 0.800000011920929, 0.6000000238418579  # as the library keeps 0.8 and 0.6
    threshold = threshold_start * u.exp().reshape(C, 1)
    beta = 1 - torch.sigmoid(math.log((1 - beta_start) / beta_start) + w).reshape(C, 1)
    fire = lambda value: AtanSpike.apply(value, 1.7, True)  # noqa: E731
    spikes = torch_loop(x, threshold=threshold, beta=beta, fire=fire, mechanism=mechanism)
    assert 0.05 < spikes.mean() < 0.6
    (spikes * weights).sum().backward()
    torch.testing.assert_close(found, [x.grad, u.grad, w.grad], rtol=1e-9, atol=1e-9)


def test_gradients_of_the_smooth_neuron_are_those_of_finite_differences():
    """Without a reset, through which the library passes no gradient."""
    new = same_as(leaky(0.7, spike_grad=lambda x: torch.sigmoid(2 * x), reset_mechanism="none")).double()
    names = [name for name, _ in new.named_parameters()]
    values = [numbers(C, seed=place, scale=0.4).requires_grad_() for place, _ in enumerate(names)]

    def run(x, *offsets):
        BACKEND.reset(new)
        state = dict(zip(names, offsets, strict=True))
        return torch.stack([torch.func.functional_call(new, state, (x_B,)) for x_B in x])

    assert torch.autograd.gradcheck(run, (numbers(3, 2, C, 2, seed=9).requires_grad_(), *values))


def test_what_is_not_learned_is_no_parameter():
    new = same_as(leaky(), learn=["threshold"], lr_scale=3.0)
    assert [name for name, _ in new.named_parameters()] == ["threshold_offset"]
    (group,) = new.parameter_groups()
    assert (group["lr_scale"], group["weight_decay"], len(group["params"])) == (3.0, 0.0, 1)


# ---- the rule


@pytest.mark.parametrize(
    "kernels", ["torch", pytest.param("native", marks=pytest.mark.skipif(not compiler(), reason="no compiler"))]
)
@pytest.mark.parametrize("exact", [True, False])
@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_the_rule_computes_what_the_neuron_does(mechanism, exact, kernels):
    new, x = same_as(leaky(0.6, 0.8, reset_mechanism=mechanism)), X.float()
    with torch.no_grad():
        new.threshold_offset.copy_(numbers(C, seed=1, scale=0.3))
        new.leak_offset.copy_(numbers(C, seed=2, scale=0.5))
    if exact:
        new, x = in_float64(new), X
    weights = numbers(T, B, C, L, seed=3).to(x.dtype)
    expected = spikes_of(new, x)
    (expected * weights).sum().backward()
    gradients = [value.grad.clone() for value in new.parameters()]
    new.zero_grad()
    how = BACKEND.fusible(new)
    assert how.rule.threshold is None
    found, _ = run_rule(how.rule, x, None, how.tensors(), steps=T, kernels=kernels)
    assert torch.equal(found, expected)
    (found * weights).sum().backward()
    tolerance = 1e-9 if exact else 1e-3
    torch.testing.assert_close([value.grad for value in new.parameters()], gradients, rtol=tolerance, atol=tolerance)


# ---- other kinds


@pytest.mark.parametrize("kind", [LIF, PLIF, ALIF])
@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_other_leaky_kinds_begin_as_the_neuron_that_was_there(mechanism, kind):
    old = leaky(0.9, torch.linspace(0.5, 1.2, C).reshape(C, 1), reset_mechanism=mechanism)
    assert torch.equal(spikes_of(same_as(old, kind=kind()), X.float()), spikes_of(old, X.float()))


def test_a_leak_that_is_learned_by_channel_is_the_librarys_own():
    new = same_as(leaky(0.9), kind=PLIF())
    assert type(new) is snntorch.Leaky
    assert new.beta.requires_grad
    assert new.beta.shape == (C, 1)


def test_the_threshold_rises_with_each_spike_and_falls_again():
    """Constant input 1.5, threshold 1, beta 1/2, strength 1, reset to zero: what fired is reset though the threshold rose."""
    node = in_place_of(leaky(0.5, reset_mechanism="zero"), BACKEND, ALIF(), (1,))
    with torch.no_grad():
        node.adaptation_offset.fill_(1.0)
    fired = [int(node(torch.full((1, 1), 1.5)).detach()) for _ in range(4)]
    # mem: 1.5 > 1 fires; reset, 1.5 < 1 + 1; 0.75 + 1.5 = 2.25 > 1 + 0.9 fires; reset, 1.5 < 1 + 1.81
    assert fired == [1, 0, 1, 0]
    BACKEND.reset(node)
    assert [int(node(torch.full((2, 1), 1.5)).detach().sum()) for _ in range(4)] == [2, 0, 2, 0]


@pytest.mark.parametrize("init_hidden", [True, False])
def test_the_library_resets_what_adapted_too(init_hidden):
    node = in_place_of(leaky(0.5, reset_mechanism="zero", init_hidden=init_hidden), BACKEND, ALIF(), (1,))
    with torch.no_grad():
        node.adaptation_offset.fill_(1.0)

    def run():
        mem, fired = torch.zeros(1, 1), []
        for _ in range(3):
            spikes = node(torch.full((1, 1), 1.5)) if init_hidden else None
            if spikes is None:
                spikes, mem = node(torch.full((1, 1), 1.5), mem)
            fired.append(int(spikes.detach()))
        return fired

    assert run() == [1, 0, 1]
    utils.reset(nn.Sequential(node))
    assert run() == [1, 0, 1]


def test_neurons_that_say_too_little_are_not_described():
    assert BACKEND.describe(snntorch.Lapicque(beta=0.9)) == "no description is known of Lapicque"
    assert BACKEND.describe(leaky(graded_spikes_factor=2.0)) == "its spikes are graded (graded_spikes_factor)"
    assert BACKEND.describe(leaky(learn_graded_spikes_factor=True)) == "its spikes are graded (graded_spikes_factor)"
    replaced = leaky()
    replaced.fire = replaced.mem_reset
    assert BACKEND.describe(replaced) == "its method 'fire' was replaced"
    assert BACKEND.describe(leaky(torch.rand(C, L))) == "its values differ from place to place"
    assert BACKEND.describe(leaky(torch.tensor([0.5, 1.0]))) == "some of its channels leak and others do not"
    assert BACKEND.describe(leaky(threshold=-0.2)) == "its threshold is negative, so it is reset before it fires"
    assert BACKEND.describe(leaky(1.0)).tau is None
    assert IF().obstacles(BACKEND.describe(leaky(1.0)), abroad=False) == []


def test_a_copy_of_it_is_known_to_the_library():
    import copy

    new = copy.deepcopy(same_as(leaky()))
    BACKEND.adopt(new)
    assert isinstance(new, SLeaky)
    assert any(known.__dict__ is new.__dict__ for known in snntorch.SpikingNeuron.instances)
