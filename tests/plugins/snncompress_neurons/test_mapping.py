"""The mapping between neurons: what it calls exact is exact, and whatever it builds runs."""

from __future__ import annotations

import pytest
import snntorch
import torch
from exchanged_neurons import in_place_of, numbers, torch_loop
from hypothesis import given, settings
from hypothesis import strategies as st
from snntorch import surrogate
from spikingjelly.activation_based import neuron
from spikingjelly.activation_based import surrogate as jelly_surrogate

from snncompress import Host, NeuronDescription
from snncompress_snntorch.nodes import StandIn

HOST = Host.from_environment()
T, B, C = 5, 8, 3
X = numbers(T, B, C, scale=2.0)
KINDS = [
    f"{library}.{kind}" for library in ("spikingjelly", "snntorch") for kind in ("if", "lif", "plif", "slif", "alif")
]

TAUS = st.sampled_from([1.1, 1.5, 2.0, 3.0, 10.0])
THRESHOLDS = st.sampled_from([-0.2, 0.0, 0.3, 1.0])
SPIKINGJELLY = {
    "decay_input": st.booleans(),
    "v_threshold": THRESHOLDS,
    "v_reset": st.sampled_from([None, 0.0, -0.5]),
    "detach_reset": st.booleans(),
    "surrogate_function": st.sampled_from([jelly_surrogate.ATan(), jelly_surrogate.Sigmoid(), jelly_surrogate.Erf()]),
    "step_mode": st.sampled_from(["s", "m"]),
}
BETAS = st.one_of(
    st.sampled_from([0.0, 0.3, 0.5, 0.9, 1.0]),
    st.just(torch.tensor([0.2, 0.5, 0.7])),
)
SNNTORCH = {
    "beta": BETAS,
    "threshold": st.one_of(st.sampled_from([0.0, 0.3, 1.0]), st.just(torch.tensor([0.2, 0.9, 1.3]))),
    "learn_beta": st.booleans(),
    "reset_mechanism": st.sampled_from(["subtract", "zero", "none"]),
    "reset_delay": st.booleans(),
    "spike_grad": st.sampled_from([surrogate.atan(), surrogate.sigmoid(slope=3), surrogate.fast_sigmoid()]),
    "init_hidden": st.just(True),
}


@st.composite
def jelly_neurons(draw):
    given_settings = {name: draw(values) for name, values in SPIKINGJELLY.items()}
    kind = draw(st.sampled_from([neuron.IFNode, neuron.LIFNode, neuron.ParametricLIFNode]))
    if kind is neuron.IFNode:
        del given_settings["decay_input"]
        return kind(**given_settings)
    return kind(draw(TAUS), **given_settings)


@st.composite
def torch_neurons(draw):
    return snntorch.Leaky(**{name: draw(values) for name, values in SNNTORCH.items()})


def spikes_of(node, backend, x_TB):
    takes_sequence = backend.describe(node).takes_sequence if not isinstance(backend.describe(node), str) else None
    if takes_sequence is None:  # an adaptive neuron
        takes_sequence = getattr(node, "takes_sequence", getattr(node, "step_mode", "s") == "m")
    backend.reset(node)
    with torch.no_grad():
        spikes = node(x_TB) if takes_sequence else torch.stack([node(x_B) for x_B in x_TB])
    backend.reset(node)
    return spikes


@pytest.mark.parametrize("name", KINDS)
@settings(max_examples=60, deadline=None)
@given(old=st.one_of(jelly_neurons(), torch_neurons()), per=st.sampled_from(["channel", "layer", "neuron"]))
def test_a_neuron_without_obstacles_fires_alike_and_every_other_one_runs(name, per, old):
    library, kind = name.split(".")[0], HOST.make("neurons", name)
    source = "snntorch" if isinstance(old, snntorch.SpikingNeuron) else "spikingjelly"
    backends = {known: HOST.make("backends", known) for known in ("spikingjelly", "snntorch")}
    described = backends[source].describe(old)
    assert isinstance(described, NeuronDescription)
    assert NeuronDescription.from_json(described.to_json()) == described
    abroad = library != source
    if abroad and described.more:
        return
    new = in_place_of(old, backends[source], kind, (C,), per=per if per in kind.per else "channel")
    for node, backend in ((old, backends[source]), (new, backends[library])):
        backend.to_float64(node)
    expected, found = spikes_of(old, backends[source], X), spikes_of(new, backends[library], X)
    assert found.shape == expected.shape
    assert set(found.unique().tolist()) <= {0.0, 1.0}
    if not kind.obstacles(described, abroad=abroad) and not (per == "layer" and described.by_channel):
        assert torch.equal(found, expected)


@settings(max_examples=60, deadline=None)
@given(old=st.one_of(jelly_neurons(), torch_neurons()))
def test_a_neuron_is_described_by_what_it_computes(old):
    """The description, followed by its own formulas, gives the spikes of the library's neuron."""
    source = "snntorch" if isinstance(old, snntorch.SpikingNeuron) else "spikingjelly"
    backend = HOST.make("backends", source)
    described = backend.describe(old)
    backend.to_float64(old)
    if any("back" in what for what in described.more):
        return  # the reset that is taken back is what the formulas do not say
    assert torch.equal(follow(described), spikes_of(old, backend, X))


def follow(described):
    """Follow the formulas of ``NeuronDescription`` in float64."""
    rest = described.rest
    beta, divisor, threshold = (
        torch.tensor(value, dtype=torch.float64) for value in (described.beta, described.divisor, described.threshold)
    )
    v, spikes, last = torch.zeros_like(X[0]), [], torch.zeros_like(X[0])
    for x_B in X:
        if described.delayed:
            v = (1 - last) * v if described.reset == "hard" else v
        h = beta * v + x_B / divisor
        if described.delayed and described.reset == "soft":
            h = h - last * threshold
        above = h - (threshold - rest)
        s = (above > 0 if described.strict else above >= 0).double()
        spikes.append(s)
        last, v = s, h
        if not described.delayed and described.reset != "none":
            v = (1 - s) * h if described.reset == "hard" else h - s * threshold
    return torch.stack(spikes)


@pytest.mark.parametrize("rest", [0.0, -0.5, 0.25])
def test_a_neuron_that_no_longer_leaks_needs_as_much_input_as_before(rest):
    """From rest to threshold are 1 - rest, and the input is halved: a steady input of 0.25 takes 8 * (1 - rest) steps."""
    old = neuron.LIFNode(tau=2.0, v_threshold=1.0, v_reset=rest, step_mode="m")
    new = in_place_of(old, HOST.make("backends", "spikingjelly"), HOST.make("neurons", "spikingjelly.if"), (1,))
    fired = new(torch.full((24, 1, 1), 0.25)).flatten().nonzero().flatten() + 1
    period = int(8 * (1 - rest))
    assert fired.tolist() == list(range(period, 25, period))


@pytest.mark.parametrize(("kind", "beta"), [("if", 1.0), ("lif", 0.75), ("plif", 0.75), ("slif", 0.75), ("alif", 0.75)])
def test_an_input_that_is_divided_by_another_number_than_tau_is_so_in_the_other_library_too(kind, beta):
    """What a SpikingJelly neuron becomes in snnTorch where its leak is trained: the input stays halved."""
    own = {"reset_mechanism": "zero", "init_hidden": True, "spike_grad": surrogate.atan()}
    values = {"beta": torch.tensor(beta), "threshold": torch.tensor(0.25), "divisor": torch.tensor(2.0)}
    old = StandIn(**own, **values, takes_sequence=True)
    backend, jelly = HOST.make("backends", "snntorch"), HOST.make("neurons", f"spikingjelly.{kind}")
    assert jelly.obstacles(backend.describe(old), abroad=True) == []
    new = in_place_of(old, backend, jelly, (C,), per=(jelly.per or ("channel",))[0])
    found = spikes_of(new.double(), HOST.make("backends", "spikingjelly"), X)
    fire = lambda above: (above > 0).double()  # noqa: E731 - a step function
    assert torch.equal(found, torch_loop(X / 2, threshold=0.25, beta=beta, fire=fire, mechanism="zero"))
    assert 0.1 < found.mean() < 0.9
