"""Tensors that no network can compute with, in a checkpoint and in hand."""

import pytest
import torch
from own_networks import JellyNet
from torch import nn
from torch.utils.data import TensorDataset

from snncompress import ModelError, Time, declare, measure
from snncompress.network import read_checkpoint
from snncompress.network.finite import require_finite

WANTED = nn.Linear(3, 2).state_dict()
DOUBLED = {name: value * 2 for name, value in WANTED.items()}


def read(folder, content):
    torch.save(content, folder / "net.pt")
    return read_checkpoint(folder / "net.pt", WANTED)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_checkpoint_and_a_module_in_hand_must_be_finite(tmp_path, host, value):
    with pytest.raises(ModelError, match="'weight' holds values that are not finite"):
        read(tmp_path, {**WANTED, "weight": torch.full((2, 3), value)})
    module = JellyNet()
    network = declare(module, Time("multi_step", 4), host=host)
    with torch.no_grad():
        module.fc1.weight[3, 5] = value
    with pytest.raises(ModelError, match=r"'fc1.weight' of the module in hand holds values that are not finite"):
        declare(module, Time("multi_step", 4), host=host)
    with pytest.raises(ModelError, match=r"'fc1.weight' of the network holds values that are not finite"):
        measure(network, TensorDataset(torch.rand(4, 1, 8, 8), torch.arange(4)), ["accuracy"])


def test_an_infinite_mask_in_a_buffer_is_meant():
    module = nn.Linear(3, 2)
    module.register_buffer("mask", torch.tensor([0.0, -float("inf")]))
    require_finite(module, "the module")


def test_whole_numbers_are_no_weights_but_may_be_a_single_threshold(tmp_path):
    with pytest.raises(ModelError, match="'weight' is int8, the network float32: whole numbers of a quantised network"):
        read(tmp_path, {name: (value * 100).to(torch.int8) for name, value in WANTED.items()})
    torch.save({"threshold": torch.tensor(1)}, tmp_path / "net.pt")
    found = read_checkpoint(tmp_path / "net.pt", {"threshold": torch.tensor(0.5)})
    assert float(found["threshold"]) == 1.0


def test_two_state_dicts_that_fit_need_a_name_that_says_which(tmp_path):
    with pytest.raises(ModelError, match=r"holds two state dicts that fit the network and differ, 'a' and 'b'"):
        read(tmp_path, {"a": WANTED, "b": DOUBLED})
    for content in (
        {"a": WANTED, "b": WANTED},
        {"a": DOUBLED, "model": WANTED},
        {"ema": DOUBLED, "a": WANTED},
        {"a": {"weight": torch.rand(5, 5), "bias": torch.rand(5)}, "b": WANTED},
    ):
        assert all(torch.equal(value, WANTED[name]) for name, value in read(tmp_path, content).items())
