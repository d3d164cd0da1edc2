"""Neurons over all time steps at once, against their rule followed step by step by plain autograd."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from stated_rules import RULES, Bell, integrate, leak, numbers, outcome, step_by_step, trained_leak, trained_threshold

from snncompress.compilers import compiler
from snncompress.speed.kernels import run_rule
from snncompress.speed.rule import UpdateRule

needs_compiler = pytest.mark.skipif(compiler() is None, reason="no C compiler")
KERNELS = ["torch", pytest.param("native", marks=needs_compiler)]
SHAPES = [(1,), (7,), (64,), (4, 3), (2, 64), (3, 65), (2, 130), (5, 3, 2), (2, 3, 4, 5), (1, 1), (3, 1, 2), (128, 2)]


def assert_equal(rule, x, v, p, steps, *, kernels, record=False, tolerance=1e-12, rounded=False):
    reference = (lambda *given: step_by_step(rule, *given, steps)) if record else partial(_last, rule, steps)
    expected = outcome(reference, x, v, p, record=record)
    found = outcome(
        lambda x, v, p: run_rule(rule, x, v, p, steps=steps, record=record, kernels=kernels), x, v, p, record=record
    )
    assert torch.equal(found[0], expected[0])
    exact = 0 if kernels in ("torch", "native") and not rounded else 1e-14
    torch.testing.assert_close(found[1], expected[1], rtol=exact, atol=exact)
    for one, other in zip(found[2], expected[2], strict=True):
        assert one.shape == other.shape
        torch.testing.assert_close(one, other, rtol=tolerance, atol=tolerance * float(other.abs().amax()))
    return float(expected[0].mean())


def _last(rule, steps, x, v, p):
    spikes, membranes = step_by_step(rule, x, v, p, steps)
    return spikes, membranes[-1]


def tensors_of(count, kind, shape, *, seed=0):
    """Return ``count`` positive tensors for one step of ``shape``: of one value, per channel, or per neuron."""
    sizes = {
        "scalar": (),
        "one": (1,),
        "channel": (shape[1], *[1] * (len(shape) - 2)) if len(shape) > 1 else (),
        "neuron": shape[1:],
        "last": shape[-1:],
    }[kind]
    return tuple(numbers(*sizes, seed=seed + index).abs() * 0.4 + 0.3 for index in range(count))


@pytest.mark.parametrize("kernels", KERNELS)
@pytest.mark.parametrize("name", RULES)
@settings(max_examples=8, deadline=None, derandomize=True)
@given(
    steps=st.integers(1, 9),
    shape=st.sampled_from(SHAPES),
    kind=st.sampled_from(["scalar", "one", "channel", "neuron", "last"]),
    constant=st.booleans(),
    begun=st.booleans(),
    record=st.booleans(),
    seed=st.integers(0, 99),
)
def test_every_rule_at_every_shape(name, kernels, steps, shape, kind, constant, begun, record, seed):
    rule, count = RULES[name]
    x = numbers(1 if constant else steps, *shape, seed=seed)
    v = numbers(*shape, seed=seed + 1) if begun else None
    p = tensors_of(count, kind, shape, seed=seed + 2)
    assert_equal(rule, x, v, p, steps, kernels=kernels, record=record)


@pytest.mark.parametrize("kernels", KERNELS)
@pytest.mark.parametrize("name", RULES)
def test_these_neurons_fire_and_pause(name, kernels):
    rule, count = RULES[name]
    rate = assert_equal(rule, numbers(9, 40, 5), None, tensors_of(count, "channel", (40, 5)), 9, kernels=kernels)
    assert 0.05 < rate < 0.6


@settings(max_examples=20, deadline=None, derandomize=True)
@given(
    charge=st.sampled_from([integrate, leak]),
    threshold=st.sampled_from([0.25, 0.8]),
    reset=st.sampled_from(["hard", "soft", "none"]),
    reset_value=st.sampled_from([0.0, -0.2]),
    detach_reset=st.booleans(),
    strict=st.booleans(),
)
def test_any_mixture_of_settings(charge, threshold, reset, reset_value, detach_reset, strict):
    rule = UpdateRule(
        charge, Bell(strict=strict), threshold, reset, reset_value, detach_reset=detach_reset, strict=strict
    )
    assert_equal(rule, numbers(5, 6, 3, seed=1), numbers(6, 3, seed=2), (), 5, kernels="torch")


@pytest.mark.parametrize("kernels", KERNELS)
@pytest.mark.parametrize("name", ["integrate, hard, strict", "trained threshold, soft", "trained leak, hard"])
def test_single_precision_forward_is_equal_to_the_bit(name, kernels):
    rule, count = RULES[name]
    x = numbers(6, 17, 70, 3, seed=3, dtype=torch.float32)
    p = tuple(value.float() for value in tensors_of(count, "channel", (17, 70, 3)))
    expected = step_by_step(rule, x, None, p, 6)
    found = run_rule(rule, x, None, p, steps=6, record=True, kernels=kernels)
    assert torch.equal(found[0], expected[0])
    assert torch.equal(found[1], expected[1])
    assert_equal(rule, x, None, p, 6, kernels=kernels, tolerance=1e-5)


@pytest.mark.parametrize("kernels", KERNELS)
def test_a_potential_at_the_threshold_fires_unless_strict(kernels):
    x = torch.tensor([[1.0, 0.5, -1.0]], dtype=torch.float64)
    for strict, first in ((False, 1.0), (True, 0.0)):
        rule = UpdateRule(integrate, Bell(strict=strict), 1.0, strict=strict)
        spikes, v = run_rule(rule, x, None, steps=2, kernels=kernels)
        # held at 1, it fires each time; strict, it fires once it has 2; at 0.5 it has 1 behind two steps
        assert spikes.tolist() == [[first, 0, 0], [1, 0.0 if strict else 1, 0]]
        assert v.tolist() == [0, 1.0 if strict else 0, -2]


@pytest.mark.parametrize("kernels", KERNELS)
@pytest.mark.parametrize("reset", ["hard", "soft", "none"])
@pytest.mark.parametrize("reset_value", [0.0, -0.5])
def test_an_infinite_potential_that_does_not_fire_stays(kernels, reset, reset_value):
    if kernels == "native" and (reset_value or reset == "none"):
        return  # two are enough to compile
    rule = UpdateRule(integrate, Bell(), 0.25, reset, reset_value)
    x = torch.tensor([[-torch.inf, torch.nan, 1.0]], dtype=torch.float64)
    spikes, v = run_rule(rule, x, None, steps=2, kernels=kernels)
    assert spikes.tolist() == [[0, 0, 1], [0, 0, 1]]
    assert v[0] == -torch.inf
    assert v[1].isnan()
    assert v[2] == {"hard": reset_value, "soft": 1.5, "none": 2.0}[reset]


@pytest.mark.parametrize("kernels", KERNELS)
@pytest.mark.parametrize("shape", [(0, 3), (0,), (2, 0, 4)])
@pytest.mark.parametrize("name", ["integrate, soft", "trained threshold, soft"])
def test_an_empty_batch_is_no_error(name, shape, kernels):
    rule, count = RULES[name]
    x = torch.zeros(3, *shape, dtype=torch.float64, requires_grad=True)
    p = [torch.tensor(0.5, dtype=torch.float64, requires_grad=True) for _ in range(count)]
    spikes, v = run_rule(rule, x, None, p, steps=3, kernels=kernels)
    (spikes.sum() + v.sum()).backward()
    assert spikes.shape == x.grad.shape == (3, *shape)
    assert v.shape == shape
    assert all(value.grad == 0 for value in p)


@pytest.mark.parametrize("kernels", KERNELS)
def test_any_order_in_memory(kernels):
    rule, count = RULES["trained threshold, soft"]
    x = numbers(4, 3, 5, 2, 6)
    p = tensors_of(count, "channel", (3, 5, 2, 6))
    for laid in (
        x,
        x.flatten(0, 1).contiguous(memory_format=torch.channels_last).unflatten(0, (4, 3)),
        x.transpose(0, 3).contiguous().transpose(0, 3),
        x[:, :, :1].expand_as(x),
        torch.cat([x, x], 4)[..., ::2],
    ):
        for parameters in (p, tensors_of(count, "scalar", (3, 5))):
            expected = step_by_step(rule, laid, None, parameters, 4)
            spikes, v = run_rule(rule, laid, None, parameters, steps=4, kernels=kernels)
            assert torch.equal(spikes, expected[0])
            assert torch.equal(v, expected[1][-1])


@pytest.mark.parametrize("kernels", KERNELS)
@pytest.mark.parametrize("wanted", ["spikes", "membrane"])
def test_a_loss_may_read_one_of_both_results(kernels, wanted):
    rule, _ = RULES["curved, hard"]
    found, expected = [], []
    for run, into in (
        (lambda x: run_rule(rule, x, None, steps=4, kernels=kernels), found),
        (lambda x: _last(rule, 4, x, None, ()), expected),
    ):
        x = numbers(4, 5, 3).requires_grad_()
        spikes, v = run(x)
        into.append(torch.autograd.grad((spikes if wanted == "spikes" else v).square().sum(), x)[0])
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("kernels", KERNELS)
@pytest.mark.parametrize("name", ["curved, hard", "trained threshold, soft"])
def test_spikes_may_be_changed_in_place_and_gradients_taken_twice(name, kernels):
    rule, count = RULES[name]
    p = tensors_of(count, "channel", (5, 3))
    gradients = []
    for run in (
        lambda x: run_rule(rule, x, None, p, steps=4, kernels=kernels),
        lambda x: step_by_step(rule, x, None, p, 4),
    ):
        x = numbers(4, 5, 3).requires_grad_()
        spikes, _ = run(x)
        spikes *= 3
        spikes += x
        loss = (spikes * numbers(4, 5, 3, seed=1)).sum()
        gradients.append([torch.autograd.grad(loss, x, retain_graph=True)[0] for _ in range(2)])
    for found, expected in zip(*gradients, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("kernels", KERNELS)
@pytest.mark.parametrize("frozen", ["x", "p", "v"])
def test_what_is_frozen_gets_no_gradient(kernels, frozen):
    rule, _ = RULES["trained leak, hard"]
    given = {"x": numbers(3, 6, 4), "v": numbers(6, 4, seed=1), "p": torch.tensor(0.3, dtype=torch.float64)}
    leaves = {name: value.clone().requires_grad_(name != frozen) for name, value in given.items()}
    spikes, v = run_rule(rule, leaves["x"], leaves["v"], (leaves["p"],), steps=3, kernels=kernels)
    (spikes.sum() + v.sum()).backward()
    assert [name for name, leaf in leaves.items() if leaf.grad is None] == [frozen]


@pytest.mark.parametrize("kernels", KERNELS)
def test_two_calls_that_go_on_are_one(kernels):
    rule, _ = RULES["curved, hard"]
    x = numbers(7, 11)
    whole = run_rule(rule, x, None, steps=7, kernels=kernels)
    first = run_rule(rule, x[:3], None, steps=3, kernels=kernels)
    second = run_rule(rule, x[3:], first[1], steps=4, kernels=kernels)
    assert torch.equal(torch.cat([first[0], second[0]]), whole[0])
    assert torch.equal(second[1], whole[1])


@pytest.mark.parametrize("kernels", KERNELS)
@pytest.mark.parametrize("wider", ["x", "v", "p"])
def test_mixed_precision_is_promoted_as_torch_does(kernels, wider):
    rule, _ = RULES["trained leak, hard"]
    p_C = tensors_of(1, "channel", (6, 5))[0]
    given = {"x": numbers(4, 6, 5), "v": numbers(6, 5, seed=1), "p": p_C}
    mixed = {name: value if name == wider else value.float() for name, value in given.items()}
    expected = step_by_step(rule, mixed["x"], mixed["v"], (mixed["p"],), 4)
    spikes, v = run_rule(rule, mixed["x"], mixed["v"], (mixed["p"],), steps=4, kernels=kernels)
    assert v.dtype == expected[1].dtype == torch.float64
    assert torch.equal(spikes.double(), expected[0].double())
    torch.testing.assert_close(v, expected[1][-1], rtol=1e-6, atol=1e-6)  # a leak in float32 is rounded once more


@pytest.mark.parametrize("kernels", KERNELS)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_tensors_of_half_precision_serve_inputs_in_full(kernels, dtype):
    rule, _ = RULES["trained leak, hard"]
    w = torch.tensor(0.5, dtype=dtype, requires_grad=True)
    x = numbers(4, 200, dtype=torch.float32)
    spikes, v = run_rule(rule, x, None, (w,), steps=4, kernels=kernels)
    expected = step_by_step(rule, x, None, (torch.tensor(0.5),), 4)
    torch.testing.assert_close(v, expected[1][-1], rtol=1e-2, atol=1e-2)
    (spikes.sum() + v.sum()).backward()
    assert w.grad.dtype == dtype


@needs_compiler
@pytest.mark.parametrize("shape", [(40001,), (999, 70), (9, 64, 11)])
@pytest.mark.parametrize("kind", ["scalar", "last"])
def test_the_number_of_threads_changes_no_bit_of_the_c(shape, kind):
    rule, count = RULES["trained leak, hard"]
    x, p = numbers(3, *shape), tensors_of(count, kind, shape)
    found = []
    before = torch.get_num_threads()
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            found.append(
                outcome(lambda x, v, p: run_rule(rule, x, v, p, steps=3, kernels="native"), x, None, p, record=False)
            )
    finally:
        torch.set_num_threads(before)
    for spikes, v, gradients in found[1:]:
        assert torch.equal(spikes, found[0][0])
        assert torch.equal(v, found[0][1])
        assert all(torch.equal(one, other) for one, other in zip(gradients, found[0][2], strict=True))


@pytest.mark.parametrize("kernels", KERNELS)
def test_two_runs_are_equal_to_the_bit(kernels):
    rule, count = RULES["two tensors, no reset"]
    x, p = numbers(5, 33, 70, dtype=torch.float32), tensors_of(count, "last", (33, 70))
    p = tuple(value.float() for value in p)
    run = partial(outcome, lambda x, v, p: run_rule(rule, x, v, p, steps=5, kernels=kernels), x, None, p, record=False)
    one, other = run(), run()
    assert torch.equal(one[0], other[0])
    assert torch.equal(one[1], other[1])
    assert all(torch.equal(first, second) for first, second in zip(one[2], other[2], strict=True))


@needs_compiler
def test_thousands_of_steps_do_not_overflow_the_stack():
    x = torch.full((20_000, 64), 0.25, dtype=torch.float64, requires_grad=True)
    spikes, _ = run_rule(RULES["integrate, soft"][0], x, None, steps=len(x), kernels="native")
    spikes.sum().backward()
    assert spikes[:, 0].mean().item() == pytest.approx(0.25 / 0.8, abs=1e-3)  # what comes in, in units of the threshold
    assert x.grad.isfinite().all()


@needs_compiler
def test_the_first_call_may_be_in_inference_mode():
    rule = UpdateRule(leak, Bell(2.625), 0.40625)  # no other test has traced it
    x = numbers(3, 8)
    with torch.inference_mode():
        spikes, _ = run_rule(rule, x, None, steps=3, kernels="native")
    assert torch.equal(spikes, step_by_step(rule, x, None, (), 3)[0])
    assert_equal(rule, x, None, (), 3, kernels="native")


def lerped(v, x):
    return torch.lerp(v, x, 0.3)


@pytest.mark.slow
@needs_compiler
def test_a_rule_without_c_goes_through_torchs_compiler():
    rule = UpdateRule(lerped, Bell(), 0.5)
    for shape in ((6, 5), (3, 130)):
        assert_equal(rule, numbers(4, *shape), None, (), 4, kernels="native", rounded=True)


@pytest.mark.slow
@needs_compiler
@pytest.mark.parametrize(("name", "steps"), [("curved, hard", 4), ("trained threshold, soft", 11)])
def test_torchs_compiler_computes_the_same(name, steps):
    rule, count = RULES[name]
    for shape, kind, record in (((6, 5, 2), "channel", False), ((4, 65), "scalar", True)):
        x, p = numbers(steps, *shape), tensors_of(count, kind, shape)
        assert_equal(rule, x, numbers(*shape, seed=4), p, steps, kernels="inductor", record=record)
        if steps > 1:
            assert_equal(rule, x[:1], None, p, steps, kernels="inductor", record=record)


def test_hard_gradients_do_not_lose_small_parts_behind_large_ones():
    """Where a neuron fired, a gradient that comes through the reset is cut off, however large, and leaves nothing behind."""
    rule = UpdateRule(trained_threshold, Bell(0.0), None, detach_reset=True)
    x = torch.full((1, 4), 2.0, dtype=torch.float32, requires_grad=True)
    for kernels in ["torch", *(["native"] if compiler() else [])]:
        spikes, v = run_rule(rule, x, None, (torch.tensor(1.0),), steps=1, kernels=kernels)
        (gradient,) = torch.autograd.grad((spikes * 1e-6).sum() + (v * 1e3).sum(), x)
        torch.testing.assert_close(gradient, torch.full_like(x, 1e-6), rtol=1e-6, atol=0)


def test_a_rule_with_tensors_runs_without_gradients_too():
    rule = UpdateRule(trained_leak, Bell(), 0.5)
    x, w = numbers(4, 9), torch.tensor(0.2, dtype=torch.float64, requires_grad=True)
    with torch.no_grad():
        spikes, v = run_rule(rule, x, None, (w,), steps=4)
    assert not spikes.requires_grad
    assert torch.equal(v, step_by_step(rule, x, None, (w,), 4)[1][-1])
