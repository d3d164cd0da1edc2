"""Traced derivatives, against autograd."""

from __future__ import annotations

import pytest
import torch
from stated_rules import Bell, curved, leak, numbers, trained_leak, two_tensors

from snncompress.speed.derivatives import derivative, reads

CASES = [
    (leak, ("data", "data")),
    (curved, ("data", "data")),
    (Bell(), ("data",)),
    (trained_leak, ("data", "data", "single")),
    (trained_leak, ("data", "data", "channel")),
    (two_tensors, ("data", "data", "channel", "single")),
]


@pytest.mark.parametrize("num_dims", [1, 2, 3])
@pytest.mark.parametrize(("function", "kinds"), CASES)
def test_it_is_autograds_at_any_size(function, kinds, num_dims):
    if num_dims == 1 and "channel" in kinds:
        return  # flat data have no channels
    for sizes in ((4, 3, 7), (1, 1, 1), (6, 2, 130)):
        shapes = {"data": sizes[3 - num_dims :], "channel": sizes[-1:], "single": ()}
        given = [numbers(*shapes[kind], seed=index).requires_grad_() for index, kind in enumerate(kinds)]
        g = numbers(*shapes["data"], seed=9)
        expected = torch.autograd.grad(function(*given), given, g, allow_unused=True)
        found = derivative(function, kinds, num_dims, torch.float64)(g, *(value.detach() for value in given))
        for one, other in zip(found, expected, strict=True):
            torch.testing.assert_close(one, torch.zeros_like(one) if other is None else other, rtol=1e-12, atol=1e-12)


def test_it_knows_what_it_reads():
    assert not reads(derivative(leak, ("data", "data"), 1, torch.float64), 1)
    traced = derivative(curved, ("data", "data"), 1, torch.float64)
    assert reads(traced, 1)
    assert reads(traced, 2)


@pytest.mark.parametrize("context", [torch.inference_mode, torch.no_grad])
def test_it_is_traced_anywhere_and_draws_no_random_numbers(context):
    function = Bell({torch.inference_mode: 1.03125, torch.no_grad: 1.0625}[context])
    before = torch.get_rng_state()
    with context():
        traced = derivative(function, ("data",), 1, torch.float32)
    (found,) = traced(torch.ones(2), torch.tensor([0.0, 2.0]))
    torch.testing.assert_close(found, torch.tensor([1.0, (1 + 2 * function.alpha) ** -2]))
    assert torch.equal(torch.get_rng_state(), before)
