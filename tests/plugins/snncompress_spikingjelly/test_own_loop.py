"""Loaded networks and copies of networks in a user's own loop, cleared by SpikingJelly's ``functional.reset_net``."""

from __future__ import annotations

import pytest
import torch
from own_networks import JellyNet, KindNet
from sklearn.datasets import load_digits
from spikingjelly.activation_based import functional, neuron
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from snncompress import Time, compress, declare, load, measure, save

STEPS = 4
KINDS = ("IFNode", "LIFNode", "ParametricLIFNode", "KLIFNode", "QIFNode", "EIFNode", "IzhikevichNode", "CUBALIFNode")


def digits():
    x, y = load_digits(return_X_y=True)
    x_N1HW = torch.tensor(x, dtype=torch.float32).reshape(-1, 1, 8, 8) / 16
    return TensorDataset(x_N1HW[:400], torch.tensor(y[:400])), TensorDataset(x_N1HW[1297:], torch.tensor(y[1297:]))


def trained_by_hand(net, data, *, epochs=1):
    optimizer = torch.optim.Adam(net.parameters(), lr=5e-3)
    torch.manual_seed(0)
    for _ in range(epochs):
        for x_B, y_B in DataLoader(data, 50, shuffle=True):
            functional.reset_net(net)
            loss = nn.functional.cross_entropy(net(x_B.expand(STEPS, *x_B.shape)).mean(0), y_B)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    functional.reset_net(net)
    return float(loss.detach())


def own_correct(net, data):
    right = 0
    with torch.no_grad():
        for x_B, y_B in DataLoader(data, 64):  # the last batch is smaller
            functional.reset_net(net)
            right += int((net(x_B.expand(STEPS, *x_B.shape)).mean(0).argmax(1) == y_B).sum())
    functional.reset_net(net)
    return right


def test_loaded_and_changed_networks_count_and_train_in_a_loop_of_ones_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    train, test = digits()
    torch.manual_seed(0)
    network = declare(JellyNet(), Time("multi_step", T=STEPS))
    trained_by_hand(network.module, train, epochs=3)
    network.module.eval()
    expected = own_correct(network.module, test)
    assert expected > 100
    save(network, "saved")
    for twin in (load("saved", allow_code=True), network.copy(), network.with_weights(network.tensors)):
        measure(twin, test, ["accuracy"])
        assert own_correct(twin.module.eval(), test) == expected
        assert round(measure(twin, test, ["accuracy"])["accuracy"].value * len(test)) == expected


@pytest.mark.parametrize("kind", ["slif", "alif", "plif"])
def test_stand_ins_of_a_run_train_in_a_loop_of_ones_own(kind, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    train, test = digits()
    torch.manual_seed(0)
    network = declare(JellyNet(), Time("multi_step", T=STEPS))
    trained_by_hand(network.module, train)
    steps = [{"use": "neurons.substitute", "to": kind}, {"use": "train", "epochs": 1, "lr": 5e-3}]
    result = compress(network, steps=steps, data=(train, test, test), measure=["accuracy"], silent=True)
    for module in (result.network.module, load("runs/compressed/final", allow_code=True).module):
        assert own_correct(module.eval(), test) == round(result.record.final["accuracy"].value * len(test))
        before = {name: value.clone() for name, value in module.state_dict().items()}
        trained_by_hand(module.train(), train)
        assert any(not torch.equal(value, before[name]) for name, value in module.state_dict().items())


@pytest.mark.parametrize("kind", [name for name in KINDS if hasattr(neuron, name)])
def test_every_neuron_works_in_the_librarys_own_loop_after_our_own_reset(kind, tmp_path):
    torch.manual_seed(0)
    network = declare(KindNet(kind), Time("per_step", T=STEPS), arguments={"kind": kind})
    save(network, tmp_path / "saved")
    twin = load(tmp_path / "saved", allow_code=True)
    for number, size in enumerate((6, 3, 6)):
        x_B, fresh = torch.rand(size, 1, 8, 8), KindNet(kind)
        fresh.load_state_dict(twin.module.state_dict())
        twin.reset()
        if number:
            functional.reset_net(twin.module)
        outputs = torch.stack([twin.module(x_B) for _ in range(STEPS)])
        assert torch.equal(outputs, torch.stack([fresh(x_B) for _ in range(STEPS)]))
        outputs.sum().backward()
        functional.reset_net(twin.module)
