"""The step modes that hold, containers included."""

from __future__ import annotations

from spikingjelly.activation_based import functional, layer, neuron
from torch import nn

from snncompress_spikingjelly.step_modes import mismatch, step_modes


def test_modes_are_read_from_the_modules_and_not_inside_containers():
    network = nn.Sequential(
        layer.SeqToANNContainer(nn.Conv2d(1, 1, 1), nn.BatchNorm2d(1)),
        neuron.IFNode(step_mode="m"),
        layer.MultiStepContainer(neuron.IFNode()),
        nn.Flatten(),
    )
    assert step_modes(network) == {"0": "m", "1": "m", "2": "m"}
    assert mismatch(step_modes(network), "s") == ["0", "1", "2"]


def test_modes_follow_the_library():
    network = nn.Sequential(layer.Linear(2, 2), nn.Sequential(neuron.LIFNode()))
    assert step_modes(network) == {"0": "s", "1.0": "s"}
    functional.set_step_mode(network, "m")
    assert step_modes(network) == {"0": "m", "1.0": "m"}


def test_a_module_alone_is_its_own_root():
    assert step_modes(neuron.IFNode()) == {"": "s"}
    assert step_modes(nn.Linear(1, 1)) == {}
