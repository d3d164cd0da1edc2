"""Finding the fast way through whole networks: equal results, and refusals that are told."""

from __future__ import annotations

import copy
import pickle
from dataclasses import replace

import pytest
import torch
from fast_networks import (
    OWN,
    SIDE,
    B,
    Dropping,
    Flat,
    PartlyUnknown,
    Residual,
    SumOverTime,
    T,
    TwoConsumers,
    assert_same,
    calibrated,
    images,
    outcome,
    own,
)
from odd_networks import SinglePrecision
from own_networks import JellyNet
from spikingjelly.activation_based import neuron, surrogate
from torch import nn

from snncompress import InputError, Inputs, ModelError, Time, accelerated, declare
from snncompress.compilers import compiler
from snncompress.network.opening import open_architecture
from snncompress.speed.finding import acceleration
from snncompress.speed.native.library import native_norm, native_rule
from snncompress_spikingjelly.architectures import ParametricLIFNet, SEWResNet, Spikformer, SpikingVGG

PATHS = ["fused", pytest.param("compiled", marks=pytest.mark.skipif(compiler() is None, reason="no C compiler"))]
SIZES = (1, SIDE, SIDE)


def assert_every_mode_is_the_same(network, sizes, path, *, forms=(True, False)):
    """Compare training, evaluation and training again, with equal steps and with different ones."""
    steps = network.time.T
    found = acceleration(network.copy(), path, probe=images(sizes, direct=True, steps=steps))
    own, fast = network.copy(), found.network
    for direct in forms:
        for training in (True, False, True):
            x = images(sizes, direct=direct, steps=steps, batch=5, seed=20 + direct)
            assert_same(outcome(fast, x, training=training), outcome(own, x, training=training))
    assert not any({"forward", "_conv_forward"} & vars(part).keys() for part in fast.module.modules())
    return found


def rates(network, x):
    seen = {}
    handles = [
        item.module.register_forward_hook(
            lambda m, i, o, path=item.path: seen.__setitem__(path, float(o.detach().mean()))
        )
        for item in network.neurons
    ]
    outcome(network, x, training=True)
    for handle in handles:
        handle.remove()
    return seen


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("kind", OWN)
def test_own_networks_compute_the_same(host, kind, path):
    network = own(kind, host)
    assert_every_mode_is_the_same(network, SIZES, path)
    assert min(rates(network, images(SIZES, direct=True)).values()) > 0.01


ARCHITECTURES = {
    "spikformer": (Spikformer(embed_dims=16, num_heads=2, mlp_ratio=2, depths=1), (1, 16, 16)),
    "sew resnet": (SEWResNet(layers=18, width=4), (3, 16, 16)),
    "vgg": (SpikingVGG(channels=(4, "M", 6), hidden=(8,), image_size=(8, 8)), (3, 8, 8)),
    "plif net": (ParametricLIFNet(variant="mnist", channels=4), (1, 28, 28)),
}


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_architectures_compute_the_same(host, name, path):
    architecture, sizes = ARCHITECTURES[name]
    torch.manual_seed(0)
    network = calibrated(open_architecture(architecture.resolved(Inputs(sizes, 10), 2), host), sizes)
    found = assert_every_mode_is_the_same(network, sizes, path)
    assert found.path == path


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("steps", [1, 2])
def test_few_steps(host, steps, path):
    network = calibrated(declare(Residual(), Time("multi_step", steps), host=host), SIZES)
    found = assert_every_mode_is_the_same(network, SIZES, path)
    assert (found.path, found.remarks) == (path, ())


# ---- what is refused


def test_where_one_step_cannot_stand_for_all_it_does_not(host):
    found = acceleration(own(SumOverTime, host), "fused", probe=images(SIZES, direct=True))
    assert any(remark.startswith("everything: ") for remark in found.remarks)
    assert found.path == "fused"


@pytest.mark.parametrize("path", PATHS)
def test_a_probe_of_different_steps_proves_nothing_of_equal_ones(host, path):
    """What would be run once for equal steps is compared for them, whatever batch is given."""
    network = own(SumOverTime, host)
    fast = accelerated(network.copy(), path, probe=images(SIZES, direct=False))
    x = images(SIZES, direct=True)
    assert_same(outcome(fast, x, training=True), outcome(network, x, training=True))


def test_a_neuron_without_a_rule_is_named(host):
    found = acceleration(own(PartlyUnknown, host), "fused", probe=images(SIZES, direct=True))
    assert found.path == "fused"
    assert found.layers["lif2"] == "its own way: OwnNeuron is derived from IFNode and may compute otherwise"
    assert found.layers["lif1"].startswith("all steps at once")


def test_a_norm_that_is_read_twice_is_not_joined_with_its_neuron(host):
    found = acceleration(own(TwoConsumers, host), "fused", probe=images(SIZES, direct=True))
    assert found.network.fast is not None


def test_a_network_without_neurons_and_one_without_a_probe(host):
    network = own(Residual, host)
    with pytest.raises(ModelError, match="a probe batch is needed"):
        accelerated(network)
    assert accelerated(network.with_probe(images(SIZES, direct=True))).fast is not None
    assert acceleration(network, "reference").remarks == ("switched off",)


def test_an_unknown_path_offers_a_near_one(host):
    with pytest.raises(InputError, match="the path 'fuzed' is unknown; did you mean 'fused'"):
        accelerated(own(Residual, host), "fuzed", probe=images(SIZES, direct=True))


@pytest.mark.parametrize("path", PATHS)
def test_a_batch_of_the_norms_own_width_is_no_other_layout(host, path):
    """[T, B, C] with B = C looks like [B, C, L]."""
    network = own(Flat, host)
    fast = accelerated(network.copy(), path, probe=images(SIZES, direct=True, batch=6))
    for batch in (B, 16, 6):
        x = images(SIZES, direct=False, batch=batch)
        for training in (True, False):
            twin = network.copy()
            fast.module.load_state_dict(twin.module.state_dict())
            assert_same(outcome(fast, x, training=training), outcome(twin, x, training=training))


# ---- the network stays the network


@pytest.mark.parametrize("path", PATHS)
def test_copies_edits_and_new_weights_go_their_own_way(host, path):
    network = own(Residual, host).with_probe(images(SIZES, direct=True))
    fast = accelerated(network, path)
    assert fast.module is network.module
    changed = [fast.copy(), fast.with_weights(fast.tensors), fast.edited([]).copy(), fast.in_float64()]
    assert all(one.fast is None and one.module is not fast.module for one in changed)
    assert fast.with_snapshot("now").fast is fast.fast
    expected = outcome(network, fast.probe, training=False)
    for one in changed:
        assert_same(outcome(one, fast.probe, training=False), expected)


@pytest.mark.parametrize("path", PATHS)
def test_masks_are_honoured(host, path):
    network = own(Residual, host)
    mask = torch.rand(network.tensors["conv2.weight"].shape, generator=torch.Generator().manual_seed(0)) > 0.5
    masked = network.with_masks({"conv2.weight": mask})
    fast = accelerated(masked.copy(), path, probe=images(SIZES, direct=True))
    assert fast.masks.keys() == {"conv2.weight"}
    optimizer = torch.optim.SGD(fast.module.parameters(), lr=0.1, momentum=0.9)
    with fast.hold_masks(optimizer):
        outcome(fast, images(SIZES, direct=True), training=True)
        optimizer.step()
        assert fast.tensors["conv2.weight"][~mask].abs().max() == 0
        assert fast.tensors["conv2.weight"][mask].abs().min() > 0


def test_module_is_copied_pickled_and_saved_as_ever(host):
    network = own(Residual, host)
    fast = accelerated(network.copy(), probe=images(SIZES, direct=True))
    x = images(SIZES, direct=True)
    expected = outcome(network.copy(), x, training=False)
    assert_same(outcome(fast, x, training=False), expected)
    assert fast.module.state_dict().keys() == network.module.state_dict().keys()
    for module in (copy.deepcopy(fast.module), pickle.loads(pickle.dumps(fast.module))):
        assert_same(outcome(replace(network, module=module), x, training=False), expected)


@pytest.mark.parametrize("path", PATHS)
def test_loaded_weights_are_used(host, path):
    one, other = own(Residual, host), own(Residual, host)
    with torch.no_grad():
        for value in other.module.parameters():
            value.add_(0.05)
    x = images(SIZES, direct=True)
    for assign in (False, True):
        fast = accelerated(one.copy(), path, probe=x)
        fast.module.load_state_dict(copy.deepcopy(other.module.state_dict()), assign=assign)
        for training in (False, True):
            assert_same(outcome(fast, x, training=training), outcome(other.copy(), x, training=training))


@pytest.mark.parametrize("path", PATHS)
def test_settings_that_change_later_are_honoured(host, path):
    network, x = own(Residual, host), images(SIZES, direct=True)
    fast = accelerated(network.copy(), path, probe=x)
    for part in (network.module, fast.module):
        part.lif1.v_threshold = 0.6
        part.lif2.surrogate_function = surrogate.ATan(alpha=3.0)
    assert_same(outcome(fast, x, training=True), outcome(network, x, training=True))


@pytest.mark.parametrize("path", PATHS)
def test_an_error_within_forward_leaves_nothing_behind(host, path):
    network = own(Residual, host)
    fast = accelerated(network, path, probe=images(SIZES, direct=True))
    with pytest.raises(RuntimeError):
        fast.forward(torch.zeros(T, B, 3, SIDE, SIDE, dtype=torch.float64))
    assert not any({"forward", "_conv_forward"} & vars(part).keys() for part in network.module.modules())
    network.reset()
    x = images(SIZES, direct=True)
    assert_same(outcome(fast, x, training=False), outcome(replace(network, fast=None), x, training=False))


def test_a_forward_that_an_instance_has_for_itself_is_put_back(host):
    network = own(Residual, host)
    before = network.module.head.forward
    fast = accelerated(network, probe=images(SIZES, direct=True))
    network.module.norm1.forward = own_forward = type(network.module.norm1).forward.__get__(network.module.norm1)
    fast.forward(images(SIZES, direct=True))
    assert network.module.norm1.__dict__["forward"] is own_forward
    assert network.module.head.forward == before


# ---- hooks


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("training", [True, False])
def test_hooks_see_what_they_would_have_seen(host, training, path):
    network, x = own(Residual, host), images(SIZES, direct=False)
    fast = accelerated(network.copy(), path, probe=x)
    seen = []
    for one in (network, fast):
        kept = {}
        for name, part in one.module.named_modules():
            if name and not isinstance(part, surrogate.SurrogateFunctionBase):
                part.register_forward_hook(lambda m, i, o, name=name, kept=kept: kept.__setitem__(name, (i[0], o)))
        outcome(one, x, training=training)
        seen.append(kept)
    assert seen[0].keys() == seen[1].keys()
    for name, (given, output) in seen[0].items():
        torch.testing.assert_close(seen[1][name][0], given, rtol=1e-9, atol=1e-9, msg=f"input of {name}")
        torch.testing.assert_close(seen[1][name][1], output, rtol=1e-9, atol=1e-9, msg=f"output of {name}")


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("place", ["conv1", "norm1", "lif1"])
def test_hooks_that_change_values_change_them(host, place, path):
    network, x = own(Residual, host), images(SIZES, direct=True)
    fast = accelerated(network.copy(), path, probe=x)
    for one in (network, fast):
        one.module.get_submodule(place).register_forward_hook(lambda m, i, o: o * 1.25 + 0.1)
    for training in (True, False):
        assert_same(outcome(fast, x, training=training), outcome(network, x, training=training))


# ---- state, precision, training


@pytest.mark.parametrize("path", PATHS)
def test_a_membrane_that_is_left_goes_on(host, path):
    network, x = own(Residual, host), images(SIZES, direct=False)
    fast = accelerated(network.copy(), path, probe=x)
    results = []
    for one in (network, fast):
        one.module.train()
        outputs = [one.forward(batch).logits for batch in (x, x.flip(0), x * 0.5)]
        kept = [item.module.v.detach().clone() for item in one.neurons]
        torch.stack(outputs).square().sum().backward()
        one.reset()
        results.append([*outputs, *kept, *(value.grad for value in one.module.parameters())])
    for one, other in zip(*results, strict=True):
        torch.testing.assert_close(other, one, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("training", [True, False])
def test_under_bfloat16_the_membrane_stays_in_single_precision(host, training, path):
    network = declare(Residual(), Time("multi_step", T), host=host)
    x = images(SIZES, direct=True).float()
    fast = accelerated(network, path, probe=x)
    network.module.train(training)
    with torch.autocast("cpu", torch.bfloat16):
        logits = fast.forward(x).logits
    assert logits.isfinite().all()
    assert all(item.module.v.dtype == torch.float32 for item in network.neurons)
    if training:
        logits.float().sum().backward()
        assert all(value.grad.isfinite().all() for value in network.module.parameters())
    network.reset()


@pytest.mark.parametrize("path", PATHS)
def test_a_network_in_half_precision_runs(host, path):
    network = declare(Residual(), Time("multi_step", T), host=host)
    x = images(SIZES, direct=True).float()
    fast = accelerated(network, path, probe=x)
    network.module.bfloat16()
    for training in (True, False):
        network.module.train(training)
        logits = fast.forward(x.bfloat16()).logits
        network.reset()
        expected = replace(fast, fast=None).forward(x.bfloat16()).logits
        network.reset()
        assert logits.dtype == expected.dtype
        assert (logits - expected).abs().mean() <= 0.2 * expected.abs().mean()


@pytest.mark.slow
@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("kind", [Residual, Dropping])
def test_twenty_steps_of_training_end_at_the_same_weights(host, kind, path):
    network = own(kind, host)
    fast = accelerated(network.copy(), path, probe=images(SIZES, direct=True))
    for one in (network, fast):
        train(one, 20)
    gap = max(float((fast.tensors[name] - value).abs().max()) for name, value in network.tensors.items())
    assert gap <= 1e-8
    x = images(SIZES, direct=True)
    assert_same(outcome(fast, x, training=False), outcome(network, x, training=False), 1e-8)


def train(network, steps, dtype=torch.float64):
    torch.manual_seed(0)
    network.module.train()
    optimizer = torch.optim.Adam(network.module.parameters(), lr=1e-2)
    for step in range(steps):
        x = images(SIZES, direct=True, seed=100 + step).to(dtype)
        loss = nn.functional.cross_entropy(network.forward(x[:1].expand_as(x)).logits.mean(0), torch.arange(B) % 5)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        network.reset()


@pytest.mark.parametrize("path", PATHS)
def test_two_trainings_are_equal_to_the_bit(host, path):
    found = []
    for _ in range(2):
        network = declare(Dropping(), Time("multi_step", T), host=host)
        fast = accelerated(network, path, probe=images(SIZES, direct=True).float())
        train(fast, 4, torch.float32)
        found.append(network.tensors)
    assert all(torch.equal(found[1][name], value) for name, value in found[0].items())


def test_finding_the_way_draws_no_random_numbers(host):
    """Else a training would go on otherwise than without it, and otherwise after it was interrupted."""
    network = declare(Residual(), Time("multi_step", T), host=host)
    network.module.lif1.surrogate_function = surrogate.SoftSign(alpha=1.875)  # no other test has traced it
    x = images(SIZES, direct=True).float()
    torch.manual_seed(3)
    before = torch.get_rng_state()
    fast = accelerated(network, probe=x)
    fast.forward(x).logits.sum().backward()
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("path", PATHS)
def test_inference_mode(host, path):
    network, x = own(Residual, host), images(SIZES, direct=True)
    network.module.eval()
    fast = accelerated(network.copy(), path, probe=x)
    fast.module.eval()
    with torch.inference_mode():
        found, expected = fast.forward(x).logits, network.forward(x).logits
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)


def test_a_users_network_with_torchs_own_norm(host):
    network = declare(JellyNet(), Time("multi_step", T), host=host).in_float64()
    found = acceleration(network, "fused", probe=images(SIZES, direct=True))
    assert found.path == "fused"
    assert isinstance(network.module.lif1, neuron.LIFNode)


@pytest.mark.parametrize("path", PATHS)
def test_the_way_may_be_looked_for_in_inference_mode(host, path):
    network, x = own(Residual, host), images(SIZES, direct=True)
    own_copy = network.copy()
    with torch.inference_mode():
        fast = accelerated(own_copy, path, probe=x)
    assert_same(outcome(fast, x, training=True), outcome(network, x, training=True))


def test_a_probe_that_does_not_fit_is_told(host):
    with pytest.raises(ModelError, match="the network's own way failed: .*3 channels"):
        accelerated(own(Residual, host), probe=torch.zeros(T, B, 3, SIDE, SIDE))


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("how", ["float()", "spikes", "kernel", "numpy", "assert", "training"])
def test_a_network_that_does_not_run_in_float64_goes_its_own_way_and_says_so(host, how, path):
    network = declare(SinglePrecision(how), Time("multi_step", T), arguments={"how": how}, host=host)
    x = images((1, 8, 8), direct=True).float()
    found = acceleration(network, path, probe=x)
    assert (found.path, found.network.fast) == ("reference", None)
    (remark,) = found.remarks
    assert remark.startswith("the network does not run in float64, and networks are compared in it (")
    assert "write `x.to(self.fc.weight.dtype)`" in remark
    assert "`self.register_buffer(NAME, ...)`" in remark
    assert found.network.forward(x).logits.dtype is torch.float32


def test_the_cast_that_is_advised_has_a_fast_way(host):
    network = declare(SinglePrecision("advised"), Time("multi_step", T), arguments={"how": "advised"}, host=host)
    assert acceleration(network, "fused", probe=images((1, 8, 8), direct=True)).path == "fused"


@pytest.mark.skipif(compiler() is None, reason="no C compiler is found")
def test_kernels_that_lie_on_this_machine_are_not_said_to_be_compiled(host, tmp_path, monkeypatch):
    """Forgetting what this process has loaded stands for another process."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    network = declare(JellyNet(), Time("multi_step", 2), host=host)
    found = []
    for forgets in (True, False, True):
        if forgets:
            native_rule.cache_clear()
            native_norm.cache_clear()
        found.append(acceleration(network, "compiled", probe=torch.rand(2, 8, 1, 8, 8)))
    files = len(list((tmp_path / "snncompress" / "kernels").iterdir()))
    assert [one.num_kernels for one in found] == [files, 0, 0]
    assert found[0].compile_seconds > 0
    assert [one.compile_seconds for one in found[1:]] == [0, 0]
