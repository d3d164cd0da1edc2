"""Batch norm in training, alone and with the neuron behind it, against torch's batch norm and the neuron's rule."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from stated_rules import RULES, Bell, leak, numbers, step_by_step
from torch.nn import functional

from snncompress.compilers import compiler
from snncompress.speed.norms import NormKind, normed
from snncompress.speed.rule import UpdateRule

KERNELS = ["torch", pytest.param("native", marks=pytest.mark.skipif(compiler() is None, reason="no C compiler"))]
EPS = 1e-3
NAMES = [None, "integrate, soft", "leak to a value", "trained leak, hard", "trained threshold, soft"]


def reference(rule, rows, weight, bias, p, steps, eps=EPS):
    """Return output, last membrane, mean and variance by torch's own operations."""
    values = functional.batch_norm(rows.flatten(0, 2), None, None, weight, bias, training=True, eps=eps)
    values = values.reshape(rows.shape)
    variance, mean = torch.var_mean(rows.detach(), (0, 1, 2), correction=0)
    if rule is None:
        return values, None, mean, variance
    spikes, membranes = step_by_step(rule, values, None, p, steps)
    return spikes, membranes[-1], mean, variance


def fast(rule, rows, weight, bias, p, steps, kernels, eps=EPS):
    kind = NormKind(rule, steps, constant=rule is not None and len(rows) != steps, eps=eps)
    found = normed(kind, rows, weight, bias, p, kernels=kernels)
    return found.output, found.membrane, found.mean_C, found.variance_C


def outcome(run, *tensors):
    leaves = [value.detach().clone().requires_grad_() for value in tensors]
    output, membrane, mean, variance = run(*leaves)
    loss = (output * numbers(*output.shape, seed=71, dtype=output.dtype)).sum()
    if membrane is not None:
        loss = loss + (membrane * numbers(*membrane.shape, seed=72, dtype=output.dtype)).sum()
    return (output.detach(), mean, variance), torch.autograd.grad(loss, leaves), membrane


def assert_equal(rule, rows, weight, bias, p, steps, kernels, tolerance=1e-10):
    expected = outcome(lambda r, w, b, *p: reference(rule, r, w, b, p, steps), rows, weight, bias, *p)
    found = outcome(lambda r, w, b, *p: fast(rule, r, w, b, p, steps, kernels), rows, weight, bias, *p)
    for ones, others in zip(found[:2], expected[:2], strict=True):
        for one, other in zip(ones, others, strict=True):
            scale = float(other.abs().amax()) if other.numel() else 1.0
            torch.testing.assert_close(one, other, rtol=tolerance, atol=tolerance * max(scale, 1e-3))
    if rule is not None:
        torch.testing.assert_close(found[2], expected[2], rtol=tolerance, atol=tolerance)
    return float(expected[0][0].mean())


def drawn(count, num_channels, kind, seed):
    return tuple(
        numbers(*([num_channels] if kind == "channel" else []), seed=seed + index).abs() * 0.4 + 0.3
        for index in range(count)
    )


@pytest.mark.parametrize("kernels", KERNELS)
@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=8, deadline=None, derandomize=True)
@given(
    steps=st.integers(1, 6),
    sizes=st.sampled_from(
        [(2, 1, 1), (3, 1, 7), (2, 4, 64), (1, 5, 65), (3, 3, 130), (4, 16, 3), (70, 2, 2), (2, 9, 32)]
    ),
    constant=st.booleans(),
    kind=st.sampled_from(["channel", "single"]),
    seed=st.integers(0, 99),
)
def test_it_is_torchs_norm_and_the_neuron_behind(name, kernels, steps, sizes, constant, kind, seed):
    rule, count = RULES[name] if name else (None, 0)
    num_channels = sizes[-1]
    rows = numbers(1 if constant and rule else steps, *sizes, seed=seed) * 3 + numbers(num_channels, seed=seed + 1) * 5
    weight, bias = numbers(num_channels, seed=seed + 2) + 1, numbers(num_channels, seed=seed + 3)
    assert_equal(rule, rows, weight, bias, drawn(count, num_channels, kind, seed + 4), steps, kernels)


@pytest.mark.parametrize("kernels", KERNELS)
@pytest.mark.parametrize("name", NAMES[1:])
def test_these_neurons_fire(name, kernels):
    rule, count = RULES[name]
    rows, ones = numbers(4, 8, 9, 5), torch.ones(5, dtype=torch.float64)
    rate = assert_equal(rule, rows, ones, 0.5 * ones, drawn(count, 5, "channel", 3), 4, kernels)
    assert 0.05 < rate < 0.7


@pytest.mark.parametrize("kernels", KERNELS)
def test_a_channel_that_never_changes_has_variance_zero(kernels):
    rows = torch.full((2, 3, 4, 5), 0.1, dtype=torch.float32)
    output, _, mean, variance = fast(None, rows, torch.ones(5), torch.zeros(5), (), 2, kernels)
    assert (variance >= 0).all()
    assert variance.max() <= 1e-12
    torch.testing.assert_close(mean, torch.full((5,), 0.1))
    assert output.abs().max() <= 1e-5


@pytest.mark.parametrize("kernels", KERNELS)
@pytest.mark.parametrize("mean", [0.0, 10.0, 1e3])
@pytest.mark.parametrize("num_channels", [3, 64, 96])
def test_single_precision_is_accurate_far_from_zero(kernels, mean, num_channels):
    drawn = torch.randn(4, 16, 49, num_channels, generator=torch.Generator().manual_seed(1)) + mean
    expected_variance, expected_mean = torch.var_mean(drawn.double(), (0, 1, 2), correction=0)
    _, _, found_mean, found_variance = fast(
        None, drawn, torch.ones(num_channels), torch.zeros(num_channels), (), 4, kernels
    )
    torch.testing.assert_close(found_mean.double(), expected_mean, rtol=2e-7, atol=2e-7)
    torch.testing.assert_close(found_variance.double(), expected_variance, rtol=2e-6, atol=0)


@pytest.mark.parametrize("kernels", KERNELS)
def test_an_odd_first_row_costs_no_accuracy(kernels):
    """The corner of a padded image is no sample of a channel whose values lie elsewhere."""
    values = torch.randn(4, 64, 1024, 16, generator=torch.Generator().manual_seed(2)) + 100
    values[0, 0, 0] = 0
    expected = values.double().var((0, 1, 2), correction=0)
    found = fast(None, values, torch.ones(16), torch.zeros(16), (), 4, kernels)[3]
    torch.testing.assert_close(found.double(), expected, rtol=2e-5, atol=0)


@pytest.mark.parametrize("kernels", KERNELS)
@pytest.mark.parametrize("kinds", [("single", "channel"), ("channel", "single")])
def test_one_rule_serves_tensors_of_one_value_and_of_one_for_each_channel(kernels, kinds):
    rule, count = RULES["trained leak, hard"]
    rows, ones = numbers(7, 4, 3, 5), torch.ones(5, dtype=torch.float64)
    for number, kind in enumerate(kinds):
        eps = EPS * (2 if kinds[0] == "single" else 3)  # kernels of this test's own
        p = drawn(count, 5, kind, number)
        expected = outcome(lambda r, w, b, *p, eps=eps: reference(rule, r, w, b, p, 7, eps), rows, ones, ones * 0.3, *p)
        found = outcome(
            lambda r, w, b, *p, eps=eps: fast(rule, r, w, b, p, 7, kernels, eps), rows, ones, ones * 0.3, *p
        )
        torch.testing.assert_close(found[1], expected[1], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("kernels", KERNELS)
def test_gradients_in_single_precision_are_as_accurate_as_torchs(kernels):
    """Against float64, where the norm's own backward pass in [N, C, L] order is what torch can do best."""
    rows = torch.randn(4, 16, 49, 24, generator=torch.Generator().manual_seed(3)) * 2 + 5
    weight, bias = torch.rand(24, generator=torch.Generator().manual_seed(4)) + 0.5, torch.zeros(24)
    exact = outcome(lambda r, w, b: reference(None, r, w, b, (), 4), rows.double(), weight.double(), bias.double())
    found = outcome(lambda r, w, b: fast(None, r, w, b, (), 4, kernels), rows, weight, bias)
    for one, other in zip(found[1], exact[1], strict=True):
        assert (one.double() - other).abs().max() <= 2e-6 * other.abs().max()


@pytest.mark.parametrize("kernels", KERNELS)
def test_a_loss_may_read_one_of_both_results(kernels):
    rule = UpdateRule(leak, Bell(), 0.5)
    rows, ones = numbers(3, 4, 2, 5), torch.ones(5, dtype=torch.float64)
    for which in (0, 1):
        gradients = []
        for run in (
            lambda r: fast(rule, r, ones, ones * 0.4, (), 3, kernels),
            lambda r: reference(rule, r, ones, ones * 0.4, (), 3),
        ):
            leaf = rows.clone().requires_grad_()
            gradients.append(torch.autograd.grad(run(leaf)[which].square().sum(), leaf)[0])
        torch.testing.assert_close(*gradients, rtol=1e-10, atol=1e-12)


@pytest.mark.skipif(compiler() is None, reason="no C compiler")
@pytest.mark.parametrize("num_channels", [3, 64, 200])
def test_the_number_of_threads_changes_no_bit_of_the_c(num_channels):
    rule, count = RULES["trained leak, hard"]
    rows = numbers(3, 37, 29, num_channels)
    affine = numbers(num_channels, seed=1) + 1, numbers(num_channels, seed=2)
    for single in (True, False):
        p = drawn(count, num_channels, "single" if single else "channel", 5)
        found, before = [], torch.get_num_threads()
        try:
            for threads in (1, 2, 3):
                torch.set_num_threads(threads)
                found.append(outcome(lambda r, w, b, *p: fast(rule, r, w, b, p, 3, "native"), rows, *affine, *p))
        finally:
            torch.set_num_threads(before)
        for other in found[1:]:
            for ones, others in zip(other[:2], found[0][:2], strict=True):
                assert all(torch.equal(one, other) for one, other in zip(ones, others, strict=True))


@pytest.mark.slow
@pytest.mark.skipif(compiler() is None, reason="no C compiler")
@pytest.mark.parametrize("name", [None, "trained threshold, soft"])
def test_torchs_compiler_computes_the_same(name):
    rule, count = RULES[name] if name else (None, 0)
    for sizes in ((4, 16, 3), (3, 3, 130)):
        rows = numbers(3, *sizes)
        weight, bias = numbers(sizes[-1], seed=1) + 1, numbers(sizes[-1], seed=2)
        assert_equal(rule, rows, weight, bias, drawn(count, sizes[-1], "channel", 4), 3, "inductor", 1e-9)
