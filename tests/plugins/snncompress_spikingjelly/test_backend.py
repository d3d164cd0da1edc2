"""Reset, ownership, time and precision of SpikingJelly modules, against the library itself."""

from __future__ import annotations

import copy

import pytest
import snntorch
import torch
from spikingjelly.activation_based import base, functional, layer, neuron
from torch import nn

from snncompress import Inputs, ModelError, Time
from snncompress_spikingjelly.architectures import QKFormer, SEWResNet, Spikformer, SpikingVGG
from snncompress_spikingjelly.backend import SpikingJellyBackend

BACKEND = SpikingJellyBackend()
MULTI, PER_STEP = Time("multi_step", T=4), Time("per_step", T=4)
NETWORKS = [
    (Spikformer(embed_dims=32, depths=1), (1, 16, 16)),
    (QKFormer(embed_dims=32, num_heads=(1, 1, 2)), (1, 16, 16)),
    (SEWResNet(width=8), (1, 16, 16)),
    (SpikingVGG(channels=[8, "M", 16, "M"], hidden=[12]), (1, 16, 16)),
]
ABSTRACT_OR_WITH_ARGUMENTS = (
    neuron.BaseNode,
    neuron.AdaptBaseNode,
    neuron.MPBNBaseNode,
    neuron.MPBNLIFNode,
    neuron.LIAFNode,
)
STATEFUL_NEURONS = [
    kind
    for name in neuron.__dict__
    if isinstance(kind := getattr(neuron, name), type)
    and issubclass(kind, neuron.BaseNode)
    and kind not in ABSTRACT_OR_WITH_ARGUMENTS
]


def build(settings, shape):
    module, time = settings.resolved(Inputs(shape, 10), 4).build()
    return module, time


def reset(root):
    for module in root.modules():
        if BACKEND.owns(module):
            BACKEND.reset(module)


def sequence(*shape, seed=0, scale=3.0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed)) * scale


@pytest.mark.parametrize(("settings", "shape"), NETWORKS)
def test_reset_equals_the_librarys_and_a_missing_one_shows(settings, shape):
    module, time = build(settings, shape)  # in training mode: untrained, with norms that saw no data, it is silent
    twin = copy.deepcopy(module)
    first, second = sequence(4, 3, *shape), sequence(4, 3, *shape, seed=1)
    with torch.no_grad():
        BACKEND.forward(module, first, time)
        twin(first)
        unreset = BACKEND.forward(module, second, time)
        reset(module)
        functional.reset_net(twin)
        ours, theirs = BACKEND.forward(module, second, time), twin(second)
    assert torch.equal(ours, theirs)
    assert not torch.equal(unreset, ours)


@pytest.mark.parametrize(("settings", "shape"), NETWORKS)
def test_a_network_can_be_copied_after_training_and_take_another_batch(settings, shape):
    module, time = build(settings, shape)
    BACKEND.forward(module, sequence(4, 3, *shape), time).sum().backward()
    with pytest.raises(RuntimeError, match=r"graph leaves|deepcopy protocol"):
        copy.deepcopy(module)
    reset(module)
    twin = copy.deepcopy(module)
    x = sequence(4, 5, *shape, seed=2)
    assert torch.equal(BACKEND.forward(twin, x, time), BACKEND.forward(module, x, time))


@pytest.mark.parametrize(("settings", "shape"), NETWORKS)
def test_float64_holds_throughout(settings, shape):
    module, time = build(settings, shape)
    BACKEND.to_float64(module)
    seen = set()

    def note(part, _, output):
        if isinstance(output, torch.Tensor):
            seen.add((type(part).__name__, output.dtype))

    for part in module.modules():
        part.register_forward_hook(note)
    BACKEND.forward(module, sequence(4, 2, *shape).double(), time)
    states = {value.dtype for value in base.memories(module) if isinstance(value, torch.Tensor)}
    assert len(seen) > 5
    assert {dtype for _, dtype in seen} | states == {torch.float64}


def test_float64_lifts_a_lower_precision_of_the_states():
    module = nn.Sequential(neuron.LIFNode(step_mode="m"))
    module[0]._neuron_precision = (torch.float16, "fp32", "fp32")
    BACKEND.to_float64(module)
    module(sequence(4, 2, 3).double())
    assert module[0].v.dtype == torch.float64


@pytest.mark.parametrize("kind", STATEFUL_NEURONS, ids=lambda kind: kind.__name__)
def test_every_neuron_of_the_library_resets_to_a_fresh_one(kind):
    node = kind()
    fresh = copy.deepcopy(node)
    first, second = sequence(4, 2, 3), sequence(4, 2, 3, seed=1)

    def run(of, x_TBN):
        return torch.stack([BACKEND.spikes(of, of(x_BN)) for x_BN in x_TBN])

    assert BACKEND.owns(node)
    run(node, first.requires_grad_())
    BACKEND.reset(node)
    copy.deepcopy(node)
    assert torch.equal(run(node, second), run(fresh, second))
    BACKEND.reset(node)
    assert run(node, sequence(4, 5, 3)).shape == (4, 5, 3)


def test_neurons_that_keep_potentials_in_attributes_can_be_copied_after_reset():
    for node in (neuron.NonSpikingLIFNode(), neuron.NonSpikingIFNode(), neuron.ILCCUBALIFNode(2, 3, v_reset=0.0)):
        node(sequence(4, 1, 6).requires_grad_().clone())
        with pytest.raises(RuntimeError, match=r"graph leaves|deepcopy protocol"):
            copy.deepcopy(node)
        BACKEND.reset(node)
        assert BACKEND.owns(copy.deepcopy(node))


def test_what_is_owned_and_what_is_a_neuron():
    class MyNode(neuron.LIFNode):
        pass

    assert BACKEND.is_neuron(MyNode())
    assert BACKEND.is_neuron(neuron.PSN(T=4))
    assert BACKEND.is_neuron(neuron.ParametricLIFNode())
    for silent in (neuron.NonSpikingLIFNode(), layer.Dropout(), layer.SynapseFilter()):
        assert BACKEND.owns(silent)
        assert not BACKEND.is_neuron(silent)
    for foreign in (nn.Linear(2, 2), layer.Conv2d(1, 1, 1), snntorch.Leaky(beta=0.5), nn.ReLU()):
        assert not BACKEND.owns(foreign)
        assert not BACKEND.is_neuron(foreign)


def test_a_recurrent_container_resets_and_keeps_its_weights_visible():
    container = layer.LinearRecurrentContainer(neuron.IFNode(), 3, 3)
    fresh = copy.deepcopy(container)
    for x_BN in sequence(3, 2, 3):
        container(x_BN)
    reset(container)
    assert torch.equal(container(sequence(2, 3)), fresh(sequence(2, 3)))
    assert not BACKEND.owns(container.rc)


def test_spikes_of_online_learning_come_without_their_traces():
    node = neuron.OTTTLIFNode()
    output = node(sequence(2, 3))
    assert isinstance(output, list)
    assert torch.equal(BACKEND.spikes(node, output), (sequence(2, 3) >= 1).float())


def test_per_step_equals_multi_step_on_a_stateful_network():
    def network():
        torch.manual_seed(0)
        return nn.Sequential(layer.Linear(6, 8), neuron.LIFNode(), layer.Linear(8, 3), neuron.IFNode())

    stepwise, multi = network(), network()
    functional.set_step_mode(multi, "m")
    x_TBN = sequence(4, 5, 6)
    ours = BACKEND.forward(stepwise, x_TBN, PER_STEP)
    assert ours.count_nonzero() > 0
    assert torch.equal(ours, functional.multi_step_forward(x_TBN, network()))
    assert torch.equal(ours, BACKEND.forward(multi, x_TBN, MULTI))


def test_a_loop_inside_forward_is_left_alone():
    class Loop(nn.Module):
        def __init__(self):
            super().__init__()
            self.node = neuron.IFNode()

        def forward(self, x_TBN):
            return torch.stack([self.node(x_BN) for x_BN in x_TBN])

    time = Time("inside", T=4)
    assert BACKEND.runs(Loop(), time)
    assert torch.equal(BACKEND.forward(Loop(), sequence(4, 2, 3), time), Loop()(sequence(4, 2, 3)))


def test_steps_with_several_outputs_are_stacked_one_by_one():
    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.node = neuron.IFNode()

        def forward(self, x_BN):
            return self.node(x_BN), self.node.v

    spikes, membranes = BACKEND.forward(Two(), torch.full((3, 1, 1), 0.6), PER_STEP)
    assert spikes.flatten().tolist() == [0, 1, 0]
    assert membranes.flatten().tolist() == pytest.approx([0.6, 0, 0.6])


def test_a_network_in_the_wrong_step_mode_is_refused_with_the_way_to_mend_it():
    single = nn.Sequential(layer.Linear(2, 2), neuron.LIFNode())
    said = r"needs step mode 'm', but '0' \(Linear\) and 1 more is in 's'; declare runner 'per_step', or call"
    with pytest.raises(ModelError, match=said):
        BACKEND.runs(single, MULTI)
    functional.set_step_mode(single, "m")
    assert BACKEND.runs(single, MULTI)
    with pytest.raises(ModelError, match="declare runner 'multi_step'"):
        BACKEND.forward(single, sequence(4, 2, 2), PER_STEP)


def test_a_spikformer_put_into_single_step_mode_is_refused():
    module, time = build(*NETWORKS[0])
    functional.set_step_mode(module, "s")  # the library takes this, and computes something else
    with pytest.raises(ModelError, match="needs step mode 'm'"):
        BACKEND.forward(module, sequence(4, 2, 1, 16, 16), time)
    with pytest.raises(ModelError, match=r"'patch_embed\.stages\.0\.conv_bn\.block' \(SeqToANNContainer\)"):
        BACKEND.runs(module, PER_STEP)


def test_what_it_does_not_run():
    ann = Time("none", input="static", output="averaged")
    assert not BACKEND.runs(nn.Sequential(neuron.IFNode()), ann)
    assert not BACKEND.runs(nn.Linear(2, 2), PER_STEP)
