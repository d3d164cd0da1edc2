"""sLIF and the adaptive LIF of SpikingJelly: they begin as the library's own neuron, and gradients are those of the equations."""

from __future__ import annotations

import math

import pytest
import torch
from exchanged_neurons import AtanSpike, in_place_of, jelly_loop, numbers
from spikingjelly.activation_based import functional, neuron, surrogate
from torch import nn

from snncompress.compilers import compiler
from snncompress.speed.kernels import run_rule
from snncompress_spikingjelly.backend import SpikingJellyBackend
from snncompress_spikingjelly.kinds import ALIF, LIF, PLIF, SLIF
from snncompress_spikingjelly.nodes import ALIFNode, SLIFNode

BACKEND = SpikingJellyBackend()
T, B, C, L = 6, 16, 5, 7
X = numbers(T, B, C, L, scale=2.0)
RESETS = [0.0, -0.3, None]


def same_as(node, **given):
    """Return a sLIF in the place of a node."""
    return in_place_of(node, BACKEND, given.pop("kind", SLIF()), (C, L), **given)


def spikes_of(node, x_TB):
    node.reset()
    spikes = node(x_TB) if node.step_mode == "m" else torch.stack([node(x_B) for x_B in x_TB])
    node.reset()
    return spikes


# ---- what it begins as


@pytest.mark.parametrize("per", ["layer", "channel", "neuron"])
@pytest.mark.parametrize("mode", ["s", "m"])
@pytest.mark.parametrize("v_reset", RESETS)
@pytest.mark.parametrize("decay_input", [True, False])
@pytest.mark.parametrize("tau", [2.0, 1.5, 3.0, 1 / 0.7])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_zero_offsets_give_the_neuron_that_was_there_bit_for_bit(dtype, tau, decay_input, v_reset, mode, per):
    old = neuron.LIFNode(tau, decay_input, 0.5, v_reset, surrogate.ATan(), detach_reset=True, step_mode=mode)
    old.store_v_seq = True
    new, x = same_as(old, per=per).to(dtype), X.to(dtype)
    old.reset()
    new.reset()
    for call in (x, x.flip(0)):  # state goes on
        expected = old(call) if mode == "m" else torch.stack([old(one) for one in call])
        found = new(call) if mode == "m" else torch.stack([new(one) for one in call])
        assert torch.equal(found, expected)
        assert torch.equal(new.v_seq, old.v_seq)
    assert 0.05 < expected.mean() < 0.6


@pytest.mark.parametrize("v_reset", RESETS)
@pytest.mark.parametrize("tau", [1.5, 2.0, 3.0, 4.9])
def test_a_trained_leak_is_kept_spike_for_spike_in_float64(tau, v_reset):
    old = neuron.ParametricLIFNode(
        tau, v_threshold=0.7, v_reset=v_reset, surrogate_function=surrogate.ATan(), step_mode="m"
    )
    with torch.no_grad():
        old.w.add_(0.0321)
    new = same_as(old)
    flips = int((spikes_of(new, X.float()) != spikes_of(old, X.float())).sum())
    assert flips <= 3  # of 3360: another order of the same operations
    expected, found = spikes_of(old.double(), X), spikes_of(new.double(), X)
    assert torch.equal(found, expected)
    assert 0.02 < expected.mean() < 0.6


def test_channels_that_were_trained_go_on_from_where_they_are():
    """From one sLIF to another, of offsets to starts and back: equal in float64 up to offsets in float32."""
    first = same_as(neuron.LIFNode(3.0, step_mode="m"))
    with torch.no_grad():
        first.threshold_offset.copy_(torch.linspace(-0.6, 0.3, C))
        first.leak_offset.copy_(torch.linspace(-1, 1, C))
    second = same_as(first)
    assert torch.equal(spikes_of(second.double(), X), spikes_of(first.double(), X))
    for name, values in BACKEND.intrinsics(first).items():
        torch.testing.assert_close(BACKEND.intrinsics(second)[name], values, rtol=1e-6, atol=0)


def test_the_settings_of_the_old_neuron_stay():
    old = neuron.LIFNode(
        1.7, False, 0.5, -0.2, surrogate.Erf(alpha=1.3), detach_reset=True, step_mode="s", store_v_seq=True
    )
    new = same_as(old)
    assert isinstance(new, SLIFNode)
    for name in ("tau", "decay_input", "v_threshold", "v_reset", "detach_reset", "step_mode", "store_v_seq"):
        assert getattr(new, name) == getattr(old, name), name
    assert (type(new.surrogate_function), new.surrogate_function.alpha) == (surrogate.Erf, 1.3)
    assert new.surrogate_function is not old.surrogate_function


# ---- what is trained


def test_offsets_move_the_threshold_by_a_factor_and_the_leak_in_sigmoid_space():
    new = same_as(neuron.LIFNode(4.0, v_threshold=0.5))
    with torch.no_grad():
        new.threshold_offset.fill_(math.log(3))
        new.leak_offset.fill_(math.log(3))
    found = BACKEND.intrinsics(new)
    # 0.5 * 3; a leak of 1 / 4 has odds of 1 to 3: three times as much is 1 to 1
    torch.testing.assert_close(found["threshold"], torch.full((C,), 1.5, dtype=torch.float64), rtol=1e-6, atol=0)
    torch.testing.assert_close(found["leak"], torch.full((C,), 0.5, dtype=torch.float64), rtol=1e-6, atol=0)


def test_extreme_offsets_leave_a_leak_between_none_and_all():
    new = same_as(neuron.LIFNode(2.0)).double()
    with torch.no_grad():
        new.leak_offset.copy_(torch.tensor([-50.0, -5.0, 0.0, 5.0, 50.0]))
    leak_C = BACKEND.intrinsics(new)["leak"]
    assert bool((leak_C > 0).all())
    assert bool((leak_C <= 1).all())
    assert bool((leak_C.diff() > 0).all())


@pytest.mark.parametrize("detach_reset", [True, False])
@pytest.mark.parametrize("decay_input", [True, False])
@pytest.mark.parametrize("v_reset", RESETS)
def test_gradients_are_those_of_the_equations(v_reset, decay_input, detach_reset):
    node = neuron.LIFNode(2.5, decay_input, 0.8, v_reset, surrogate.ATan(alpha=1.7), detach_reset, "m")
    new = same_as(node).double()
    u, w = numbers(C, seed=1, scale=0.3), numbers(C, seed=2, scale=0.5)
    with torch.no_grad():
        new.threshold_offset.copy_(u)
        new.leak_offset.copy_(w)
    x, weights = X.clone().requires_grad_(), numbers(T, B, C, L, seed=3)
    (spikes_of(new, x) * weights).sum().backward()
    found = [x.grad, new.threshold_offset.grad, new.leak_offset.grad]

    x, u, w = (value.clone().requires_grad_() for value in (X, u, w))
    threshold = 0.8 * u.exp().reshape(C, 1)
    leak = torch.sigmoid(math.log(1 / 2.5 / (1 - 1 / 2.5)) + w).reshape(C, 1)
    fire = lambda value: AtanSpike.apply(value, 1.7, False)  # noqa: E731
    settings = {"v_reset": v_reset, "decay_input": decay_input, "detach_reset": detach_reset}
    spikes = jelly_loop(x, threshold=threshold, leak=leak, fire=fire, **settings)
    assert 0.05 < spikes.mean() < 0.6
    (spikes * weights).sum().backward()
    torch.testing.assert_close(found, [x.grad, u.grad, w.grad], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("kind", [SLIF, ALIF])
@pytest.mark.parametrize("v_reset", RESETS)
def test_gradients_of_the_smooth_neuron_are_those_of_finite_differences(v_reset, kind):
    function = surrogate.Sigmoid(alpha=2.0, spiking=False)
    node = neuron.LIFNode(3.0, v_threshold=0.8, v_reset=v_reset, surrogate_function=function, step_mode="m")
    new = in_place_of(node, BACKEND, kind(), (2, 2)).double()
    names = [name for name, _ in new.named_parameters()]
    values = [numbers(2, seed=place, scale=0.4).requires_grad_() for place, _ in enumerate(names)]

    def run(x, *offsets):
        new.reset()
        return torch.func.functional_call(new, dict(zip(names, offsets, strict=True)), (x,))

    assert torch.autograd.gradcheck(run, (numbers(4, 2, 2, 2, seed=9).requires_grad_(), *values))


def test_what_is_not_learned_is_no_parameter():
    new = same_as(neuron.LIFNode(2.0), learn=["leak"], lr_scale=3.0)
    assert [name for name, _ in new.named_parameters()] == ["leak_offset"]
    assert set(new.state_dict()) == {"leak_offset", "threshold_offset"}
    (group,) = new.parameter_groups()
    assert (group["lr_scale"], group["weight_decay"]) == (3.0, 0.0)
    assert group["params"][0] is new.leak_offset


# ---- the rule


@pytest.mark.parametrize(
    "kernels", ["torch", pytest.param("native", marks=pytest.mark.skipif(not compiler(), reason="no compiler"))]
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("v_reset", RESETS)
@pytest.mark.parametrize("decay_input", [True, False])
def test_the_rule_computes_what_the_neuron_does(decay_input, v_reset, dtype, kernels):
    new = same_as(neuron.LIFNode(2.5, decay_input, 0.8, v_reset, surrogate.ATan(), False, "m")).to(dtype)
    with torch.no_grad():
        new.threshold_offset.copy_(numbers(C, seed=1, scale=0.3))
        new.leak_offset.copy_(numbers(C, seed=2, scale=0.5))
    x, weights = X.to(dtype), numbers(T, B, C, L, seed=3).to(dtype)
    expected = spikes_of(new, x)
    (expected * weights).sum().backward()
    gradients = [value.grad.clone() for value in new.parameters()]
    new.zero_grad()
    how = BACKEND.fusible(new)
    assert how.rule.threshold is None
    start = None if not how.rule.initial else torch.full_like(x[0], how.rule.initial)
    found, _ = run_rule(how.rule, x, start, how.tensors(), steps=T, kernels=kernels)
    assert torch.equal(found, expected)
    (found * weights).sum().backward()
    tolerance = 1e-9 if dtype is torch.float64 else 2e-4
    torch.testing.assert_close([value.grad for value in new.parameters()], gradients, rtol=tolerance, atol=tolerance)


# ---- the adaptive neuron


@pytest.mark.parametrize("mode", ["s", "m"])
@pytest.mark.parametrize("v_reset", RESETS)
def test_no_adaptation_is_a_lif(v_reset, mode):
    old = neuron.LIFNode(3.0, v_threshold=0.5, v_reset=v_reset, step_mode=mode)
    assert torch.equal(spikes_of(same_as(old, kind=ALIF()), X.float()), spikes_of(old, X.float()))


def test_the_threshold_rises_with_each_spike_and_falls_again():
    """Constant input 3, threshold 1, leak 1/2, strength 1: h = 1.5 fires at 1; trace 1 asks for 2; later 1.5 again."""
    node = in_place_of(neuron.LIFNode(2.0, step_mode="s"), BACKEND, ALIF(), (1,))
    with torch.no_grad():
        node.adaptation_offset.fill_(1.0)
    fired, traces = [], []
    for _ in range(4):
        fired.append(int(node(torch.full((1, 1), 3.0)).detach()))
        traces.append(round(float(node.trace.detach()), 4))
    # h: 1.5 (fires, v = 0), 1.5 < 2, 0.75 + 1.5 = 2.25 >= 1.9 (fires, v = 0), 1.5 < 2.81
    assert fired == [1, 0, 1, 0]
    assert traces == [1.0, 0.9, 1.81, 1.629]


def test_an_adaptive_neuron_is_reset_and_takes_another_batch():
    node = in_place_of(neuron.LIFNode(2.0, step_mode="m"), BACKEND, ALIF(), (C, L))
    assert isinstance(node, ALIFNode)
    BACKEND.reset(node)
    first = node(X.float())
    assert node(X[:, :3].float()).shape == (T, 3, C, L)
    BACKEND.reset(node)
    assert torch.equal(node(X.float()), first)
    assert isinstance(BACKEND.fusible(node), str)


# ---- other kinds


@pytest.mark.parametrize(("kind", "expected"), [(LIF, neuron.LIFNode), (PLIF, neuron.ParametricLIFNode)])
@pytest.mark.parametrize("v_reset", RESETS)
def test_fixed_and_layerwise_leaks_compute_the_same_in_float64(v_reset, kind, expected):
    old = neuron.LIFNode(2.0, v_threshold=0.5, v_reset=v_reset, detach_reset=True, step_mode="m")
    new = same_as(old, kind=kind())
    assert type(new) is expected
    assert torch.equal(spikes_of(new.double(), X), spikes_of(old, X))


def test_neurons_of_other_classes_are_not_described():
    assert BACKEND.describe(neuron.KLIFNode()) == "no description is known of KLIFNode"
    assert BACKEND.intrinsics(neuron.KLIFNode()) == {}
    new = same_as(neuron.LIFNode(2.0), per="neuron")
    nn.init.normal_(new.leak_offset)
    assert BACKEND.describe(new) == "its values differ from place to place"


def test_a_neuron_that_was_changed_by_hand_is_not_described():
    """No number of the description says so, and with `approximate` no proof would find it."""
    later, moved, other = neuron.IFNode(), neuron.LIFNode(), neuron.LIFNode()
    later.set_reset_value("v", 0.5)
    moved.v_threshold = torch.full((C, 1), 0.5)
    other.single_step_forward = moved.single_step_forward
    assert BACKEND.describe(later) == "its membrane does not start where it rests (set_reset_value)"
    assert BACKEND.describe(moved) == "its threshold is not a plain number"
    assert BACKEND.describe(other) == "its method 'single_step_forward' was replaced"


def test_the_library_resets_and_copies_them():
    chain = nn.Sequential(same_as(neuron.LIFNode(2.0, step_mode="m")))
    first = chain(X.float())
    assert not torch.equal(chain(X.float()), first)
    functional.reset_net(chain)
    assert torch.equal(chain(X.float()), first)
