"""A network with tied weights through a whole run: pruned once, still tied, reused only by a network that is tied alike."""

import pytest
import torch
from own_networks import Tied
from safetensors.torch import load_file
from torch import nn
from torch.utils.data import TensorDataset

from snncompress import Time, compress, declare, load
from snncompress.run.in_hand import NetworkInHand

ANN = Time("none", input="static", output="averaged")


@pytest.fixture
def splits():
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(120) % 10
    x = torch.rand(10, 16, generator=generator)[labels] + 0.1 * torch.rand(120, 16, generator=generator)
    x = x.reshape(-1, 1, 4, 4)
    return tuple(TensorDataset(x[start::3], labels[start::3]) for start in range(3))


@pytest.mark.parametrize("select", ["encode", "again"])
def test_a_tied_weight_is_pruned_trained_stored_and_loaded_as_one(folder, host, splits, select):
    torch.manual_seed(0)
    training = {"epochs": 2, "lr": 1e-2, "batch_size": 20}
    steps = [
        {"use": "train", **training, "snapshots": [1]},
        {"use": "prune.l1", "fraction": 0.75, "select": select, "finetune": training},
    ]
    result = compress(declare(Tied(), ANN, host=host), steps=steps, data=splits, silent=True)
    module = result.network.module
    assert module.again.weight is module.encode.weight
    assert sorted(result.network.masks) == ["encode.weight"]
    assert int(module.encode.weight.count_nonzero()) == 64
    assert result.record.final["parameters"].value == 16 * 16 + 16 * 10 + 10
    stored = load_file(folder / "runs" / "compressed" / "final" / "weights.safetensors")
    assert stored["encode.weight#survivors"].numel() == 64
    assert not any(name.startswith("again") for name in stored)
    loaded = load(folder / "runs" / "compressed" / "final", allow_code=True, host=host)
    assert loaded.module.again.weight is loaded.module.encode.weight
    x = splits[2].tensors[0]
    assert torch.equal(loaded.forward(x).logits, result.network.forward(x).logits)


def test_a_network_that_is_not_tied_has_another_identity(host):
    torch.manual_seed(0)
    tied = NetworkInHand.of(declare(Tied(), ANN, host=host))
    parted = declare(Tied(), ANN, host=host)
    parted.module.load_state_dict(tied.network.tensors)
    assert NetworkInHand.of(parted).canonical() == tied.canonical()
    parted.module.again.weight = nn.Parameter(parted.module.encode.weight.detach().clone())
    assert all(torch.equal(value, tied.network.tensors[name]) for name, value in parted.tensors.items())
    assert NetworkInHand.of(parted).canonical() != tied.canonical()
