"""Artifacts of a user's own code remember what the network computed."""

import importlib
import json
import sys

import pytest
import torch
from own_networks import JellyNet, LoopNet

from snncompress import ArtifactError, Time, declare, load, save
from snncompress.network.answers import answers_of

SOURCE = """
import torch
from spikingjelly.activation_based import functional, layer, neuron
from torch import nn

MIX = torch.rand(64, 64)


class Mixed(nn.Module):
    def __init__(self):
        super().__init__()
        self.lif, self.out = neuron.LIFNode(tau=1.5, v_threshold=0.3), layer.Linear(64, 10)
        functional.set_step_mode(self, "m")

    def forward(self, x):
        return self.out(self.lif(x.flatten(2) @ MIX.to(x)))
"""


@pytest.fixture
def mixed(tmp_path, monkeypatch):
    """A module of a user that draws a tensor where its file is imported."""
    (tmp_path / "mixed_file.py").write_text(SOURCE, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    yield importlib.import_module("mixed_file")
    del sys.modules["mixed_file"]


def probe(time):
    x_BCHW = torch.rand(4, 1, 8, 8, generator=torch.Generator().manual_seed(1))
    return x_BCHW if time.input == "static" else x_BCHW.expand(time.T, *x_BCHW.shape)


def test_a_tensor_drawn_at_import_is_told_where_the_artifact_is_loaded(tmp_path, host, mixed):
    time = Time("multi_step", 3)
    network = declare(mixed.Mixed(), time, host=host).with_probe(probe(time))
    save(network, tmp_path / "saved")
    load(tmp_path / "saved", allow_code=True, host=host)
    importlib.reload(mixed)  # as another process imports it: the tensor is drawn anew
    with pytest.raises(ArtifactError, match=r"what 'mixed_file:Mixed' builds here computes something else") as caught:
        load(tmp_path / "saved", allow_code=True, host=host)
    assert "self.register_buffer" in str(caught.value)


@pytest.mark.parametrize(
    ("make", "time"),
    [
        (JellyNet, Time("multi_step", 4)),
        (LoopNet, Time("inside", 6, input="static", records=("output", "membranes"), attribute="num_steps")),
    ],
)
def test_the_same_code_gives_the_same_answers_and_other_values_others(tmp_path, host, make, time):
    network = declare(make(), time, host=host).with_probe(probe(time))
    state = torch.get_rng_state()
    known = answers_of(network)
    assert torch.equal(torch.get_rng_state(), state)
    assert known is not None
    assert answers_of(network) == known
    assert answers_of(network.with_weights({"fc1.bias": torch.ones_like(network.tensors["fc1.bias"])})) != known
    save(network, tmp_path)
    load(tmp_path, allow_code=True, host=host)


def test_without_a_probe_nothing_is_remembered(tmp_path, host):
    save(declare(JellyNet(), Time("multi_step", 4), host=host), tmp_path)
    assert "answers" not in json.loads((tmp_path / "network.json").read_text(encoding="utf-8"))


def test_a_registered_architecture_needs_no_answers(tmp_path, host):
    from snncompress.components import Inputs
    from snncompress.network import open_architecture

    settings = host.catalogue["architectures"]["snntorch.convnet"](channels=[4])
    network = open_architecture(settings.resolved(Inputs((1, 8, 8), 10), 2), host, timesteps=2)
    assert answers_of(network.with_probe(probe(network.time))) is None
