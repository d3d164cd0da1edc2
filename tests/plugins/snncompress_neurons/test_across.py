"""Neurons of one library inside a network of the other: exact where the mathematics is the same."""

import subprocess
import sys
from functools import partial

import pytest
import snntorch
import torch
from own_networks import LoopNet
from snntorch import surrogate
from spikingjelly.activation_based import functional, layer, neuron
from spikingjelly.activation_based import surrogate as jelly_surrogate
from torch import nn

from snncompress import EditError, Inputs, Time, accelerated, declare, load, save
from snncompress.network import open_architecture, spike_trains

T = 3


def same_spikes(one, other, x_T):
    before, after = spike_trains(one, x_T), spike_trains(other, x_T)
    assert before[1].keys() == after[1].keys()
    return all(torch.equal(after[1][path], spikes) for path, spikes in before[1].items()) and torch.equal(
        before[0].logits, after[0].logits
    )


def jelly(kind="LIFNode", **settings):
    """Return a user's SpikingJelly network of two layers."""
    torch.manual_seed(0)
    node = partial(
        getattr(neuron, kind), **{"detach_reset": True, "surrogate_function": jelly_surrogate.ATan(), **settings}
    )
    module = nn.Sequential(layer.Flatten(start_dim=1), layer.Linear(64, 12), node(), layer.Linear(12, 10), node())
    functional.set_step_mode(module, "m")
    return module


@pytest.fixture
def jelly_net(host, live):
    def build(**arguments):
        network = declare(jelly(**arguments), Time("multi_step", T), build=jelly, arguments=arguments, host=host)
        return live(network, gain=6.0)

    return build


LARGE = {
    "spikingjelly.qkformer": {},
    "spikingjelly.maxformer": {},
    "spikingjelly.spike_driven_transformer": {},
    "spikingjelly.parametric_lif_net": {"variant": "mnist"},
}


# ---- from SpikingJelly to snnTorch


@pytest.mark.slow
@pytest.mark.parametrize("library", ["spikingjelly", "snntorch"])
@pytest.mark.parametrize("use", LARGE)
def test_every_network_can_have_other_neurons(use, library, host, live_at, make, new_run):
    network = live_at(use, **LARGE[use])
    new = make("neurons.substitute", to="slif", library=library).apply(network, new_run(network))
    (proof,) = new.proofs
    assert proof.num_layers == len(network.neurons)
    assert proof.num_spikes > 1000
    assert {item.backend.name for item in new.neurons} == {library}


@pytest.fixture
def live_at(host):
    """Return a function that opens a network at the sizes that it takes, with norms that have seen data."""

    def build(use, **settings):
        torch.manual_seed(0)
        shape = (1, 28, 28) if settings else (3, 32, 32)
        architecture = host.catalogue["architectures"][use](**settings).resolved(Inputs(shape, 10), 2)
        network = open_architecture(architecture, host)
        x = torch.rand(1, 4, *shape).expand(2, 4, *shape)
        for module in network.module.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.momentum = 0.9
        network.module.train()
        with torch.no_grad():
            for _ in range(5):
                network.forward(x)
                network.reset()
        return network.with_probe(x)

    return build


@pytest.mark.parametrize("to", ["lif", "slif", "plif", "alif"])
def test_snntorch_runs_the_neurons_of_a_spikformer(to, spikformer, make, new_run, x_TBCHW):
    new = make("neurons.substitute", to=to, library="snntorch").apply(spikformer, new_run(spikformer))
    assert {item.backend.name for item in new.neurons} == {"snntorch"}
    assert new.proofs[0].num_layers == 10
    assert same_spikes(spikformer, new, x_TBCHW)  # a leak of 1/2 rounds nothing


def test_both_libraries_share_a_network_and_are_both_reset(spikformer, make, new_run, x_TBCHW):
    step = make("neurons.substitute", to="slif", library="snntorch", select=("mlp",))
    new = step.apply(spikformer, new_run(spikformer))
    assert {item.backend.name for item in new.neurons} == {"spikingjelly", "snntorch"}
    new.module.eval()
    first = new.forward(x_TBCHW).logits
    assert not torch.equal(new.forward(x_TBCHW).logits, first)  # state goes on
    new.reset()
    assert torch.equal(new.forward(x_TBCHW).logits, first)
    new.reset()


@pytest.mark.parametrize("decay_input", [True, False])
@pytest.mark.parametrize("v_reset", [0.0, -0.25])
@pytest.mark.parametrize("tau", [1.5, 3.0, 1 / 0.7])
def test_other_leaks_and_resting_potentials_fire_alike_in_float64(tau, v_reset, decay_input, jelly_net, make, new_run):
    network = jelly_net(tau=tau, v_reset=v_reset, decay_input=decay_input)
    new = make("neurons.substitute", to="slif", library="snntorch").apply(network, new_run(network))
    (proof,) = new.proofs
    assert proof.num_spikes > 50
    assert proof.float32_flips <= 2
    assert accelerated(new).fast is not None


@pytest.mark.parametrize("v_reset", [0.0, None])
def test_without_a_leak_both_resets_are_the_same(v_reset, jelly_net, make, new_run):
    network = jelly_net(kind="IFNode", v_reset=v_reset)
    new = make("neurons.substitute", to="if", library="snntorch").apply(network, new_run(network))
    assert new.proofs[0].num_spikes > 50


def test_what_lies_at_the_threshold_fires_as_it_did(make, new_run, host):
    """Input 1 and a leak of 1/2 lead to the threshold 0.5 itself: SpikingJelly fires there, a Leaky would not."""
    network = declare(at_threshold(), Time("multi_step", T), build=at_threshold, host=host)
    x_TBC = torch.ones(T, 4, 1)
    new = make("neurons.substitute", to="lif", library="snntorch").apply(network.with_probe(x_TBC), new_run(network))
    assert new.forward(x_TBC).logits.tolist() == [[[1.0]] * 4] * T
    new.reset()


def at_threshold():
    return nn.Sequential(neuron.LIFNode(2.0, v_threshold=0.5, detach_reset=True, step_mode="m"))


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"v_reset": None}, "a spike takes its threshold away at once, and here at the next step, behind the leak"),
        ({"detach_reset": False}, "its reset passes gradients into the spike, and here it never does"),
        ({"surrogate_function": jelly_surrogate.Erf()}, "its surrogate gradient is none of snnTorch's"),
    ],
)
def test_what_snntorch_cannot_do_is_refused(settings, reason, host, make, new_run):
    network = declare(jelly(), Time("multi_step", T), build=jelly, host=host).with_probe(torch.rand(T, 4, 1, 8, 8))
    network = network.copy()
    for item in network.neurons:
        for name, value in settings.items():
            setattr(item.module, name, value)
    with pytest.raises(EditError) as refused:
        make("neurons.substitute", to="lif", library="snntorch").apply(network, new_run(network))
    assert (
        str(refused.value)
        == f"this would compute something else; allow it with `approximate: true`: '2', '4': {reason}"
    )


def test_a_softly_reset_neuron_is_approximated_with_a_word(jelly_net, make, new_run, x_TBCHW):
    network = jelly_net(v_reset=None)
    step = make("neurons.substitute", to="lif", library="snntorch", approximate=True)
    step.apply(network, run := new_run(network))
    assert run.notes()["approximated"]["flipped"] > 0


# ---- from snnTorch to SpikingJelly


@pytest.mark.parametrize("to", ["lif", "slif", "plif", "alif"])
def test_spikingjelly_runs_neurons_that_are_reset_to_zero(to, zero_net, make, new_run, x_TBCHW):
    network = zero_net(beta=0.5)
    new = make("neurons.substitute", to=to, library="spikingjelly").apply(network, new_run(network))
    assert {item.backend.name for item in new.neurons} == {"spikingjelly"}
    assert {item.module.step_mode for item in new.neurons} == {"s"}
    assert new.proofs[0].num_spikes > 50
    assert same_spikes(network, new, x_TBCHW)


def test_other_leaks_fire_alike_in_float64(zero_net, make, new_run):
    network = zero_net(beta=0.9)
    new = make("neurons.substitute", to="slif", library="spikingjelly").apply(network, new_run(network))
    assert new.proofs[0].float32_flips <= 2
    assert accelerated(new).fast is not None


def test_there_and_back_is_the_network_that_it_was(zero_net, make, new_run, x_TBCHW):
    network = zero_net(beta=0.9)
    there = make("neurons.substitute", to="lif", library="spikingjelly").apply(network, new_run(network))
    back = make("neurons.substitute", to="lif", library="snntorch").apply(there, new_run(there))
    assert [type(item.module) for item in back.neurons] == [type(item.module) for item in network.neurons]
    assert same_spikes(network, back, x_TBCHW)


def test_a_subtracted_threshold_is_refused_and_a_readout_is_left_out(convnet, make, new_run):
    with pytest.raises(EditError) as refused:
        make("neurons.substitute", to="lif", library="spikingjelly").apply(convnet, new_run(convnet))
    assert str(refused.value) == (
        "some neurons cannot be exchanged, leave them out of `select`: 'readout': it returns its membrane too (output=True)"
    )
    step = make("neurons.substitute", to="lif", library="spikingjelly", select=("neuron", "!readout"))
    with pytest.raises(EditError) as refused:
        step.apply(convnet, new_run(convnet))
    assert str(refused.value) == (
        "this would compute something else; allow it with `approximate: true`: 'neuron1', 'neuron2': "
        "a spike takes its threshold away at the next step, behind the leak, and here at once"
    )


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"reset_mechanism": "none"}, "it never resets, and a neuron of SpikingJelly does"),
        ({"beta": 0.0}, "it forgets everything within a step (tau is not above 1)"),
        ({"beta": torch.tensor([0.2, 0.3])}, "its values differ from channel to channel, and those of this one do not"),
        ({"spike_grad": surrogate.fast_sigmoid()}, "its surrogate gradient is none of SpikingJelly's"),
        ({"beta": 1.0}, "it does not leak, and this one does"),
    ],
)
def test_what_spikingjelly_cannot_do_is_told(settings, reason, host):
    from snncompress_snntorch.backend import SnnTorchBackend

    given = {"beta": 0.5, "reset_mechanism": "zero", "spike_grad": surrogate.atan(), "init_hidden": True, **settings}
    described = SnnTorchBackend().describe(snntorch.Leaky(**given))
    assert list(host.make("neurons", "spikingjelly.lif").obstacles(described, abroad=True)) == [reason]


def test_leaks_by_channel_become_offsets(host, live, make, new_run, x_TBCHW):
    network = declare(by_channel(), Time("per_step", T), build=by_channel, host=host)
    network = live(network, gain=4.0)
    new = make("neurons.substitute", to="slif", library="spikingjelly", select=("1",)).apply(network, new_run(network))
    assert new.tensors["1.leak_offset"].shape == (6,)
    leak_C = 1 - torch.linspace(0.2, 0.9, 6).double()
    torch.testing.assert_close(
        new.neurons[0].backend.intrinsics(new.neurons[0].module)["leak"], leak_C, rtol=1e-6, atol=0
    )


def by_channel():
    torch.manual_seed(0)
    beta = torch.linspace(0.2, 0.9, 6).reshape(6, 1, 1)
    settings = {"reset_mechanism": "zero", "init_hidden": True, "spike_grad": surrogate.atan()}
    return nn.Sequential(
        nn.Conv2d(1, 6, 3),
        snntorch.Leaky(beta=beta, learn_beta=True, **settings),
        nn.Flatten(),
        nn.Linear(216, 10),
        snntorch.Leaky(beta=0.5, **settings),
    )


def test_a_loop_of_ones_own_keeps_passing_membranes(host, make, new_run):
    time = Time("inside", 6, input="static", records=("output", "membranes"), attribute="num_steps")
    network = declare(LoopNet(), time, host=host).with_probe(4 * torch.rand(16, 1, 8, 8))
    new = make("neurons.substitute", to="slif").apply(network, new_run(network))
    assert new.proofs[0].num_spikes > 50
    assert new.tensors["lif1.threshold_offset"].shape == (48,)
    with pytest.raises(EditError, match=r"its membrane is passed in by the caller \(init_hidden=False\)$"):
        make("neurons.substitute", to="slif", library="spikingjelly").apply(network, new_run(network))


# ---- gradients, artifacts


@pytest.mark.parametrize("to", ["spikingjelly", "snntorch"])
def test_gradients_are_the_same_on_the_other_side(to, zero_net, jelly_net, make, new_run, x_TBCHW):
    network = zero_net(beta=0.5) if to == "spikingjelly" else jelly_net()
    new = make("neurons.substitute", to="lif", library=to).apply(network, new_run(network))
    found = []
    for one in (network.in_float64(), new.in_float64()):
        one.module.train()
        one.forward(x_TBCHW.double()).logits.square().sum().backward()
        one.reset()
        found.append([value.grad for value in one.module.parameters()])
    torch.testing.assert_close(found[1], found[0], rtol=1e-6, atol=1e-9)  # snnTorch's surrogates count in float32
    assert all(bool(gradient.any()) for gradient in found[0])


@pytest.mark.parametrize("to", ["slif", "lif"])
def test_an_artifact_of_two_libraries_is_loaded_in_another_process(to, spikformer, make, new_run, tmp_path, x_TBCHW):
    step = make("neurons.substitute", to=to, library="snntorch", select=("mlp",))
    new = step.apply(spikformer, new_run(spikformer))
    save(new, tmp_path / "artifact")
    new.module.eval()
    torch.save({"x": x_TBCHW, "logits": new.forward(x_TBCHW).logits.detach()}, tmp_path / "expected.pt")
    new.reset()
    program = """
import sys, torch, snncompress
known = torch.load(sys.argv[1] + "/expected.pt")
network = snncompress.load(sys.argv[1] + "/artifact")
network.module.eval()
with torch.no_grad():
    assert torch.equal(network.forward(known["x"]).logits, known["logits"])
"""
    subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=True, cwd=tmp_path)
    assert load(tmp_path / "artifact").inventory.parts == new.inventory.parts
