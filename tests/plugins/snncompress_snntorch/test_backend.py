"""Reset, ownership, time and precision of snnTorch neurons, against fresh copies and the library itself."""

from __future__ import annotations

import copy

import pytest
import snntorch
import torch
from snntorch import surrogate, utils
from spikingjelly.activation_based import neuron as spikingjelly_neuron
from torch import nn

from snncompress import Time
from snncompress_snntorch.backend import SnnTorchBackend

BACKEND = SnnTorchBackend()
PER_STEP, MULTI, INSIDE = Time("per_step", T=4), Time("multi_step", T=4), Time("inside", T=4)
N = 6

STEPWISE = {
    "Leaky": lambda **s: snntorch.Leaky(beta=0.9, **s),
    "Leaky-zero": lambda **s: snntorch.Leaky(beta=0.9, reset_mechanism="zero", reset_delay=False, **s),
    "Lapicque": lambda **s: snntorch.Lapicque(beta=0.9, threshold=0.2, **s),
    "Synaptic": lambda **s: snntorch.Synaptic(alpha=0.9, beta=0.8, **s),
    "Alpha": lambda **s: snntorch.Alpha(alpha=0.9, beta=0.8, **s),
    "RLeaky": lambda **s: snntorch.RLeaky(beta=0.9, linear_features=N, **s),
    "RLeaky-one": lambda **s: snntorch.RLeaky(beta=0.9, all_to_all=False, V=0.5, **s),
    "RSynaptic": lambda **s: snntorch.RSynaptic(alpha=0.9, beta=0.8, linear_features=N, **s),
    "SLSTM": lambda **s: snntorch.SLSTM(N, N, threshold=0.1, **s),
    "SLSTM-wider": lambda **s: snntorch.SLSTM(N, 8, threshold=0.1, **s),
    "DeltaLeaky": lambda **s: snntorch.DeltaLeaky(delta_threshold=0.5, beta=0.9, **s),
}
WHOLE = {
    "StateLeaky": lambda: snntorch.StateLeaky(beta=0.9, channels=N),
    "LinearLeaky": lambda: snntorch.LinearLeaky(beta=0.9, in_features=N, out_features=N),
    "AssociativeLeaky": lambda: snntorch.AssociativeLeaky(N, 2, 3, 6, use_q_projection=False),
    "LeakyParallel": lambda: snntorch.LeakyParallel(N, N, beta=0.9),
}
RESET_BY_THE_LIBRARY = [name for name in STEPWISE if name not in ("RSynaptic", "DeltaLeaky")]  # it forgets their states


def sequence(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed)) * 1.5


def conv_lstm():
    return snntorch.SConv2dLSTM(2, 3, 3, threshold=0.05, init_hidden=True)


def reset(root):
    for module in root.modules():
        if BACKEND.owns(module):
            BACKEND.reset(module)


def spikes_of(node, x_T):
    return torch.stack([BACKEND.spikes(node, node(x)) for x in x_T])


@pytest.mark.parametrize("output", [False, True])
@pytest.mark.parametrize("make", STEPWISE.values(), ids=STEPWISE)
def test_after_reset_a_neuron_is_as_good_as_new(make, output):
    torch.manual_seed(0)
    node = make(init_hidden=True, output=output)
    fresh = copy.deepcopy(node)
    first, second = sequence(4, 3, N).requires_grad_(), sequence(4, 2, N, seed=1)
    spikes_of(node, first).sum().backward()
    reset(node)
    twin = copy.deepcopy(node)
    expected = spikes_of(fresh, second)
    assert expected.count_nonzero() > 0
    assert torch.equal(spikes_of(node, second), expected)
    assert torch.equal(spikes_of(twin, second), expected)


def test_after_reset_a_convolutional_lstm_is_as_good_as_new():
    torch.manual_seed(0)
    node = conv_lstm()
    fresh = copy.deepcopy(node)
    spikes_of(node, sequence(4, 3, 2, 5, 5).requires_grad_())
    reset(node)
    twin, x = copy.deepcopy(node), sequence(4, 2, 2, 7, 5, seed=1)
    assert spikes_of(fresh, x).count_nonzero() > 0
    reset(fresh)
    assert torch.equal(spikes_of(node, x), spikes_of(fresh, x))
    reset(fresh)
    assert torch.equal(spikes_of(twin, x), spikes_of(fresh, x))


@pytest.mark.parametrize("make", [*STEPWISE.values()], ids=STEPWISE)
def test_without_reset_the_state_shows(make):
    torch.manual_seed(0)
    node = make(init_hidden=True)
    kept = [value for value in (node(sequence(3, N)) for _ in range(3)) if value is not None]
    held = [
        name
        for name in ("mem", "mem_prev", "syn", "syn_exc", "spk")
        if isinstance(getattr(node, name, None), torch.Tensor)
    ]
    assert kept
    assert any(getattr(node, name).count_nonzero() for name in held)
    reset(node)
    left = [getattr(node, name).count_nonzero() for name in held if isinstance(getattr(node, name, None), torch.Tensor)]
    assert not any(left)


@pytest.mark.parametrize("name", RESET_BY_THE_LIBRARY)
def test_reset_equals_the_librarys(name):
    torch.manual_seed(0)
    ours = nn.Sequential(nn.Linear(N, N), STEPWISE[name](init_hidden=True))
    theirs = copy.deepcopy(ours)
    BACKEND.adopt(theirs)
    for net in (ours, theirs):
        spikes_of(net, sequence(4, 3, N))
    reset(ours)
    utils.reset(theirs)
    second = sequence(4, 3, N, seed=1) * 3
    assert torch.equal(spikes_of(ours, second), spikes_of(theirs, second))


@pytest.mark.parametrize("make", WHOLE.values(), ids=WHOLE)
def test_neurons_over_whole_sequences_can_be_copied_after_reset(make):
    node = make()
    x_TBC = sequence(4, 3, N).requires_grad_()
    expected = BACKEND.spikes(node, node(x_TBC))
    reset(node)
    twin = copy.deepcopy(node)
    assert torch.equal(BACKEND.spikes(twin, twin(x_TBC)), expected)
    assert BACKEND.is_neuron(node)
    assert BACKEND.runs(nn.Sequential(node), MULTI)
    assert not BACKEND.runs(nn.Sequential(node), PER_STEP)


def test_neurons_that_are_handed_their_state_are_reset_harmlessly():
    class Loop(nn.Module):
        def __init__(self):
            super().__init__()
            self.node = snntorch.Leaky(beta=0.9)

        def forward(self, x_TBN):
            mem, records = self.node.init_leaky(), []
            for x_BN in x_TBN:
                spikes, mem = self.node(x_BN, mem)
                records.append((spikes, mem))
            return tuple(torch.stack(parts) for parts in zip(*records, strict=True))

    net = Loop()
    fresh, x_TBN = Loop(), sequence(4, 3, N)
    BACKEND.forward(net, x_TBN.requires_grad_(), INSIDE)
    reset(net)
    copy.deepcopy(net)
    for ours, theirs in zip(BACKEND.forward(net, x_TBN, INSIDE), fresh(x_TBN), strict=True):
        assert torch.equal(ours, theirs)
    assert BACKEND.runs(net, INSIDE)


def test_a_step_at_a_time_is_stacked_as_declared():
    time = Time("per_step", T=3, records=("output", "membranes"))
    net = nn.Sequential(snntorch.Leaky(beta=0.5, init_hidden=True, output=True))
    spikes, membranes = BACKEND.forward(net, torch.full((3, 1, 1), 0.8), time)
    assert membranes.flatten().tolist() == pytest.approx([0.8, 1.2, 0.4])  # 0.5 * 1.2 + 0.8 - 1
    assert spikes.flatten().tolist() == [0, 1, 0]


@pytest.mark.parametrize("name", ["Synaptic", "Alpha", "DeltaLeaky"])
def test_neurons_with_more_states_record_their_spikes_and_membrane(name):
    net = nn.Sequential(STEPWISE[name](init_hidden=True, output=True))
    x_TBN = sequence(4, 3, N)
    both = BACKEND.forward(net, x_TBN, Time("per_step", T=4, records=("output", "membranes")))
    assert torch.equal(both[1][-1], net[0].mem)
    reset(net)
    (alone,) = BACKEND.forward(net, x_TBN, PER_STEP)
    assert torch.equal(alone, both[0])
    reset(net)
    assert torch.equal(alone, spikes_of(net, x_TBN))


@pytest.mark.parametrize("make", STEPWISE.values(), ids=STEPWISE)
def test_float64_holds_throughout(make):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(N, N), make(init_hidden=True))
    nn.init.eye_(net[0].weight)
    exact = copy.deepcopy(net)
    BACKEND.to_float64(exact)
    x_TBN = sequence(4, 3, N) * 2
    spikes = spikes_of(exact, x_TBN.double())
    assert spikes.dtype == torch.float64
    assert exact[1].mem.dtype == torch.float64
    assert (spikes.float() == spikes_of(net, x_TBN)).float().mean() > 0.9
    assert set(spikes.unique().tolist()) == {0.0, 1.0}


@pytest.mark.parametrize("make", WHOLE.values(), ids=WHOLE)
def test_float64_holds_in_neurons_over_whole_sequences(make):
    node = make()
    BACKEND.to_float64(node)
    assert BACKEND.spikes(node, node(sequence(4, 3, N).double())).dtype == torch.float64


def test_float64_of_a_convolutional_lstm_and_of_a_surrogate_that_is_a_module():
    node = conv_lstm()
    BACKEND.to_float64(node)
    assert node(sequence(3, 2, 5, 5).double()).dtype == torch.float64

    class Step(nn.Module):
        def forward(self, potential):
            return (potential > 0).float()

    leaky = snntorch.Leaky(beta=0.5, spike_grad=Step(), init_hidden=True)
    BACKEND.to_float64(leaky)
    assert leaky(sequence(3, N).double()).dtype == torch.float64


def test_float64_keeps_the_surrogate_gradient():
    net = nn.Sequential(snntorch.Leaky(beta=0.5, spike_grad=surrogate.atan(alpha=2.0), init_hidden=True))
    BACKEND.to_float64(net)
    x = torch.tensor([[0.5]], dtype=torch.float64, requires_grad=True)
    net(x).sum().backward()
    assert x.grad.item() == pytest.approx(1 / (1 + (torch.pi * 0.5) ** 2))  # alpha/2 / (1 + (pi/2 * alpha * (x-1))^2)


def test_a_copied_network_is_known_to_the_librarys_own_reset():
    net = nn.Sequential(snntorch.Leaky(beta=0.9, init_hidden=True))
    twin = copy.deepcopy(net)
    twin(sequence(3, N))
    utils.reset(twin)
    assert twin[0].mem.count_nonzero() > 0  # the library has lost sight of the copy
    BACKEND.adopt(twin)
    BACKEND.adopt(twin)
    assert sum(known.__dict__ is twin[0].__dict__ for known in snntorch.Leaky.instances) == 1
    utils.reset(twin)
    assert twin[0].mem.count_nonzero() == 0


def test_what_is_owned_and_what_is_a_neuron():
    class MyLeaky(snntorch.Leaky):
        pass

    assert BACKEND.is_neuron(MyLeaky(beta=0.5))
    for silent in (snntorch.StateLeaky(beta=0.9, channels=2, output=False), snntorch.AssociativeLeaky(4, 2, 2, 4)):
        assert BACKEND.owns(silent)
        assert not BACKEND.is_neuron(silent)
    for foreign in (nn.Linear(2, 2), spikingjelly_neuron.LIFNode(), STEPWISE["RLeaky"]().recurrent):
        assert not BACKEND.owns(foreign)
        assert not BACKEND.is_neuron(foreign)


def test_recurrent_weights_stay_visible_as_modules_of_their_own():
    found = {
        name: [
            type(part).__name__
            for part in make().modules()
            if not BACKEND.owns(part) and list(part.parameters(recurse=False))
        ]
        for name, make in STEPWISE.items()
    }
    assert {name: kinds for name, kinds in found.items() if kinds} == {
        "RLeaky": ["Linear"],
        "RLeaky-one": ["RecurrentOneToOne"],
        "RSynaptic": ["Linear"],
        "SLSTM": ["LSTMCell"],
        "SLSTM-wider": ["LSTMCell"],
    }


def test_which_runners_fit():
    stepwise = nn.Sequential(nn.Linear(2, 2), snntorch.Leaky(beta=0.5, init_hidden=True))
    mixed = nn.Sequential(*stepwise, snntorch.StateLeaky(beta=0.5, channels=2))
    ann = Time("none", input="static", output="averaged")
    assert [BACKEND.runs(stepwise, time) for time in (PER_STEP, MULTI, INSIDE, ann)] == [True, False, True, False]
    assert [BACKEND.runs(mixed, time) for time in (PER_STEP, MULTI, INSIDE)] == [False, False, True]
    assert not any(BACKEND.runs(nn.Linear(2, 2), time) for time in (PER_STEP, MULTI, INSIDE))
