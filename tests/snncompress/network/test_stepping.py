"""Steps as they are declared and as they are taken."""

import pytest
import snntorch
import torch
from torch import nn

from snncompress import ModelError, Network, Time, Timesteps, declare
from snncompress.network import InHand, try_out

PER_STEP = Time("per_step", 4)
WITH_MEMBRANE = Time("per_step", 4, records=("output", "membranes"))


class Handing(nn.Module):
    """Takes its membrane and returns it: the user's loop hands it on."""

    def __init__(self):
        super().__init__()
        self.fc, self.lif = nn.Linear(64, 10), snntorch.Leaky(beta=0.9, threshold=0.5)

    def forward(self, x_BCHW, mem=None):
        return self.lif(self.fc(x_BCHW.flatten(1)), self.lif.reset_mem() if mem is None else mem)


class Gained(nn.Module):
    """Keeps its own state; the optional argument has nothing to do with it."""

    def __init__(self, *, alone=True):
        super().__init__()
        self.alone, self.fc = alone, nn.Linear(64, 10)
        self.lif = snntorch.Leaky(beta=0.9, threshold=0.5, init_hidden=True, output=True)

    def forward(self, x_BCHW, gain=None):
        spikes, membrane = self.lif(self.fc(x_BCHW.flatten(1)) * (1 if gain is None else gain))
        return spikes if self.alone else (spikes, membrane)


class Inner(nn.Module):
    """Loops over time itself, or uses one neuron twice behind two layers; ``other`` is read by nothing."""

    def __init__(self, num_steps=4, *, twice=False):
        super().__init__()
        self.num_steps, self.other, self.twice = num_steps, num_steps, twice
        self.fc1, self.fc2 = nn.Linear(64, 10), nn.Linear(10, 10)
        self.lif = snntorch.Leaky(beta=0.9, threshold=0.5, init_hidden=True)

    def forward(self, x_BCHW):
        if self.twice:
            return self.lif(self.fc2(self.lif(self.fc1(x_BCHW.flatten(1)))))
        return torch.stack([self.lif(self.fc1(x_BCHW.flatten(1))) for _ in range(self.num_steps)]).mean(0)


def in_hand(host, module, time):
    return Network(module, time, InHand(module, time, {"use": "python", "function": "none", "arguments": {}}), host)


def images(time):
    x_BCHW = torch.rand(6, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    return x_BCHW if time.input == "static" else x_BCHW.expand(time.T, *x_BCHW.shape)


def test_state_that_the_user_hands_on_is_refused(host):
    with pytest.raises(ModelError, match="forward takes 'mem' and returns it for the next step, but runner 'per_step'"):
        try_out(in_hand(host, Handing(), WITH_MEMBRANE), images(PER_STEP), split="test")


@pytest.mark.parametrize("alone", [True, False])
def test_an_optional_argument_that_is_no_state_is_left_alone(host, alone):
    time = PER_STEP if alone else WITH_MEMBRANE
    try_out(in_hand(host, Gained(alone=alone), time), images(time), split="test")


def test_a_loop_inside_a_step_is_told_from_a_neuron_that_is_used_twice(host):
    with pytest.raises(ModelError, match=r"its neuron 'lif' runs 16 times, 4 in each step: .* declare runner 'inside'"):
        try_out(in_hand(host, Inner(), PER_STEP), images(PER_STEP), split="test")
    two = Time("per_step", 2)
    try_out(in_hand(host, Inner(twice=True), two), images(two), split="test")


def test_the_place_of_the_number_of_steps_must_exist(host):
    time = Time("inside", 4, input="static", output="averaged", attribute="num_step")
    with pytest.raises(ModelError, match="no attribute 'num_step' .*; did you mean 'num_steps'"):
        declare(Inner(), time, host=host)
    with pytest.raises(ModelError, match=r"the module has no part 'lfi'; did you mean 'lif'"):
        declare(Inner(), Time("inside", 4, input="static", attribute="lfi.num_steps"), host=host)


def test_another_number_of_steps_must_change_what_runs(host):
    """Two of four steps: a neuron that runs four times could be one that is used twice in a step."""
    unread = Time("inside", 4, input="static", output="averaged", attribute="other")
    network = in_hand(host, Inner(), unread).edited([Timesteps(2)])
    with pytest.raises(
        ModelError, match="'other', but forward does not read it: neuron 'lif' runs 4 times with 2 and with 1"
    ):
        try_out(network, images(unread), split="test")
    read = Time("inside", 4, input="static", output="averaged", attribute="num_steps")
    try_out(in_hand(host, Inner(), read).edited([Timesteps(2)]), images(read), split="test")
