"""The fast path of snnTorch networks, against the library's loop over time, on networks whose neurons fire."""

from __future__ import annotations

from dataclasses import replace

import pytest
import snntorch
import torch
from own_networks import LoopNet
from snntorch import surrogate
from torch import nn

from snncompress import Time, accelerated, declare
from snncompress.compilers import compiler
from snncompress.speed import acceleration
from snncompress_snntorch.networks import convnet

T, B, SIDE, CLASSES = 5, 64, 16, 10
PER_STEP = Time("per_step", T=T, records=("output", "membranes"))
PATHS = ["fused", pytest.param("compiled", marks=pytest.mark.skipif(not compiler(), reason="no compiler"))]
GAINS = {"conv1": 3.0, "conv2": 3.0, "head": 3.0}


def live_convnet(host, *, surrogate="atan", learn_beta=True, threshold=1.0, gains=GAINS):
    """Return the network of the tutorials with weights so large that every layer fires."""
    torch.manual_seed(3)
    settings = {
        "channels": (1, 6, 12),
        "kernel_size": 3,
        "padding": 1,
        "map_size": (SIDE // 4, SIDE // 4),
        "num_classes": CLASSES,
        "beta": 0.8,
        "learn_beta": learn_beta,
        "threshold": threshold,
        "surrogate": surrogate,
    }
    module = convnet(**settings)
    with torch.no_grad():
        for name, gain in gains.items():
            module.get_submodule(name).weight.mul_(gain)
    return declare(module, PER_STEP, build=convnet, arguments=settings, host=host)


def images(*, direct=True, batch=B, num_steps=T, dtype=torch.float32):
    """Return x_TBCHW, the same image at each step where ``direct``."""
    generator = torch.Generator().manual_seed(5)
    drawn = torch.rand(1 if direct else num_steps, batch, 1, SIDE, SIDE, generator=generator).to(dtype)
    return drawn.expand(num_steps, *drawn.shape[1:])


def outcome(network, x_T):
    """Return spikes of every layer, membranes and logits of a network and the gradients of a loss on the latter."""
    seen = {item.path: [] for item in network.neurons}

    def watch(path):
        return lambda module, inputs, output: seen[path].append(output[0] if isinstance(output, tuple) else output)

    handles = [item.module.register_forward_hook(watch(item.path)) for item in network.neurons]
    network.reset()
    network.module.zero_grad()
    output = network.forward(x_T)
    for handle in handles:
        handle.remove()
    spikes = {path: torch.cat(parts).detach() for path, parts in seen.items()}
    labels = torch.arange(x_T.shape[1]) % CLASSES
    loss = sum(nn.functional.cross_entropy(step, labels) for step in (*output.membranes, *output.logits))
    if torch.is_grad_enabled():
        loss.backward()
    kept = {item.path: item.module.mem.detach() for item in network.neurons}
    network.reset()
    gradients = {
        name: value.grad.clone() for name, value in network.module.named_parameters() if value.grad is not None
    }
    values = {"logits": output.logits.detach(), "membranes": output.membranes.detach(), **kept}
    return spikes, values, gradients


def largest_gap(found, expected):
    """Return the largest difference as a part of the largest value, over all entries."""
    assert found.keys() == expected.keys()
    return max(((found[name] - expected[name]).abs().max() / expected[name].abs().max()).item() for name in expected)


def assert_equal_in_float64(network, x_T, path, *, training=True):
    exact, x64_T = network.in_float64(), x_T[:1].double().expand(x_T.shape) if x_T.stride(0) == 0 else x_T.double()
    found = acceleration(exact, path, probe=x64_T)
    assert (found.path, found.remarks) == (path, ())
    fast = found.network
    assert fast.module is exact.module
    exact.module.train(training)
    with torch.set_grad_enabled(training):
        expected, found = outcome(exact, x64_T), outcome(fast, x64_T)
    for layer, spikes in expected[0].items():
        assert 0.05 <= spikes.mean() <= 0.4, (layer, spikes.mean())
        assert torch.equal(found[0][layer], spikes), layer
    assert largest_gap(found[1], expected[1]) <= 1e-12
    assert bool(expected[2]) == training
    if training:
        assert largest_gap(found[2], expected[2]) <= 1e-9


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("direct", [True, False])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(("gradient", "learn_beta"), [("atan", True), ("fast_sigmoid", False)])
def test_nothing_changes_in_float64(host, gradient, learn_beta, training, direct, path):
    network = live_convnet(host, surrogate=gradient, learn_beta=learn_beta)
    assert_equal_in_float64(network, images(direct=direct), path, training=training)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("mechanism", ["subtract", "zero", "none"])
@pytest.mark.parametrize("direct", [True, False])
def test_nothing_changes_for_other_neurons(host, mechanism, direct, path):
    network = declare(Mixed(mechanism), PER_STEP, arguments={"mechanism": mechanism}, host=host)
    assert_equal_in_float64(network, images(direct=direct), path)


class Mixed(nn.Module):
    """Lapicque neurons, and leaks and thresholds per channel that are trained; a skip connection around them."""

    def __init__(self, mechanism="subtract"):
        super().__init__()
        torch.manual_seed(1)
        learned = {"learn_beta": True, "learn_threshold": True, "reset_mechanism": mechanism, "init_hidden": True}
        beta, threshold = torch.linspace(0.3, 0.9, 6), torch.linspace(0.6, 1.4, 6)
        self.conv = nn.Conv2d(1, 6, 3, stride=2)
        self.leaky = snntorch.Leaky(beta=beta.reshape(6, 1, 1), threshold=threshold.reshape(6, 1, 1), **learned)
        self.skip = nn.Conv2d(6, 6, 1)
        self.lapicque = snntorch.Lapicque(R=1, C=2.5, threshold=0.4, init_hidden=True, reset_mechanism=mechanism)
        self.head = nn.Linear(6 * 49, CLASSES)
        self.readout = snntorch.Leaky(beta=0.8, threshold=torch.linspace(0.8, 1.2, CLASSES), output=True, **learned)
        with torch.no_grad():
            self.conv.weight.mul_(3)
            self.skip.weight.mul_(4)

    def forward(self, x_BCHW):
        spikes = self.leaky(self.conv(x_BCHW))
        spikes = spikes + self.lapicque(self.skip(spikes))
        return self.readout(self.head(spikes.flatten(1)))


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("gradient", ["atan", "fast_sigmoid"])
@pytest.mark.parametrize("direct", [True, False])
def test_in_float32_it_stays_within_the_librarys_own_noise(host, gradient, direct, path):
    network, x_T = live_convnet(host, surrogate=gradient), images(direct=direct)
    expected, found = outcome(network, x_T), outcome(accelerated(network, path, probe=x_T), x_T)
    exact = outcome(network.in_float64(), x_T.double())
    for layer, spikes in expected[0].items():
        assert 0.05 <= spikes.mean() <= 0.4, (layer, spikes.mean())
        flips, noise = (found[0][layer] != spikes).sum(), (exact[0][layer] != spikes).sum()
        assert flips <= max(noise, 2), layer
    for name, gradients in expected[2].items():
        norm = gradients.norm()
        noise = (exact[2][name] - gradients).norm()
        assert (found[2][name] - gradients).norm() <= max(1e-5 * norm, noise), name


@pytest.mark.parametrize("direct", [True, False])
def test_what_repeats_is_computed_once(host, direct):
    network, x_T = live_convnet(host), images(direct=direct)
    sizes = {}
    for path in ("conv1", "pool1", "conv2", "head"):
        network.module.get_submodule(path).register_forward_hook(
            lambda module, inputs, output, path=path: sizes.__setitem__(path, len(inputs[0]))
        )
    accelerated(network, probe=x_T).forward(x_T)
    first = B if direct else T * B
    assert sizes == {"conv1": first, "pool1": first, "conv2": T * B, "head": T * B}


def test_state_goes_on_from_one_call_to_the_next(host):
    network, x_T = live_convnet(host).in_float64(), images(direct=False, dtype=torch.float64)
    fast = accelerated(network, probe=x_T)
    expected = [network.forward(x_T).membranes, network.forward(x_T.flip(0)).membranes]
    network.reset()
    found = [fast.forward(x_T).membranes, fast.forward(x_T.flip(0)).membranes]
    network.reset()
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
    assert (expected[1] - network.forward(x_T.flip(0)).membranes).abs().max() > 0.1  # the state counts


def small(in_front_of_neurons=nn.Identity):
    """Return a live convolutional network with something else in front of its neurons."""
    torch.manual_seed(2)
    net = nn.Sequential(
        nn.Conv2d(1, 6, 3, stride=2),
        in_front_of_neurons(),
        snntorch.Leaky(beta=0.8, threshold=0.5, init_hidden=True),
        nn.Flatten(),
        nn.Linear(6 * 49, CLASSES),
        in_front_of_neurons() if in_front_of_neurons is nn.Dropout else nn.Identity(),
        snntorch.Leaky(beta=0.8, threshold=0.3, init_hidden=True, output=True),
    )
    with torch.no_grad():
        net[0].weight.mul_(2.5)
        net[4].weight.mul_(2)
    return net


def normed():
    return small(lambda: nn.BatchNorm2d(6))


def dropped():
    return small(nn.Dropout)  # two, which draw in turns; the numbers of one alone come in the same order


class Twice(nn.Module):
    """One layer of neurons that is called twice a step."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(2)
        self.inner = small()
        self.mix = nn.Conv2d(6, 6, 1)

    def forward(self, x_BCHW):
        conv, _, leaky, *rest = self.inner
        spikes = leaky(self.mix(leaky(conv(x_BCHW))))
        for layer in rest:
            spikes = layer(spikes)
        return spikes


@pytest.mark.parametrize("make", [normed, dropped])
def test_what_mixes_steps_or_draws_numbers_trains_step_by_step(host, make):
    network, x_T = declare(make(), PER_STEP, build=make, host=host), images(batch=16)
    found = acceleration(network, "fused", probe=x_T)
    assert found.path == "fused"
    assert any("training:" in remark and "evaluation:" not in remark for remark in found.remarks)
    assert_same_as_the_library(network, found.network, x_T)
    network.module.eval()
    calls = []
    network.module[0].register_forward_hook(lambda *_: calls.append(1))
    found.network.forward(x_T)
    assert len(calls) == 1  # in evaluation all steps run at once


def assert_same_as_the_library(network, fast, x_T):
    """Compare bit for bit, from the same random numbers and running statistics."""
    network.module.train()
    twin = network.copy()
    torch.manual_seed(7)
    expected = outcome(twin, x_T)
    torch.manual_seed(7)
    found = outcome(fast, x_T)
    for ours, theirs in zip(found, expected, strict=True):
        assert ours.keys() == theirs.keys()
        assert all(torch.equal(ours[name], value) for name, value in theirs.items())
    for (name, ours), theirs in zip(
        network.module.state_dict().items(), twin.module.state_dict().values(), strict=True
    ):
        assert torch.equal(ours, theirs), name


def test_neurons_that_are_called_twice_a_step_run_step_by_step(host):
    network, x_T = declare(Twice(), PER_STEP, host=host), images(batch=16)
    found = acceleration(network, "fused", probe=x_T)
    assert found.path == "reference"
    assert found.remarks
    assert_same_as_the_library(network, found.network, x_T)


def test_neurons_without_a_rule_run_step_by_step_and_it_is_said_why(host):
    network = live_convnet(host)
    network.module.neuron2.spike_grad = surrogate.SSO()
    x_T = images(batch=16)
    found = acceleration(network, "fused", probe=x_T)
    assert found.path == "reference"
    assert "'neuron2'" in found.remarks[0]
    assert "its surrogate gradient SSO draws random numbers" in found.remarks[0]
    assert_same_as_the_library(network, found.network, x_T)


def test_a_network_with_a_loop_of_its_own_runs_as_ever(host):
    time = Time("inside", 6, input="static", records=("output", "membranes"), attribute="num_steps")
    network = declare(LoopNet(), time, host=host)
    x_BCHW = torch.rand(16, 1, 8, 8, generator=torch.Generator().manual_seed(0)) * 4
    found = acceleration(network, "fused", probe=x_BCHW)
    expected = network.forward(x_BCHW)
    assert expected.logits.mean() > 0.01
    fast = found.network.forward(x_BCHW)
    assert torch.equal(fast.logits, expected.logits)
    assert torch.equal(fast.membranes, expected.membranes)
    assert "init_hidden=False" in found.layers["lif1"]


def test_a_copy_goes_its_own_way_and_a_fast_network_trains_the_same_module(host):
    network, x_T = live_convnet(host), images(batch=16)
    fast = accelerated(network, probe=x_T)
    assert fast.copy().fast is None
    assert fast.module is network.module
    assert replace(fast, fast=None).forward(x_T).logits.shape == (T, 16, CLASSES)
    assert not any("forward" in vars(part) for part in network.module.modules())  # nothing stays behind
