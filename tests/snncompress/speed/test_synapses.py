"""Convolutions and linear layers in another form: the same values and gradients."""

from __future__ import annotations

import pytest
import torch
from spikingjelly.activation_based import layer
from torch import nn

from snncompress.speed.synapses import convolved, folded, is_plain_linear, linear


def outcome(run, module, x):
    """Return output, and gradients of input and parameters, for an output's every value weighed differently."""
    x = x.clone().requires_grad_()
    module.zero_grad()
    y = run(x)
    y.backward(torch.linspace(-1, 1, y.numel(), dtype=y.dtype).reshape(y.shape))
    return [y.detach(), x.grad, *(value.grad.clone() for value in module.parameters())]


def assert_equal(found, expected):
    for one, other in zip(found, expected, strict=True):
        assert one.shape == other.shape
        assert torch.allclose(one, other, rtol=0, atol=1e-12 * float(other.abs().max()))


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(("rows", "width", "outputs"), [((4, 130), 512, 128), ((520,), 700, 100)])
def test_a_wide_linear_layer_computes_what_torchs_does(rows, width, outputs, bias):
    torch.manual_seed(0)
    module = nn.Linear(width, outputs, bias=bias).double()
    x = torch.randn(*rows, width, dtype=torch.float64)
    assert x.numel() * outputs >= 2**25, "it would run as a matrix product"
    assert_equal(outcome(lambda value: linear(module, value), module, x), outcome(module, module, x))


@pytest.mark.parametrize("shape", [(6,), (0, 6), (5, 6), (2, 3, 4, 6)])
def test_a_small_linear_layer_is_torchs_own(shape):
    module = nn.Linear(6, 70)
    x = torch.randn(shape)
    assert torch.equal(linear(module, x), module(x))


def test_a_layer_that_does_not_lie_in_one_piece():
    torch.manual_seed(0)
    module = nn.Linear(512, 128).double()
    x = torch.randn(512, 520, dtype=torch.float64).t()
    assert_equal(outcome(lambda value: linear(module, value), module, x), outcome(module, module, x))


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(
    ("make", "shape"),
    [
        (lambda bias: nn.Conv1d(6, 5, 1, bias=bias), (3, 6, 7)),
        (lambda bias: nn.Conv1d(6, 4, 1, groups=2, bias=bias), (3, 6, 7)),
        (lambda bias: nn.Conv1d(6, 5, 1, stride=2, bias=bias), (3, 6, 7)),
        (lambda bias: nn.Conv1d(6, 5, 3, padding=1, bias=bias), (3, 6, 7)),
        (lambda bias: nn.Conv2d(6, 5, 1, bias=bias), (3, 6, 7, 2)),
        (lambda bias: nn.Conv2d(6, 4, 3, padding=1, dilation=2, groups=2, bias=bias), (3, 6, 7, 9)),
    ],
)
def test_convolutions_compute_what_torchs_do(make, shape, bias):
    torch.manual_seed(0)
    module = make(bias).double()
    x = torch.randn(shape, dtype=torch.float64)
    for given in (x, x.transpose(-1, -2).contiguous().transpose(-1, -2)):
        found = outcome(lambda value: convolved(module, value, module.weight, module.bias), module, given)
        assert_equal(found, outcome(module, module, given))


def test_a_folded_norm():
    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(3, 5, 3), nn.BatchNorm2d(5)).double()
    for _ in range(3):
        module(torch.randn(8, 3, 6, 6, dtype=torch.float64) + 1)
    module.eval()
    x = torch.randn(2, 3, 6, 6, dtype=torch.float64)
    weight, bias = folded(module[1], module[0].weight, module[0].bias)
    assert torch.allclose(convolved(module[0], x, weight, bias), module(x), rtol=1e-12, atol=1e-12)


def test_only_layers_that_do_what_torchs_does_are_taken_over():
    class Own(nn.Linear):
        def forward(self, x):
            return 2 * super().forward(x)

    class Named(nn.Linear):
        """Another name for the same."""

    replaced = nn.Linear(3, 4)
    replaced.forward = lambda x: x
    modules = (nn.Linear(3, 4), layer.Linear(3, 4), Named(3, 4), Own(3, 4), replaced, nn.Identity())
    assert [is_plain_linear(module) for module in modules] == [True, True, True, False, False, False]
