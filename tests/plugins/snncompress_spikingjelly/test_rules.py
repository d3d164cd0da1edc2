"""The update rules of SpikingJelly's neurons, run step by step and by the kernels, against the library itself."""

from __future__ import annotations

import copy
import shutil

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from spikingjelly.activation_based import functional, neuron, surrogate
from torch import nn

from snncompress import Fusible, StateError
from snncompress.speed.kernels import run_rule
from snncompress_spikingjelly.backend import SpikingJellyBackend

BACKEND = SpikingJellyBackend()

SURROGATES = [
    surrogate.PiecewiseQuadratic(alpha=0.7),
    surrogate.PiecewiseExp(alpha=1.3),
    surrogate.Sigmoid(alpha=3.0),
    surrogate.SoftSign(alpha=2.5),
    surrogate.SuperSpike(alpha=1.7),
    surrogate.ATan(alpha=2.2),
    surrogate.NonzeroSignLogAbs(alpha=1.1),
    surrogate.Erf(alpha=1.9),
    surrogate.PiecewiseLeakyReLU(w=0.6, c=0.03),
    surrogate.SquarewaveFourierSeries(n=3, T_period=5.0),
    surrogate.SquarewaveFourierSeries(n=1),
    surrogate.S2NN(alpha=3.5, beta=0.8),
    surrogate.QPseudoSpike(alpha=2.3),
    surrogate.LeakyKReLU(leak=0.2, k=0.9),
    surrogate.FakeNumericalGradient(alpha=0.4),
    surrogate.LogTailedReLU(alpha=0.1),
    surrogate.DeterministicPass(),
    surrogate.Rect(alpha=0.8),
]
WITH_RESET_VALUE = {"SimpleLIFNode"}
SETTINGS = {
    "IFNode": {},
    "SimpleIFNode": {},
    "HalfThresholdIFNode": {},
    "LIFNode": {"tau", "decay_input"},
    "SimpleLIFNode": {"tau", "decay_input"},
    "ParametricLIFNode": {"init_tau", "decay_input"},
    "KLIFNode": {"tau", "decay_input"},
    "QIFNode": {"tau"},
}
TENSORS = {"ParametricLIFNode": ["w"], "KLIFNode": ["k"]}


# ---- two ways to run a rule


def step_by_step(found, x_TB, v_B):
    """Follow the formulas of ``UpdateRule`` with plain autograd."""
    rule, spikes = found.rule, []
    threshold = rule.threshold_of(found.parameters)
    for x_B in x_TB:
        h_B = rule.charge(v_B, x_B, *found.parameters)
        s_B = rule.surrogate(h_B - threshold)
        spikes.append(s_B)
        s_B = s_B.detach() if rule.detach_reset else s_B
        v_B = h_B - s_B * threshold if rule.reset == "soft" else s_B * rule.reset_value + (1 - s_B) * h_B
    return torch.stack(spikes), v_B


def by_kernel(found, x_TB, v_B, **how):
    return run_rule(found.rule, x_TB, v_B, found.parameters, steps=len(x_TB), **how)


def compiled(found, x_TB, v_B):
    return by_kernel(found, x_TB, v_B, kernels="native")


EXECUTORS = [step_by_step, by_kernel]


def forward(execute, node, x_TB):
    """Run a neuron as the fast path does."""
    found = BACKEND.fusible(node)
    assert isinstance(found, Fusible), found
    spikes, v_B = execute(found, x_TB, start(node, x_TB[0]))
    BACKEND.keep_membrane(node, v_B)
    return spikes


def start(node, x_B):
    kept = BACKEND.membrane(node, x_B)
    return torch.full_like(x_B, BACKEND.fusible(node).rule.initial) if kept is None else kept


# ---- against the library


def build(kind, *, surrogate_function=None, v_threshold=1.0, v_reset=0.0, detach_reset=False, **given_settings):
    more = {name: value for name, value in given_settings.items() if name in SETTINGS[kind]}
    if kind != "HalfThresholdIFNode":
        more["v_reset"] = v_reset
    return getattr(neuron, kind)(
        v_threshold=v_threshold,
        detach_reset=detach_reset,
        surrogate_function=surrogate_function or surrogate.Sigmoid(),
        step_mode="m",
        **more,
    )


def numbers(*shape, seed, dtype=torch.float64, scale=1.0):
    return (torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) * scale).to(dtype)


def outcome(run, node, calls, v_B):
    """Return spikes, the last membrane and every gradient of some calls without a reset between them."""
    inputs = [x_TB.clone().requires_grad_() for x_TB in calls]
    leaves = [*inputs, *node.parameters()]
    if v_B is not None:
        node.v = v_B.clone().requires_grad_()
        leaves.append(node.v)
    spikes = [run(node, x_TB) for x_TB in inputs]
    weights = [numbers(*s.shape, seed=100 + index, dtype=s.dtype) for index, s in enumerate(spikes)]
    loss = (node.v * numbers(*node.v.shape, seed=99, dtype=node.v.dtype)).sum()
    loss = loss + sum((s * w).sum() for s, w in zip(spikes, weights, strict=True))
    return spikes, node.v.detach(), torch.autograd.grad(loss, leaves)


def assert_as_the_library(execute, node, calls, v_B=None, *, gradients=1e-9):
    twin = copy.deepcopy(node)
    theirs = outcome(lambda module, x: module(x), node, calls, v_B)
    ours = outcome(lambda module, x: forward(execute, module, x), twin, calls, v_B)
    for one, other in zip(ours[0], theirs[0], strict=True):
        assert one.dtype == other.dtype
        assert torch.equal(one, other)
    assert torch.equal(ours[1], theirs[1])
    for one, other in zip(ours[2], theirs[2], strict=True):
        torch.testing.assert_close(one, other, rtol=gradients, atol=gradients * float(other.abs().max()))
    return torch.cat([spikes.flatten() for spikes in theirs[0]]).mean()


@pytest.mark.parametrize("execute", EXECUTORS)
@pytest.mark.parametrize("function", SURROGATES, ids=repr)
@pytest.mark.parametrize("v_reset", [0.0, None, -0.3])
@pytest.mark.parametrize("detach_reset", [False, True])
def test_every_surrogate_of_the_library(execute, function, v_reset, detach_reset):
    node = build("LIFNode", surrogate_function=function, v_reset=v_reset, detach_reset=detach_reset)
    rate = assert_as_the_library(execute, node, [numbers(5, 40, seed=1, scale=2)], numbers(40, seed=2, scale=0.3))
    assert 0.05 < rate < 0.5


def test_no_surrogate_of_the_library_is_forgotten():
    own = {
        kind for kind in vars(surrogate).values() if isinstance(kind, type) and kind.__module__ == surrogate.__name__
    }
    kinds = {kind for kind in own if issubclass(kind, surrogate.SurrogateFunctionBase)}
    refused = {surrogate.SurrogateFunctionBase, surrogate.PoissonPass, surrogate.MultiLevelSpikeCount}
    assert kinds - refused == {type(function) for function in SURROGATES}


@st.composite
def neurons(draw):
    kind = draw(st.sampled_from(sorted(SETTINGS)))
    resets = st.floats(-0.6, 0.2) if kind in WITH_RESET_VALUE else st.none() | st.just(0.0) | st.floats(-0.6, 0.2)
    v_reset, decay_input = draw(resets), draw(st.booleans())
    if kind == "SimpleLIFNode" and not decay_input:
        v_reset = 0.0
    if kind == "QIFNode" and v_reset is not None:
        v_reset = -abs(v_reset)
    return build(
        kind,
        surrogate_function=draw(st.sampled_from(SURROGATES)),
        v_threshold=draw(st.floats(0.25, 2)),
        v_reset=v_reset,
        detach_reset=draw(st.booleans()),
        tau=(tau := draw(st.floats(1.05, 20))),
        init_tau=tau,
        decay_input=decay_input,
    )


SHAPES = st.sampled_from([(7,), (2, 5), (3, 2, 4), (2, 3, 2, 4), (1, 1)])


@pytest.mark.parametrize("execute", EXECUTORS)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    node=neurons(),
    steps=st.lists(st.integers(1, 9), min_size=1, max_size=2),
    shape=SHAPES,
    begun=st.booleans(),
    seed=st.integers(0, 50),
    data=st.data(),
)
def test_any_neuron_with_any_settings(execute, dtype, node, steps, shape, begun, seed, data):
    assume(
        not (isinstance(node, neuron.QIFNode) and node.v_reset is None and sum(steps) > 3)
    )  # it runs off to infinity
    node.to(dtype)
    for name in TENSORS.get(type(node).__name__, []):
        getattr(node, name).data.fill_(data.draw(st.floats(-2, 2), label=name))
    calls = [numbers(T, *shape, seed=seed + T, dtype=dtype, scale=1.5) for T in steps]
    v_B = numbers(*shape, seed=seed, dtype=dtype) if begun else None
    assert_as_the_library(execute, node, calls, v_B, gradients=1e-9 if dtype == torch.float64 else 2e-3)


@pytest.mark.parametrize("execute", EXECUTORS)
@pytest.mark.parametrize("kind", sorted(SETTINGS))
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
def test_each_kind_fires_and_is_equal_without_gradients(execute, kind, dtype):
    node = build(kind, tau=1.7, init_tau=1.7, decay_input=False, v_threshold=0.7).to(dtype).eval()
    twin = copy.deepcopy(node)
    x_TB = numbers(6, 4, 5, 3, 3, seed=3, dtype=dtype).to(memory_format=torch.preserve_format)
    laid = x_TB.flatten(0, 1).to(memory_format=torch.channels_last).unflatten(0, (6, 4))
    with torch.no_grad():
        theirs, ours = node(x_TB), forward(execute, twin, laid)
    assert 0.05 < theirs.mean() < 0.6
    assert torch.equal(ours, theirs)
    assert torch.equal(twin.v, node.v)


@pytest.mark.parametrize("execute", EXECUTORS)
@pytest.mark.parametrize("kind", sorted(SETTINGS))
def test_one_step_at_a_time(execute, kind):
    node = build(kind, tau=3.0, init_tau=3.0, decay_input=True, v_threshold=0.4)
    node.step_mode = "s"
    twin = copy.deepcopy(node)
    assert not BACKEND.fusible(twin).takes_sequence
    x_TB = numbers(5, 30, seed=4, dtype=torch.float32)
    assert torch.equal(forward(execute, twin, x_TB), torch.stack([node(x_B) for x_B in x_TB]))
    assert torch.equal(twin.v, node.v)


# ---- the membrane


@pytest.mark.parametrize("kind", sorted(SETTINGS))
def test_a_neuron_starts_from_its_reset_value_and_from_what_it_kept(kind):
    node = build(kind, v_threshold=0.8, v_reset=-0.2, tau=2.0, decay_input=True)
    x_B = numbers(4, 3, seed=5, dtype=torch.float32)
    expected = {"HalfThresholdIFNode": 0.4, "SimpleIFNode": 0.0, "SimpleLIFNode": 0.0}.get(kind, -0.2)
    assert BACKEND.membrane(node, x_B) is None
    assert BACKEND.fusible(node).rule.initial == expected
    kept = numbers(4, 3, seed=6, dtype=torch.float32)
    BACKEND.keep_membrane(node, kept)
    assert torch.equal(node.v, kept)
    assert torch.equal(BACKEND.membrane(node, x_B), kept)
    assert BACKEND.membrane(node, x_B.double()).dtype == torch.float64
    node.reset()
    assert BACKEND.membrane(node, x_B) is None


@pytest.mark.parametrize("kind", sorted(SETTINGS))
def test_a_membrane_set_to_a_number_is_where_it_starts(kind):
    node = build(kind, v_threshold=0.8, tau=2.0, decay_input=True)
    twin = copy.deepcopy(node)
    node.v = twin.v = 0.35
    x_TB = numbers(3, 20, seed=9, dtype=torch.float32)
    assert torch.equal(BACKEND.membrane(node, x_TB[0]), torch.full((20,), 0.35))
    assert torch.equal(forward(step_by_step, node, x_TB), twin(x_TB))


@pytest.mark.parametrize("kind", sorted(set(SETTINGS) - {"SimpleIFNode", "SimpleLIFNode"}))
def test_a_batch_of_another_size_starts_anew_as_in_the_library(kind):
    node = build(kind, v_reset=-0.1, v_threshold=0.5, tau=2.0, decay_input=True)
    twin = copy.deepcopy(node)
    for batch in (4, 6):
        x_TB = numbers(3, batch, 2, seed=batch, dtype=torch.float32)
        assert torch.equal(forward(step_by_step, twin, x_TB), node(x_TB))


def test_a_simple_neuron_that_kept_another_shape_says_so():
    node = build("SimpleIFNode")
    BACKEND.keep_membrane(node, torch.zeros(4, 2))
    with pytest.raises(StateError, match=r"a SimpleIFNode holds a membrane of shape \[4, 2\] .* shape \[6, 2\]; reset"):
        BACKEND.membrane(node, torch.zeros(6, 2))


def test_a_kept_view_can_be_detached_and_passes_gradients_on_until_then():
    node = build("IFNode")
    leaf = torch.ones(2, 6, requires_grad=True)
    BACKEND.keep_membrane(node, (leaf * 3)[1].view(2, 3))
    node.v.sum().backward()
    assert torch.equal(leaf.grad, torch.tensor([[0.0] * 6, [3.0] * 6]))
    functional.detach_net(node)
    assert not node.v.requires_grad
    assert torch.equal(node.v, torch.full((2, 3), 3.0))


# ---- what is fused and what is not


class MyLIF(neuron.LIFNode):
    """A user's own neuron."""


class MySurrogate(surrogate.Sigmoid):
    """A user's own surrogate."""


def changed(node, **attributes):
    for name, value in attributes.items():
        setattr(node, name, value)
    return node


def with_surrogate(function, **attributes):
    return neuron.LIFNode(surrogate_function=changed(function, **attributes))


def hooked():
    function = surrogate.Sigmoid()
    function.register_forward_hook(lambda *_: None)
    return neuron.LIFNode(surrogate_function=function)


REFUSED = [
    (MyLIF(), "MyLIF is derived from LIFNode and may compute otherwise"),
    (nn.ReLU(), "no update rule is known of ReLU"),
    (neuron.PSN(T=4), "no update rule is known of PSN"),
    (neuron.EIFNode(), "its exponential rounds otherwise once compiled"),
    (neuron.ILIFNode(), "it may fire more than once a step"),
    (neuron.TernaryIFNode(), "its spikes have a sign"),
    (neuron.IzhikevichNode(), "it keeps a second state beside its membrane"),
    (neuron.CUBALIFNode(), "it keeps a second state beside its membrane"),
    (neuron.OTTTLIFNode(), "it learns online, step by step"),
    (neuron.ActivationAwareIFNode(), "it fires at an offset from its threshold"),
    (
        neuron.LIAFNode(torch.relu, threshold_related=False),
        "LIAFNode is derived from LIFNode and may compute otherwise",
    ),
    (neuron.LIFNode(store_v_seq=True), "it stores its membrane at each step (store_v_seq)"),
    (
        changed(neuron.LIFNode(), _neuron_precision=(torch.float16, "fp32", "fp32")),
        "it computes in a precision of its own",
    ),
    (changed(neuron.LIFNode(), v_threshold=torch.ones(3)), "its v_threshold is not a finite number"),
    (changed(neuron.LIFNode(), v_reset=torch.zeros(())), "its v_reset is not a finite number"),
    (changed(neuron.LIFNode(), tau=1.0), "its tau is not above 1"),
    (changed(neuron.ParametricLIFNode(), w=nn.Parameter(torch.zeros(3))), "its w is not a tensor of one value"),
    (changed(neuron.LIFNode(), multi_step_forward=torch.sign), "its multi_step_forward was replaced"),
    (neuron.KLIFNode(scale_reset=True), "its reset rescales the membrane (scale_reset)"),
    (neuron.SimpleLIFNode(2.0, decay_input=True, v_reset=None), "it has no soft reset"),
    (
        neuron.SimpleLIFNode(2.0, decay_input=False, v_reset=0.1),
        "its first step leaks by a number, which rounds otherwise",
    ),
    (with_surrogate(MySurrogate()), "its surrogate MySurrogate is not one of the library's"),
    (with_surrogate(surrogate.Sigmoid(spiking=False)), "its surrogate is in primitive mode (spiking=False)"),
    (
        with_surrogate(surrogate.Sigmoid(alpha=nn.Parameter(torch.ones(())))),
        "alpha of its surrogate is not a finite number",
    ),
    (with_surrogate(surrogate.Sigmoid(alpha=-1.0)), "alpha of its surrogate is not positive"),
    (with_surrogate(surrogate.Sigmoid(), spiking_function=torch.sign), "its surrogate was changed or has hooks"),
    (hooked(), "its surrogate was changed or has hooks"),
    (with_surrogate(surrogate.PoissonPass()), "its surrogate draws the spikes at random"),
    (with_surrogate(surrogate.MultiLevelSpikeCount(4)), "its surrogate counts several spikes a step"),
]


@pytest.mark.parametrize(("node", "reason"), REFUSED, ids=lambda value: value if isinstance(value, str) else "")
def test_what_has_no_rule_says_why(node, reason):
    assert BACKEND.fusible(node) == reason


def test_a_memory_that_resets_to_a_tensor_is_left_to_the_library():
    node = neuron.IFNode()
    node.set_reset_value("v", torch.ones(3))
    assert BACKEND.fusible(node) == "its reset value is not a finite number"


def test_a_hooked_neuron_is_still_fused():
    node = neuron.LIFNode()
    node.register_forward_hook(lambda *_: None)
    assert isinstance(BACKEND.fusible(node), Fusible)


def test_neurons_that_compute_the_same_share_a_rule():
    one, other = (build("LIFNode", tau=3.0, surrogate_function=surrogate.ATan()) for _ in range(2))
    other.step_mode = "s"
    assert BACKEND.fusible(one).rule == BACKEND.fusible(other).rule
    assert hash(BACKEND.fusible(one).rule) == hash(BACKEND.fusible(other).rule)


@pytest.mark.parametrize(
    "difference",
    [
        {"tau": 2.5},
        {"decay_input": False},
        {"v_threshold": 0.9},
        {"v_reset": None},
        {"v_reset": 0.1},
        {"detach_reset": True},
        {"surrogate_function": surrogate.ATan()},
        {"surrogate_function": surrogate.Sigmoid(alpha=1.0)},
    ],
    ids=str,
)
def test_neurons_that_compute_otherwise_do_not(difference):
    plain = {"tau": 2.0, "decay_input": True}
    one, other = build("LIFNode", **plain), build("LIFNode", **(plain | difference))
    assert BACKEND.fusible(one).rule != BACKEND.fusible(other).rule


def test_the_tensors_are_the_neurons_own():
    node = neuron.ParametricLIFNode()
    assert BACKEND.fusible(node).parameters[0] is node.w
    assert BACKEND.fusible(node).rule == BACKEND.fusible(neuron.ParametricLIFNode(init_tau=5.0)).rule


# ---- compiled

needs_compiler = pytest.mark.skipif(shutil.which("g++") is None, reason="no compiler")
BOTH = (torch.float64, torch.float32)
COMPILED = {
    "if": (build("IFNode", v_reset=None, surrogate_function=surrogate.ATan()), BOTH),
    "lif": (build("LIFNode", tau=1.9, decay_input=True, detach_reset=True, v_threshold=0.7), BOTH),
    "lif of another tau": (build("LIFNode", tau=3.7, decay_input=True, detach_reset=True, v_threshold=0.7), BOTH),
    "lif, reset to a value": (build("LIFNode", tau=2.3, decay_input=False, v_reset=-0.21), BOTH[1:]),
    "plif": (build("ParametricLIFNode", init_tau=2.7, decay_input=True, v_threshold=0.6), BOTH),
    "klif": (build("KLIFNode", tau=1.3, decay_input=False, v_threshold=0.9), BOTH[1:]),
    "half threshold": (build("HalfThresholdIFNode", v_threshold=0.7), BOTH[1:]),
    "qif": (build("QIFNode", tau=2.0, v_threshold=0.7, v_reset=-0.1), BOTH[1:]),
    "simple lif": (build("SimpleLIFNode", tau=1.6, decay_input=True, v_reset=-0.2), BOTH[1:]),
}
HARD_TO_COMPILE = [
    surrogate.LogTailedReLU(alpha=0.1),  # the library's own indexes by a mask
    surrogate.SquarewaveFourierSeries(n=3),  # writes in place
    surrogate.S2NN(),
    surrogate.DeterministicPass(),  # does not read the potential
]


@pytest.mark.slow
@needs_compiler
@pytest.mark.parametrize(("node", "dtypes"), COMPILED.values(), ids=list(COMPILED))
def test_a_compiled_rule_is_equal(node, dtypes):
    for dtype in dtypes:
        for shape in ((6, 5, 3, 3), (4, 7)):  # one kernel serves both
            calls = [numbers(4, *shape, seed=seed, dtype=dtype, scale=1.5) for seed in (7, 8)]
            tolerance = 1e-9 if dtype == torch.float64 else 2e-3
            rate = assert_as_the_library(compiled, copy.deepcopy(node).to(dtype), calls, gradients=tolerance)
            assert 0.05 < rate < 0.6


@pytest.mark.slow
@needs_compiler
@pytest.mark.parametrize("function", HARD_TO_COMPILE, ids=repr)
def test_surrogates_of_every_form_compile(function):
    node = build("LIFNode", surrogate_function=function, v_reset=None, v_threshold=0.8)
    assert_as_the_library(compiled, node, [numbers(3, 40, seed=1, scale=2)])
