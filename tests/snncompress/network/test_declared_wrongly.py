"""Modules in hand that are not what ``declare`` takes, each with what to do."""

import random

import pytest
import torch
from own_networks import JellyNet
from spikingjelly.activation_based import neuron
from torch import nn

from snncompress import ModelError, Time, declare

JELLY = Time("multi_step", 4)


class Lazy(nn.Module):
    """Two layers without shapes, which could not be compared."""

    def __init__(self):
        super().__init__()
        self.fc1, self.lif, self.fc2 = nn.LazyLinear(8), neuron.LIFNode(step_mode="m"), nn.LazyLinear(10)


class Drawn(nn.Module):
    """A neuron whose leak is another one each time."""

    def __init__(self):
        super().__init__()
        self.lif = neuron.LIFNode(tau=1.2 + random.random(), step_mode="m")  # noqa: S311 - as users do


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: torch.compile(JellyNet()),
            r"is what torch.compile puts around a network; .* declare\(module._orig_mod",
        ),
        (lambda: nn.DataParallel(JellyNet()), r"is what torch.nn.DataParallel puts .* declare\(module.module"),
        (lambda: JellyNet().double(), r"of another dtype .* call .float\(\) on the module in hand"),
        (Lazy, "'fc1.weight' of the module in hand is lazy and has no shape yet"),
        (Drawn, r"builds another module each time it is called: .* give it as an argument"),
    ],
    ids=["compiled", "parallel", "float64", "lazy", "drawn"],
)
def test_what_cannot_be_declared_says_what_to_do(host, make, message):
    with pytest.raises(ModelError, match=message):
        declare(make(), JELLY, host=host)
