"""Networks whose forward computes the weight in use from a parameter, or takes it as it is, in many ways."""

from __future__ import annotations

from typing import Any

import torch
from spikingjelly.activation_based import functional, layer, neuron
from timm.layers import ScaledStdConv2d, StdConv2d
from torch import Tensor, nn
from torch.nn.functional import conv2d, linear, softplus


class Standardised(nn.Conv2d):
    """A convolution of a user's own that standardises its weights."""

    def forward(self, x: Tensor) -> Tensor:
        centred = self.weight - self.weight.mean((1, 2, 3), keepdim=True)
        return conv2d(x, centred / (centred.std((1, 2, 3), keepdim=True) + 1e-5), self.bias, padding=self.padding)


class SteppedStandardised(Standardised):
    """The same with a step mode, which alone does not make it a class that only adds one."""

    step_mode = "m"


class Softmaxed(nn.Conv2d):
    """A convolution whose weights to all of its outputs sum to one."""

    def forward(self, x: Tensor) -> Tensor:
        return conv2d(x, self.weight.softmax(0), self.bias, padding=self.padding)


class Folding(nn.Conv2d):
    """The same, by the method that torch's own forward calls."""

    def _conv_forward(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        return super()._conv_forward(x, weight - weight.mean(0), bias)


class Stepped(nn.Conv2d):
    """A convolution that adds a step mode and nothing else."""

    step_mode = "m"

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x)


CONVOLUTIONS: dict[str, Any] = {
    "StdConv2d": StdConv2d,
    "ScaledStdConv2d": ScaledStdConv2d,
    "WSConv2d": layer.WSConv2d,
    "Standardised": Standardised,
    "SteppedStandardised": SteppedStandardised,
    "Softmaxed": Softmaxed,
    "Folding": Folding,
    "Conv2d": layer.Conv2d,
    "Stepped": Stepped,
}
CHANNELS = 6


class Convolutional(nn.Module):
    """Two convolutions of one class, the second of which takes the channels of the first."""

    def __init__(self, kind: str, size: int = 4) -> None:
        super().__init__()
        torch.manual_seed(0)
        made = CONVOLUTIONS[kind]
        self.first, self.lif1 = made(1, CHANNELS, 3, padding=1), neuron.LIFNode(tau=1.5, v_threshold=0.3, step_mode="m")
        self.second, self.lif2 = made(CHANNELS, CHANNELS, 3, padding=1), neuron.LIFNode(v_threshold=0.3, step_mode="m")
        self.out = nn.Linear(CHANNELS * size**2, 10)
        functional.set_step_mode(self, "m")

    def forward(self, x_TBCHW: Tensor) -> Tensor:
        hidden = self.lif2(over_steps(self.second, self.lif1(over_steps(self.first, x_TBCHW))))
        return self.out(hidden.flatten(2))


def over_steps(conv: nn.Module, x_TBCHW: Tensor) -> Tensor:
    """Run a convolution on all steps at once: SpikingJelly's take them as they are."""
    if isinstance(conv, layer.Conv2d):
        return conv(x_TBCHW)
    return conv(x_TBCHW.flatten(0, 1)).unflatten(0, x_TBCHW.shape[:2])


class Product(nn.Module):
    """A product of 16 inputs with a weight in use that is computed in one way or another; ``b @ a`` begins at zero."""

    def __init__(self, way: str) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.way = way
        self.fc = nn.Linear(16, 12)
        self.a, self.b = nn.Parameter(torch.rand(2, 16)), nn.Parameter(torch.zeros(12, 2))
        self.scale = nn.Parameter(torch.zeros(()))
        self.register_buffer("mask", torch.rand(12, 16) > 0.3)
        self.mixing = nn.Linear(12, 12, bias=False)
        self.tokens = nn.Parameter(torch.rand(5, 12))
        self.lif = neuron.LIFNode(tau=1.5, v_threshold=0.3)
        self.out = layer.Linear(12, 10)
        functional.set_step_mode(self, "m")

    def forward(self, x_TBCHW: Tensor) -> Tensor:
        return self.out(self.lif(WAYS[self.way](self, x_TBCHW.flatten(2))))


def of_fc(transform: Any) -> Any:
    return lambda net, x: linear(x, transform(net.fc.weight, net), net.fc.bias)


def with_tokens(net: Any, x: Tensor) -> Tensor:
    hidden = net.fc(x)
    return (hidden @ net.mixing(net.tokens).t()).sigmoid() @ net.mixing(net.tokens)


def beginning_at_zero(net: Any, x: Tensor) -> Tensor:
    """One step of a gate: the state that it begins with is no input."""
    return net.fc(x) * (torch.zeros(x.shape[1], 12).mm(net.mixing.weight) + 1)


WAYS: dict[str, Any] = {
    "softplus": of_fc(lambda weight, _: softplus(weight)),
    "exp": of_fc(lambda weight, _: weight.exp()),
    "centred": of_fc(lambda weight, _: weight - weight.mean(1, keepdim=True)),
    "softmax over outputs": of_fc(lambda weight, _: weight.softmax(0)),
    "binary": of_fc(lambda weight, _: torch.where(weight >= 0, 1.0, -1.0)),
    "low rank": of_fc(lambda weight, net: weight + net.b @ net.a),
    "low rank, scaled": of_fc(lambda weight, net: weight + net.scale * (net.b @ net.a)),
    "product": lambda net, x: linear(net.fc(x), net.mixing.weight @ net.mixing.weight),
    "sum by hand": lambda net, x: (x[..., None, :] * net.fc.weight.sigmoid()).sum(-1),
    "masked": of_fc(lambda weight, net: weight * net.mask),
    "normed": of_fc(lambda weight, _: weight.abs() / weight.norm(dim=1, keepdim=True)),
    "signed": of_fc(lambda weight, _: weight.sign() * weight.abs().mean()),
    "rounded": of_fc(lambda weight, _: (weight * 64).round() / 64),
    "transposed": lambda net, x: x @ net.fc.weight.t().contiguous() + net.fc.bias,
    "cast": of_fc(lambda weight, _: weight.to(torch.bfloat16).float()),
    "repeated": lambda net, x: linear(x.repeat(1, 1, 2), net.fc.weight.repeat(1, 2)),
    "joined": lambda net, x: linear(x, torch.cat([net.fc.weight, net.a]))[..., 2:],
    "joined where something is computed": lambda net, x: linear(x, torch.cat([net.fc.weight, net.a.exp()]))[..., 2:],
    "low rank, one by one": lambda net, x: net.fc(x) + linear(linear(x, net.a), net.b),
    "tokens": with_tokens,
    "beginning at zero": beginning_at_zero,
    "compared": lambda net, x: torch.cdist(net.fc(x), net.tokens).mean(-1, keepdim=True) * net.fc(x),
    "compared by hand": lambda net, x: (net.fc(x)[..., None, :] - net.tokens).square().mean(-2),
}
COMPUTED: dict[str, set[str]] = {
    **{way: {"fc.weight"} for way in ("softplus", "exp", "centred", "softmax over outputs", "binary", "sum by hand")},
    "low rank": {"fc.weight", "a", "b"},
    "low rank, scaled": {"fc.weight", "a", "b"},
    "joined where something is computed": {"a"},
    "product": {"mixing.weight"},
}
"""The parameters whose zeros are not zeros in use; of all other ways none."""
