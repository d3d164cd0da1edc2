"""The rules that snnTorch neurons state, against the neurons themselves."""

from __future__ import annotations

import copy
import shutil

import pytest
import snntorch
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from snntorch import surrogate
from torch import nn

from snncompress import Fusible
from snncompress.compilers import compiler
from snncompress.speed.kernels import run_rule
from snncompress.speed.native.source import rule_source
from snncompress_snntorch.backend import SnnTorchBackend
from snncompress_snntorch.surrogates import LibrarySurrogate, stated

BACKEND = SnnTorchBackend()
C = 3

SURROGATES = {
    "default": None,
    "atan": surrogate.atan(alpha=3.0),
    "fast_sigmoid": surrogate.fast_sigmoid(slope=5),
    "sigmoid": surrogate.sigmoid(slope=4),
    "straight_through_estimator": surrogate.straight_through_estimator(),
    "straight_through_estimator-applied": surrogate.StraightThroughEstimator.apply,
    "triangular": surrogate.triangular(threshold=0.7),
    "heaviside": surrogate.heaviside(),
    "heaviside-applied": surrogate.Heaviside.apply,
    "spike_rate_escape": surrogate.spike_rate_escape(beta=1.3, slope=2),
    "SFS": surrogate.SFS(slope=3, B=0.1),
}
FORMULAS = {
    "atan": lambda u: 1.5 / (1 + (torch.pi / 2 * 3.0 * u) ** 2),
    "fast_sigmoid": lambda u: 1 / (1 + 5 * u.abs()) ** 2,
    "sigmoid": lambda u: 4 * (-4 * u).exp() / (1 + (-4 * u).exp()) ** 2,
    "straight_through_estimator": torch.ones_like,
    "triangular": lambda u: 0.7 - 1.4 * (u >= 0).to(u.dtype),
    "heaviside": lambda u: (u > 0).to(u.dtype),
    "spike_rate_escape": lambda u: 2 * (-1.3 * (u - 1).abs()).exp(),
    "SFS": lambda u: (u > 0.1) / (1 + 3 * u.abs()) ** 2,
}
MECHANISMS = ["subtract", "zero", "none"]


def leaky(**changed):
    return snntorch.Leaky(**{"beta": 0.7, "init_hidden": True, "output": True, **changed})


def per_channel(low, high, *, learn=False):
    """Values for channels of [B, C, H]."""
    values = torch.linspace(low, high, C).reshape(C, 1)
    return values.clone().requires_grad_(learn)


def sequence(num_steps, *, dtype, seed=0, batch=4):
    drawn = torch.randn(num_steps, batch, C, 5, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return (drawn + 0.4).to(dtype).requires_grad_()


def exact(node, dtype):
    node = copy.deepcopy(node)
    if dtype == torch.float64:
        BACKEND.to_float64(node)
    return node


def by_the_library(node, x_T):
    """Return the spikes and membranes of every step, [T, B, ...] each."""
    parts = [node(x) for x in x_T]
    return torch.stack([part[0] for part in parts]), torch.stack([part[1] for part in parts])


def step_by_step(node, x_T):
    """Run what a neuron states of itself in plain torch, as the contract of ``UpdateRule`` says."""
    fusible = BACKEND.fusible(node)
    rule, p = fusible.rule, fusible.parameters
    v, spikes, membranes = BACKEND.membrane(node, x_T[0]), [], []
    v = torch.full_like(x_T[0], rule.initial) if v is None else v
    for x in x_T:
        h = rule.charge(v, x, *p)
        s = rule.surrogate(h - rule.threshold_of(p))
        back = s.detach() if rule.detach_reset else s
        v = {"none": h, "soft": h - back * rule.threshold_of(p), "hard": back * rule.reset_value + (1 - back) * h}[
            rule.reset
        ]
        spikes.append(s)
        membranes.append(v)
    BACKEND.keep_membrane(node, v)
    return torch.stack(spikes), torch.stack(membranes)


def fused(node, x_T, kernels="torch"):
    """Run what a neuron states of itself in the kernels of the fast path."""
    fusible = BACKEND.fusible(node)
    spikes, membranes = run_rule(
        fusible.rule,
        x_T,
        BACKEND.membrane(node, x_T[0]),
        fusible.parameters,
        steps=len(x_T),
        record=True,
        kernels=kernels,
    )
    BACKEND.keep_membrane(node, membranes[-1])
    return spikes, membranes


WAYS = [step_by_step, fused]


def in_c(node, x_T):
    return fused(node, x_T, "native")


def by_torchs_compiler(node, x_T):
    return fused(node, x_T, "inductor")


def outcome(run, node, x_T):
    """Return spikes, membranes and the gradients of a loss that hangs on all of them."""
    node = copy.deepcopy(node)
    x_T = x_T.detach().requires_grad_()
    spikes, membranes = run(node, x_T)
    weights = torch.linspace(-1, 2, spikes.numel(), dtype=spikes.dtype).reshape(spikes.shape)
    loss = (weights * spikes).sum() + (weights.flip(0).cos() * membranes).sum() + (node.mem**2).sum()
    leaves = {"x": x_T, **dict(node.named_parameters())}
    found = torch.autograd.grad(loss, leaves.values(), allow_unused=True)
    return spikes, membranes, dict(zip(leaves, found, strict=True))


def assert_equal(run, node, x_T, *, tolerance):
    expected, found = outcome(by_the_library, node, x_T), outcome(run, node, x_T)
    for ours, theirs in zip(found[:2], expected[:2], strict=True):
        assert ours.dtype == theirs.dtype
        assert torch.equal(ours, theirs)
    for name, theirs in expected[2].items():
        ours = found[2][name]
        if theirs is None:  # snnTorch's threshold takes no part where nothing fires through it
            assert ours is None or not ours.count_nonzero(), name
            continue
        assert ours.shape == theirs.shape
        scale = theirs.abs().max().item()
        assert (ours - theirs).abs().max().item() <= tolerance * scale, name
    return expected


def assert_equal_in_both_precisions(run, node, num_steps, seed=0):
    single = assert_equal(run, node, sequence(num_steps, dtype=torch.float32, seed=seed), tolerance=2e-5)
    double = exact(node, torch.float64)
    assert_equal(run, double, sequence(num_steps, dtype=torch.float64, seed=seed), tolerance=1e-9)
    return single


@pytest.mark.parametrize("run", WAYS)
@pytest.mark.parametrize("mechanism", MECHANISMS)
@pytest.mark.parametrize("gradient", SURROGATES.values(), ids=SURROGATES)
def test_every_surrogate(gradient, mechanism, run):
    node = leaky(spike_grad=gradient, reset_mechanism=mechanism, learn_beta=True, learn_threshold=True, threshold=0.8)
    spikes, *_ = assert_equal_in_both_precisions(run, node, 6)
    assert 0.05 < spikes.mean() < 0.95


@settings(max_examples=60, deadline=None)
@given(
    run=st.sampled_from(WAYS),
    mechanism=st.sampled_from(MECHANISMS),
    beta=st.one_of(st.floats(0, 1, width=32), st.sampled_from([0, 1, -0.25, 1.5, "channels"])),
    threshold=st.one_of(st.floats(0.125, 2, width=32), st.sampled_from([1, 0.0, "channels"])),
    learn=st.tuples(st.booleans(), st.booleans()),
    name=st.sampled_from([*SURROGATES]),
    num_steps=st.integers(1, 9),
    seed=st.integers(0, 10**6),
)
def test_any_settings(run, mechanism, beta, threshold, learn, name, num_steps, seed):
    beta = per_channel(0.1, 0.9) if beta == "channels" else beta
    threshold = per_channel(0.3, 1.3) if threshold == "channels" else threshold
    learn_beta = learn[0] and not isinstance(beta, int)
    learn_threshold = learn[1] and not isinstance(threshold, int)
    node = leaky(
        beta=beta,
        threshold=threshold,
        reset_mechanism=mechanism,
        spike_grad=SURROGATES[name],
        learn_beta=learn_beta,
        learn_threshold=learn_threshold,
    )
    assert_equal_in_both_precisions(run, node, num_steps, seed)


COMPILED = {
    "subtract": (12, lambda: leaky(learn_beta=True, spike_grad=surrogate.fast_sigmoid(slope=5))),  # in two pieces
    "zero": (3, lambda: leaky(reset_mechanism="zero", spike_grad=surrogate.triangular(threshold=0.7))),
    "channels": (
        3,
        lambda: leaky(
            beta=per_channel(0.1, 0.9), threshold=per_channel(0.3, 1.3), learn_beta=True, learn_threshold=True
        ),
    ),
    "lapicque": (3, lambda: snntorch.Lapicque(R=0.8, C=2.5, threshold=0.3, init_hidden=True, output=True)),
}


@pytest.mark.skipif(not compiler(), reason="no compiler")
@pytest.mark.parametrize(("num_steps", "make"), COMPILED.values(), ids=COMPILED)
def test_in_c(num_steps, make):
    spikes, *_ = assert_equal_in_both_precisions(in_c, make(), num_steps)
    assert 0.05 < spikes.mean() < 0.95


@pytest.mark.slow
@pytest.mark.skipif(not compiler(), reason="no compiler")
@pytest.mark.parametrize("mechanism", MECHANISMS)
@pytest.mark.parametrize("name", FORMULAS)
def test_every_surrogate_in_c(name, mechanism):
    node = leaky(spike_grad=SURROGATES[name], reset_mechanism=mechanism, learn_beta=True, learn_threshold=True)
    assert_equal_in_both_precisions(in_c, node, 6)


@pytest.mark.parametrize("name", FORMULAS)
@pytest.mark.parametrize("mechanism", MECHANISMS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_every_rule_has_c(name, mechanism, dtype):
    common = {"spike_grad": SURROGATES[name], "reset_mechanism": mechanism, "init_hidden": True}
    for node in (snntorch.Leaky(beta=0.5, **common), snntorch.Lapicque(R=1, C=2, **common)):
        fusible = BACKEND.fusible(node)
        assert "charge_of" in rule_source(fusible.rule, len(fusible.parameters), dtype).text  # or it raises


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="no compiler")
@pytest.mark.parametrize(("num_steps", "make"), COMPILED.values(), ids=COMPILED)
def test_by_torchs_compiler(num_steps, make):
    spikes, *_ = assert_equal_in_both_precisions(by_torchs_compiler, make(), num_steps)
    assert 0.05 < spikes.mean() < 0.95


@pytest.mark.parametrize("run", WAYS)
@pytest.mark.parametrize("name", ["atan", "heaviside", "triangular"])
@pytest.mark.parametrize("threshold", [0.8, 0.0, per_channel(0.3, 1.3)], ids=["one", "zero", "channels"])
def test_a_reset_to_zero_without_delay(threshold, name, run):
    node = leaky(
        threshold=threshold,
        reset_mechanism="zero",
        reset_delay=False,
        spike_grad=SURROGATES[name],
        learn_beta=True,
    )
    spikes, membranes, _ = assert_equal_in_both_precisions(run, node, 7)
    assert 0.05 < spikes.mean() < 0.95
    assert not membranes[spikes > 0].count_nonzero()


def test_without_a_reset_its_delay_says_nothing():
    delayed, not_delayed = (leaky(reset_mechanism="none", reset_delay=delay) for delay in (True, False))
    assert BACKEND.fusible(delayed).rule == BACKEND.fusible(not_delayed).rule
    assert_equal_in_both_precisions(step_by_step, not_delayed, 5)


LAPICQUE = {
    "beta": {"beta": 0.6},
    "beta-and-step": {"beta": 0.6, "time_step": 0.5},
    "circuit": {"R": 1, "C": 3},
    "circuit-with-step": {"R": 0.8, "C": 2.5, "time_step": 2},
    "beta-and-resistance": {"beta": 0.6, "R": 2},
}


@pytest.mark.parametrize("run", WAYS)
@pytest.mark.parametrize("mechanism", MECHANISMS)
@pytest.mark.parametrize("circuit", LAPICQUE.values(), ids=LAPICQUE)
def test_lapicque(circuit, mechanism, run):
    node = snntorch.Lapicque(
        **circuit, threshold=0.3, learn_threshold=True, reset_mechanism=mechanism, init_hidden=True, output=True
    )
    spikes, *_ = assert_equal_in_both_precisions(run, node, 7)
    assert 0.05 < spikes.mean() < 0.95


@pytest.mark.parametrize("run", [*WAYS, pytest.param(in_c, marks=pytest.mark.skipif(not compiler(), reason="no"))])
@pytest.mark.parametrize("mechanism", ["subtract", "zero"])
def test_at_the_threshold_nothing_fires_and_nothing_is_reset(run, mechanism):
    node = leaky(beta=0.5, threshold=1.0, reset_mechanism=mechanism)
    x_T = torch.tensor([1.0, 0.5, 0.625, 0.0]).reshape(4, 1, 1)
    spikes, membranes = run(copy.deepcopy(node), x_T)
    assert spikes.flatten().tolist() == [0, 0, 1, 0]
    after = -0.4375 if mechanism == "subtract" else 0.0  # 1.125 / 2 - 1, or 0 / 2
    assert membranes.flatten().tolist() == [1.0, 1.0, 1.125, after]
    expected = by_the_library(node, x_T)
    assert torch.equal(spikes, expected[0])
    assert torch.equal(membranes, expected[1])


@pytest.mark.parametrize("run", WAYS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_second_call_goes_on_from_where_the_first_ended(run, dtype):
    ours = exact(leaky(learn_beta=True), dtype)
    theirs = copy.deepcopy(ours)
    for seed in (1, 2):
        x_T = sequence(4, dtype=dtype, seed=seed)
        for found, expected in zip(run(ours, x_T), by_the_library(theirs, x_T), strict=True):
            assert torch.equal(found, expected)
        assert torch.equal(ours.mem, theirs.mem)
    ours.mem.sum().backward()
    theirs.mem.sum().backward()  # through both calls
    assert ours.beta.grad.item() == pytest.approx(theirs.beta.grad.item(), rel=1e-5)
    other = sequence(3, dtype=dtype, batch=2)  # of another shape: the library begins anew
    assert torch.equal(run(ours, other)[0], by_the_library(theirs, other)[0])


def test_a_membrane_is_kept_for_inputs_of_its_shape():
    node, x_B = leaky(), torch.zeros(4, 3, 5)
    assert BACKEND.membrane(node, x_B) is None
    kept = torch.rand(4, 3, 5)
    BACKEND.keep_membrane(node, kept)
    assert "mem" in node._buffers
    assert BACKEND.membrane(node, x_B) is kept
    assert BACKEND.membrane(node, x_B[:2]) is None
    BACKEND.reset(node)
    assert BACKEND.membrane(node, x_B) is None
    assert not node.mem.numel()


def test_what_a_neuron_says_of_itself():
    with_membranes, without = BACKEND.fusible(leaky()), BACKEND.fusible(leaky(output=False))
    assert isinstance(with_membranes, Fusible)
    assert (with_membranes.returns_membranes, without.returns_membranes) == (True, False)
    assert not with_membranes.takes_sequence
    assert with_membranes.rule == without.rule
    node = leaky(learn_beta=True, learn_threshold=True)
    parameters = BACKEND.fusible(node).parameters
    assert parameters[0] is node.threshold
    assert parameters[1] is node.beta


def test_rules_are_equal_if_and_only_if_they_compute_the_same():
    made = [
        lambda: leaky(spike_grad=surrogate.atan(alpha=2.0)),
        lambda: leaky(spike_grad=surrogate.atan(alpha=2.5)),
        lambda: leaky(spike_grad=surrogate.fast_sigmoid(slope=2)),
        lambda: leaky(spike_grad=surrogate.sigmoid(slope=2)),
        lambda: leaky(spike_grad=surrogate.SFS(slope=2, B=1)),
        lambda: leaky(spike_grad=surrogate.SFS(slope=1, B=2)),
        lambda: leaky(reset_mechanism="zero", spike_grad=surrogate.atan(alpha=2.0)),
        lambda: snntorch.Lapicque(beta=0.7, init_hidden=True),
    ]
    rules = [BACKEND.fusible(make()).rule for make in made]
    again = [BACKEND.fusible(make()).rule for make in made]
    assert rules == again
    assert [hash(rule) for rule in rules] == [hash(rule) for rule in again]
    assert len(set(rules)) == len(rules)
    assert (
        BACKEND.fusible(leaky(beta=0.2)).rule == rules[0]
    )  # the library's default is atan(2.0); beta is no part of it
    assert BACKEND.fusible(exact(made[0](), torch.float64)).rule == rules[0]


@pytest.mark.parametrize("name", FORMULAS)
def test_a_surrogate_has_the_librarys_formula_in_both_precisions(name):
    known = stated(SURROGATES[name])
    assert isinstance(known, LibrarySurrogate)
    u = torch.linspace(-2, 2, 101, dtype=torch.float64, requires_grad=True)
    g = torch.linspace(0.3, 1.7, 101, dtype=torch.float64)
    spikes = known(u)
    (found,) = torch.autograd.grad(spikes, u, g)
    assert torch.equal(spikes, (u > 0).double())
    torch.testing.assert_close(found, FORMULAS[name](u.detach()) * g, rtol=1e-13, atol=0)
    u32 = u.detach().float().requires_grad_()
    (ours,) = torch.autograd.grad(known(u32), u32, g.float())
    (theirs,) = torch.autograd.grad(SURROGATES[name](u32), u32, g.float())
    assert torch.equal(ours, theirs)


class Step(nn.Module):
    def forward(self, potential):
        return (potential > 0).float()


class Subclass(snntorch.Leaky):
    pass


def with_changed_mechanism():
    node = leaky()
    node.reset_mechanism = "zero"  # the library goes on subtracting
    return node


def with_own_method():
    node = leaky()
    node.fire = lambda mem: (mem > 1).float()
    return node


def own_gradient(potential, gradient, spikes):
    return gradient * spikes


UNDONE = "its reset is not delayed, and undone where the membrane is still above the threshold (reset_delay=False)"
REFUSED = {
    "not delayed": (lambda: leaky(reset_delay=False), UNDONE),
    "not delayed, learns its threshold": (
        lambda: leaky(reset_mechanism="zero", reset_delay=False, learn_threshold=True),
        UNDONE,
    ),
    "not delayed, negative threshold": (
        lambda: leaky(reset_mechanism="zero", reset_delay=False, threshold=-0.5),
        UNDONE,
    ),
    "passed in": (lambda: leaky(init_hidden=False), "its membrane is passed in by the caller (init_hidden=False)"),
    "quantised": (lambda: leaky(state_quant=lambda mem: mem.round()), "its membrane is quantised (state_quant)"),
    "graded": (lambda: leaky(graded_spikes_factor=2.0), "its spikes are graded (graded_spikes_factor)"),
    "graded per channel": (
        lambda: leaky(graded_spikes_factor=torch.ones(C, 1)),
        "its spikes are graded (graded_spikes_factor)",
    ),
    "learns its grade": (
        lambda: leaky(learn_graded_spikes_factor=True),
        "its spikes are graded (graded_spikes_factor)",
    ),
    "no surrogate": (
        lambda: leaky(surrogate_disable=True),
        "its surrogate gradient is switched off (surrogate_disable)",
    ),
    "learns its surrogate": (
        lambda: leaky(spike_grad=surrogate.atan(alpha=nn.Parameter(torch.tensor(2.0)))),
        "alpha of its surrogate gradient atan is a Parameter, not a number",
    ),
    "random surrogate": (lambda: leaky(spike_grad=surrogate.SSO()), "its surrogate gradient SSO draws random numbers"),
    "own formula": (
        lambda: leaky(spike_grad=surrogate.custom_surrogate(own_gradient)),
        "its surrogate gradient is a function of the user's own",
    ),
    "own surrogate": (
        lambda: leaky(spike_grad=Step()),
        "its surrogate gradient Step is not one of snntorch.surrogate",
    ),
    "changed mechanism": (with_changed_mechanism, "its reset mechanism was changed after it was made"),
    "own method": (with_own_method, "its method 'fire' was replaced"),
    "halved": (
        lambda: leaky().bfloat16(),
        "it computes in torch.bfloat16 where its spikes are torch.float32",
    ),
    "float64 as the library does it": (
        lambda: leaky().double(),
        "it computes in torch.float64 where its spikes are torch.float32",
    ),
    "a subclass": (lambda: Subclass(beta=0.5), "Subclass is a class of its own, whose update is not known"),
    "Synaptic": (lambda: snntorch.Synaptic(alpha=0.9, beta=0.8), "a Synaptic keeps more than one state"),
    "DeltaLeaky": (
        lambda: snntorch.DeltaLeaky(delta_threshold=0.5, beta=0.9),
        "a DeltaLeaky keeps more than one state",
    ),
    "RLeaky": (
        lambda: snntorch.RLeaky(beta=0.9, linear_features=3),
        "the spikes of a RLeaky come back into it through weights",
    ),
    "LeakyParallel": (
        lambda: snntorch.LeakyParallel(3, 3, beta=0.9),
        "a LeakyParallel takes all steps at once by itself",
    ),
}


@pytest.mark.parametrize(("make", "reason"), REFUSED.values(), ids=REFUSED)
def test_what_is_refused_says_why(make, reason):
    assert BACKEND.fusible(make()) == reason


def test_inhibition_is_refused():
    with pytest.warns(UserWarning, match="unstable"):
        node = leaky(inhibition=True)
    assert BACKEND.fusible(node) == "inhibition lets one neuron of a layer fire"


def test_a_copy_states_the_same_and_not_through_the_original():
    node = leaky(learn_beta=True)
    twin = copy.deepcopy(node)
    assert BACKEND.fusible(twin).rule == BACKEND.fusible(node).rule
    assert BACKEND.fusible(twin).parameters[1] is twin.beta
    shallow = copy.copy(node)  # its state_function is the original's, and changes the original's membrane
    assert BACKEND.fusible(shallow) == "its reset mechanism was changed after it was made"
