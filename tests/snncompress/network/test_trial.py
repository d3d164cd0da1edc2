"""One batch tried out: what is declared against what is seen."""

import pytest
import torch
from odd_networks import FiresOnce, InPlace, KeepsState, Loop, Noisy, Reservoir
from own_networks import JellyNet, LoopNet, Scaled
from spikingjelly.activation_based import layer
from torch import nn

from snncompress import ModelError, Network, StateError, Time, declare
from snncompress.network import InHand, try_out
from snncompress.network.trial import Digest

ANN = Time("none", input="static", output="averaged")
JELLY = Time("multi_step", 3)


def in_hand(host, module, time, **arguments):
    """A network that nobody has looked at: ``declare`` would refuse some of these by themselves."""
    reference = {"use": "python", "function": f"odd_networks:{type(module).__name__}", "arguments": arguments}
    return Network(module, time, InHand(module, time, reference), host)


def images(number=6, time=JELLY):
    x_BCHW = torch.rand(number, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    return x_BCHW if time.input == "static" else x_BCHW.expand(time.T, *x_BCHW.shape)


@pytest.mark.parametrize(
    ("make", "time"),
    [
        (JellyNet, JELLY),
        (LoopNet, Time("inside", 6, input="static", records=("output", "membranes"), attribute="num_steps")),
        (lambda: Loop(5), Time("inside", 5, input="static", attribute="num_steps")),
        (lambda: Loop(5, "mean"), Time("inside", 5, input="static", output="averaged", attribute="num_steps")),
    ],
)
def test_ordinary_networks_pass_and_are_left_as_they_were(host, make, time):
    network = in_hand(host, make(), time)
    network.module.train()
    x, state = images(time=time), torch.get_rng_state()
    output = try_out(network, x, split="test")
    assert torch.equal(torch.get_rng_state(), state)
    assert network.module.training
    network.module.eval()
    again = network.forward(x)
    network.reset()
    assert output.logits.shape[-1] == again.logits.shape[-1] == 10


@pytest.mark.parametrize("itself", [False, True])
def test_state_that_nobody_clears_is_named(host, itself):
    network = in_hand(host, KeepsState(itself=itself), Time("inside", 3), itself=itself)
    name = r"the network itself \(KeepsState\)" if itself else r"'keeper' \(Keeper\)"
    with pytest.raises(StateError, match=f"{name} answers differently to the same input after a reset"):
        try_out(network, images(), split="test")


def test_an_attribute_of_a_librarys_neuron_that_it_does_not_clear_is_named(host):
    chain = nn.Sequential(layer.Flatten(), layer.Linear(64, 32), FiresOnce(v_threshold=0.2), layer.Linear(32, 10))
    for part in chain:
        part.step_mode = "m"
    with torch.no_grad():
        chain[1].weight.fill_(0.05)
    with pytest.raises(StateError, match=r"'2' \(FiresOnce\) answers differently"):
        try_out(in_hand(host, chain, JELLY), images(), split="test")


def test_noise_of_a_generator_that_goes_on_is_state(host):
    with pytest.raises(StateError, match=r"draws from a generator of its own"):
        try_out(in_hand(host, Noisy("own"), ANN), images(time=ANN), split="test")


@pytest.mark.parametrize("generator", ["global", "seeded"])
def test_noise_that_a_seed_repeats_is_none_and_is_the_same_elsewhere(host, generator):
    network = in_hand(host, Noisy(generator), ANN, generator=generator)
    try_out(network, images(time=ANN), split="test", rebuild=True)


def test_an_input_changed_in_place_is_told_and_the_samples_stay_as_they_are(host):
    x = images(time=ANN)
    kept = x.clone()
    with pytest.raises(ModelError, match="forward changes its input in place"):
        try_out(in_hand(host, InPlace(), ANN), x, split="test")
    assert torch.equal(x, kept)


def test_a_loop_of_another_length_than_declared_is_told(host):
    time = Time("inside", 25, input="static", settable=False)
    with pytest.raises(ModelError, match=r"returned \[10, 6, 10\] for 25 time step\(s\) of 6 sample\(s\)"):
        try_out(in_hand(host, Loop(10), time), images(time=time), split="test")


def test_a_loop_whose_mean_hides_its_length_is_told_by_its_neurons(host):
    time = Time("inside", 25, input="static", output="averaged", settable=False)
    with pytest.raises(ModelError, match=r"declares T=25, but its neuron 'lif' runs 10 times"):
        try_out(in_hand(host, Loop(10, "mean"), time), images(time=time), split="test")


@pytest.mark.parametrize("samples", [4, 6], ids=["as many as steps", "others"])
def test_an_output_with_the_batch_first_is_told(host, samples):
    time = Time("inside", 4, input="static", settable=False)
    with pytest.raises(ModelError, match=r"time step\(s\) of .* output='per_step': \[T, B, C\]"):
        try_out(in_hand(host, Loop(4, "batch first"), time), images(samples, time), split="test")


def test_what_the_network_raises_says_which_data_it_was_given(host):
    with pytest.raises(ModelError, match=r"running the network on float32 \[3, 6, 1, 4, 4\] of the test data failed"):
        try_out(in_hand(host, JellyNet(), JELLY), torch.rand(3, 6, 1, 4, 4), split="test")


@pytest.mark.parametrize("keep", ["attribute", "list", "numpy", "not stored", "closure", "number", "first call"])
@pytest.mark.parametrize("seed", [0, 1])
def test_values_that_no_state_dict_holds_are_seen_whatever_the_seed(host, keep, seed):
    torch.manual_seed(seed)
    network = in_hand(host, Reservoir(keep), JELLY, keep=keep)
    with pytest.raises(
        ModelError, match="another process would build a network that computes something else"
    ) as caught:
        try_out(network, images(), split="training", rebuild=True)
    assert "the network itself (Reservoir)" in str(caught.value) or "'lif'" in str(caught.value)


def test_what_differs_is_named(host):
    module = Scaled()
    module.scale = 2.0
    reference = {"use": "python", "function": "own_networks:Scaled", "arguments": {}}
    network = Network(module, JELLY, InHand(module, JELLY, reference), host)
    with pytest.raises(ModelError, match=r"its 'scale' is 1.0 there and 2.0 here"):
        try_out(network, images(), split="training", rebuild=True)


def test_random_values_in_a_buffer_are_the_same_elsewhere(host):
    network = declare(Reservoir("buffer"), JELLY, arguments={"keep": "buffer"}, host=host)
    try_out(network, images(), split="training", rebuild=True)


def test_a_digest_sees_one_spike_in_ten_million_and_where_it_stands():
    spikes = (torch.rand(10_000_000, generator=torch.Generator().manual_seed(0)) < 0.05).float()
    moved, flipped = spikes.clone(), spikes.clone()
    flipped[4_000_000] = 1 - flipped[4_000_000]
    at = [int(index) for index in (spikes == 1).nonzero()[[10, -10], 0]]
    moved[at[0]], moved[at[1] + 1 if not spikes[at[1] + 1] else at[1] + 2] = 0.0, 1.0
    assert Digest.of(spikes).same(Digest.of(spikes.clone()))
    assert not Digest.of(spikes).same(Digest.of(flipped))
    assert not Digest.of(spikes).same(Digest.of(moved))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_values_that_are_not_finite_are_compared_too(value):
    x = torch.tensor([1.0, value])
    assert Digest.of(x).same(Digest.of(x.clone()))
    assert not Digest.of(x).same(Digest.of(torch.tensor([1.0, 2.0])))
    assert not Digest.of(x).same(Digest.of(torch.tensor([[1.0, value]])))
    assert Digest.of(torch.zeros(0)).same(Digest.of(torch.zeros(0)))
