"""Checkpoints as training programs leave them: wrapped networks, wrapped state dicts, and files that are neither."""

import io
import os

import numpy as np
import pytest
import torch
from own_networks import JellyNet
from safetensors.torch import save_file
from timm.utils import ModelEmaV3
from torch import nn
from torch.optim.swa_utils import AveragedModel

from snncompress import ModelError
from snncompress.network import read_checkpoint


class Wrapped(nn.Module):
    """A wrapper that keeps its network in an attribute called ``module``."""

    def __init__(self):
        super().__init__()
        self.module = JellyNet()

    def forward(self, x):
        return self.module(x)


class Stateful(nn.Module):
    """A network with something in its state dict that is no tensor."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(3, 2)

    def get_extra_state(self):
        return {"epoch": 3}

    def set_extra_state(self, state):
        del state


def tensors_of(module):
    return {name: value for name, value in module.state_dict().items() if isinstance(value, torch.Tensor)}


def same(found, module):
    wanted = tensors_of(module)
    return set(found) == set(wanted) and all(torch.equal(found[name], wanted[name]) for name in wanted)


def prefixed(prefix, module):
    return {prefix + name: value for name, value in module.state_dict().items()}


def inner_compiled(module):
    """Return the names that torch.compile gives where one child alone was compiled."""
    return {name.replace("fc1.", "fc1._orig_mod."): value for name, value in module.state_dict().items()}


WAYS = {
    "as it is": lambda net: net.state_dict(),
    "parallel": lambda net: nn.DataParallel(net).state_dict(),
    "compiled": lambda net: torch.compile(net).state_dict(),
    "compiled, then parallel": lambda net: nn.DataParallel(torch.compile(net)).state_dict(),
    "parallel, then compiled": lambda net: torch.compile(nn.DataParallel(net)).state_dict(),
    "a compiled child": inner_compiled,
    "averaged by torch": lambda net: AveragedModel(net).state_dict(),
    "averaged by timm": lambda net: ModelEmaV3(net).state_dict(),
    "nested": lambda net: {"epoch": 3, "state_dict": net.state_dict(), "optimizer": {"state": {}}},
    "nested twice": lambda net: {"checkpoint": {"model": prefixed("module.", net)}, "args": {"lr": 0.1}},
    "lightning": lambda net: {"state_dict": prefixed("network.", net), "epoch": 1},
    "the average alone": lambda net: {"model_ema": prefixed("module.", net), "epoch": 1},
    "average and network": lambda net: {
        "model_ema": {name: value + 1 for name, value in net.state_dict().items()},
        "model": net.state_dict(),
    },
}


@pytest.mark.parametrize("kind", [JellyNet, Wrapped], ids=["plain", "with a child called module"])
@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_what_training_programs_save_is_read(tmp_path, way, kind):
    torch.manual_seed(0)
    network = kind()
    state = way(network)
    torch.save(state, tmp_path / "net.pt")
    assert same(read_checkpoint(tmp_path / "net.pt", tensors_of(network)), network)
    if all(isinstance(value, torch.Tensor) for value in state.values()):
        save_file({name: value.clone() for name, value in state.items()}, tmp_path / "net.safetensors")
        (tmp_path / "net.safetensors").rename(tmp_path / "net.bin")  # the file says what it is, not its name
        assert same(read_checkpoint(tmp_path / "net.bin", tensors_of(network)), network)


def test_what_is_stored_besides_tensors_is_passed_over(tmp_path):
    network = Stateful()
    torch.save(network.state_dict(), tmp_path / "net.pt")
    network.load_state_dict(torch.load(tmp_path / "net.pt"))
    assert same(read_checkpoint(tmp_path / "net.pt", tensors_of(network)), network)


def told(file, network):
    with pytest.raises(ModelError) as caught:
        read_checkpoint(file, tensors_of(network))
    line = str(caught.value)
    assert "\n" not in line
    return line.replace(str(file), "FILE")


SAVE = "save the state dict: torch.save(module.state_dict(), ...)"


def test_a_pickled_module_is_one_line(tmp_path):
    torch.save(Wrapped(), tmp_path / "net.pt")
    assert told(tmp_path / "net.pt", Wrapped()) == (
        "checkpoint 'FILE' cannot be read as plain tensors (it holds Python objects, such as a whole module: "
        f"{__name__}.Wrapped); {SAVE}"
    )


def zipped():
    held = io.BytesIO()
    np.savez(held, a=np.zeros(3))
    return held.getvalue()


JUNK = {
    "empty": lambda file: file.touch(),
    "text": lambda file: file.write_text("hello world"),
    "binary": lambda file: file.write_bytes(bytes(range(256)) * 4),
    "numpy": lambda file: file.write_bytes(zipped()),
    "torn": lambda file: (torch.save({"a": torch.rand(99)}, file), os.truncate(file, 300)),
    "json": lambda file: file.write_text('{"a": 1}'),
}


@pytest.mark.parametrize("write", JUNK.values(), ids=JUNK)
@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_junk_is_one_line(tmp_path, write, suffix):
    file = tmp_path / f"junk{suffix}"
    write(file)
    line = told(file, JellyNet())
    assert line.startswith(
        ("checkpoint 'FILE' cannot be read as plain tensors (it is ", "checkpoint 'FILE' is a damaged safetensors file")
    )


@pytest.mark.parametrize("value", [3, [torch.rand(2)], {"lr": 0.1}, {}, {"state_dict": {}}, torch.rand(3)], ids=str)
def test_a_file_without_a_state_dict_is_one_line(tmp_path, value):
    torch.save(value, tmp_path / "net.pt")
    line = told(tmp_path / "net.pt", JellyNet())
    assert line.startswith("checkpoint 'FILE' holds no state dict but a")
    assert line.endswith("; save one: torch.save(module.state_dict(), ...)")


def test_what_does_not_fit_is_told_by_the_names_that_come_nearest(tmp_path):
    network = JellyNet()
    state = prefixed("module.", network)
    del state["module.fc1.weight"]
    torch.save({"state_dict": state | {"module.fc3.weight": torch.rand(2)}}, tmp_path / "net.pt")
    assert told(tmp_path / "net.pt", network) == (
        "checkpoint 'FILE' lacks 'fc1.weight'; it has 'fc3.weight' that the network has not"
    )
    torch.save(JellyNet(hidden=8).state_dict(), tmp_path / "net.pt")
    assert "has shape [8, 64], the network [32, 64]" in told(tmp_path / "net.pt", network)
    (tmp_path / "folder").mkdir()
    assert told(tmp_path / "folder", network) == "checkpoint 'FILE' is a folder, not a file"
