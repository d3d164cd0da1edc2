"""Loaded networks and copies of networks in a user's own loop, cleared by ``snntorch.utils.reset``."""

from __future__ import annotations

import gc
import weakref

import pytest
import snntorch
import torch
from own_networks import NEURONS, DeltaNet, HiddenLoop, HiddenStates, StepwiseNet
from sklearn.datasets import load_digits
from snntorch import utils
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from snncompress import Time, compress, declare, load, measure, save

STEPS = 4
PER_STEP = Time("per_step", T=STEPS)
INSIDE = Time("inside", T=STEPS, input="static", attribute="num_steps")
FORGETS = ("RSynaptic",)
"""utils.reset leaves its spikes, so a second backward fails in the library itself, with a network it made too."""


def digits():
    x, y = load_digits(return_X_y=True)
    x_N1HW = torch.tensor(x, dtype=torch.float32).reshape(-1, 1, 8, 8) / 16
    return TensorDataset(x_N1HW[:400], torch.tensor(y[:400])), TensorDataset(x_N1HW[1297:], torch.tensor(y[1297:]))


def own_forward(net, x_B):
    """Run a network as snnTorch's tutorials do."""
    utils.reset(net)
    return torch.stack([net(x_B) for _ in range(STEPS)])


def trained_by_hand(net, data, *, epochs=1):
    optimizer, losses = torch.optim.Adam(net.parameters(), lr=5e-3), []
    torch.manual_seed(0)
    for _ in range(epochs):
        for x_B, y_B in DataLoader(data, 50, shuffle=True):
            loss = nn.functional.cross_entropy(own_forward(net, x_B).mean(0), y_B)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(float(loss.detach()))
    return losses


def own_correct(net, data, batch_size=64):
    with torch.no_grad():
        return sum(
            int((own_forward(net, x_B).mean(0).argmax(1) == y_B).sum()) for x_B, y_B in DataLoader(data, batch_size)
        )


def copies(network, folder):
    """Return a network in every form that the library hands out."""
    save(network, folder)
    return {
        "loaded": load(folder, allow_code=True),
        "copied": network.copy(),
        "with weights": network.with_weights(network.tensors),
        "masked": network.with_masks({"1.weight": torch.ones(24, 64, dtype=torch.bool)}),
        "initialised anew": network.reinitialised().with_weights(network.tensors),
    }


@pytest.mark.parametrize("name", [name for name in NEURONS if name not in FORGETS])
def test_every_copy_trains_and_counts_in_a_loop_of_ones_own_as_the_original_does(name, tmp_path):
    """The last batch is smaller than the others, so a state that is not cleared cannot hide behind its shape."""
    train, test = digits()
    torch.manual_seed(0)
    original = StepwiseNet(name)
    network = declare(original, PER_STEP, arguments={"kind": name})
    trained_by_hand(original, train, epochs=2)
    expected = own_correct(original, test)
    assert expected > 100, "a network that has learned nothing would prove nothing"
    for made, twin in copies(network, tmp_path / "network").items():
        measure(twin, test, ["accuracy"], encode="direct", batch_size=64)  # leaves what our own reset leaves
        assert own_correct(twin.module, test) == expected, made
        own = measure(twin, test, ["accuracy"], batch_size=64)["accuracy"].value
        assert round(own * len(test)) == expected, made
        network.reset()
        again = load(tmp_path / "network", allow_code=True).module
        assert trained_by_hand(twin.module, train) == trained_by_hand(again, train), made


@pytest.mark.parametrize("name", list(NEURONS))
def test_every_neuron_works_in_the_librarys_own_loop_after_our_own_reset(name, tmp_path):
    """Cleared by the network's reset() between batches, forward and backward, of other sizes and in evaluation too."""
    torch.manual_seed(0)
    network = declare(StepwiseNet(name), PER_STEP, arguments={"kind": name})
    fresh = StepwiseNet(name)
    fresh.load_state_dict(network.module.state_dict())
    twin = network.copy()
    for size in (6, 3, 6):
        x_B = torch.rand(size, 64)
        twin.reset()
        utils.reset(twin.module)
        outputs = torch.stack([twin.module(x_B) for _ in range(STEPS)])
        new = StepwiseNet(name)
        new.load_state_dict(fresh.state_dict())
        assert torch.equal(outputs, torch.stack([new(x_B) for _ in range(STEPS)]))
        outputs.sum().backward()
    assert all(value.grad is not None for value in twin.module.parameters())


@pytest.mark.parametrize("build", [HiddenStates, HiddenLoop])
def test_loops_inside_forward_that_call_the_librarys_reset_themselves(build, tmp_path):
    train, test = digits()
    torch.manual_seed(0)
    original = build()
    network = declare(original, INSIDE)
    trained = network.copy().module
    optimizer = torch.optim.Adam(trained.parameters(), lr=5e-3)
    for x_B, y_B in 2 * list(DataLoader(train, 50)):
        optimizer.zero_grad()
        nn.functional.cross_entropy(trained(x_B).mean(0), y_B).backward()
        optimizer.step()
    twin = network.with_weights(trained.state_dict())
    with torch.no_grad():
        correct = sum(int((trained(x_B).mean(0).argmax(1) == y_B).sum()) for x_B, y_B in DataLoader(test, 64))
    assert correct > 100
    assert round(measure(twin, test, ["accuracy"])["accuracy"].value * len(test)) == correct


def test_what_a_run_leaves_behind_works_in_a_loop_of_ones_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    train, test = digits()
    torch.manual_seed(0)
    network = declare(StepwiseNet("Leaky"), PER_STEP, arguments={"kind": "Leaky"})
    trained_by_hand(network.module, train, epochs=2)
    steps = [
        {"use": "neurons.substitute", "to": "slif"},
        {"use": "prune.l1", "fraction": 0.5, "finetune": {"epochs": 1, "lr": 5e-3}},
    ]
    result = compress(network, steps=steps, data=(train, test, test), measure=["accuracy"], silent=True)
    for module in (result.network.module, load("runs/compressed/final", allow_code=True).module):
        assert own_correct(module, test) == round(result.record.final["accuracy"].value * len(test))
        assert trained_by_hand(module, train)[-1] < 2.3


def test_copies_are_freed_and_the_library_counts_through_its_list_all_the_same():
    network = declare(StepwiseNet("Leaky"), PER_STEP, arguments={"kind": "Leaky"})
    before = len(snntorch.SpikingNeuron.instances)
    twins = [network.copy() for _ in range(3)]
    assert len(snntorch.SpikingNeuron.instances) == before + 6
    gone = weakref.ref(twins[0].module[2])
    del twins
    gc.collect()
    assert gone() is None
    utils.reset(network.module)  # goes through the places of those that are gone
    kept = network.copy()
    assert len(snntorch.SpikingNeuron.instances) == before + 2
    assert all(neuron is not None for neuron in snntorch.SpikingNeuron.instances)
    assert kept.module is not None


def test_a_delta_leaky_begins_anew_and_does_not_break_the_reset_of_others():
    torch.manual_seed(0)
    network = declare(DeltaNet(), Time("per_step", T=STEPS)).copy()
    twin = network.module
    for size in (6, 3, 6):
        x_B, fresh = torch.rand(size, 64), DeltaNet()
        fresh.load_state_dict(twin.state_dict())
        expected = torch.stack([fresh(x_B)[0] for _ in range(STEPS)])
        utils.reset(twin)
        outputs = torch.stack([twin(x_B)[0] for _ in range(STEPS)])
        assert torch.equal(outputs, expected)
        outputs.sum().backward()
        network.reset()
    other = declare(StepwiseNet("Leaky"), PER_STEP, arguments={"kind": "Leaky"}).copy().module
    other(torch.rand(3, 64) * 3)
    utils.reset(other)
    assert other[2].mem.count_nonzero() == 0
