"""Channel pruning of networks of every form: the parameters left, by hand, and what is refused."""

import os
import subprocess
import sys
from dataclasses import replace
from itertools import pairwise

import fast_networks
import pytest
import torch
from channel_networks import (
    STEPPED,
    AddedToInput,
    Contained,
    FixedSize,
    Grouped,
    Heads,
    Joined,
    MixedByNorm,
    NormEachStep,
    Scaled,
    Stepped,
    Unflattened,
    dense_leaky_net,
    jelly_block,
    leaky_net,
    lively,
    stepwise_net,
)
from computed_networks import Convolutional
from own_networks import LoopNet, recurrent_net
from spikingjelly.activation_based import functional, neuron
from spikingjelly.activation_based.model import sew_resnet, spiking_vgg
from torch import nn

from snncompress import Facts, Inputs, Network, Replace, StepError, Time, Timesteps, Training, declare, save
from snncompress.network import InHand
from snncompress_structured import graph

ANN = Time("none", input="static", output="averaged")
OUTPUT = "its channels are the network's output"
ALL_STAY = "fraction, keep_at_least and round_to leave it all of its 12 channels"


def sew_parameters(width):
    """Return the parameters of a SEW-ResNet18 for 3 channels and 10 classes: 3 x 3 convolutions, norms, shortcuts."""

    def block(before, after):
        shortcut = before * after + 2 * after if before != after else 0
        return 9 * before * after + 2 * after + 9 * after * after + 2 * after + shortcut

    stages = [width, width, 2 * width, 4 * width, 8 * width]
    blocks = sum(block(before, after) + block(after, after) for before, after in pairwise(stages))
    return 3 * 49 * width + 2 * width + blocks + 8 * width * 10 + 10


def vgg_parameters(first, second, hidden):
    """Return those of a VGG of two convolutions with norms, each halving 8 x 8 places, and one hidden layer."""
    convolutions = 9 * first + first + 2 * first + 9 * first * second + second + 2 * second
    return convolutions + 4 * second * hidden + hidden + 2 * hidden + hidden * 10 + 10


def plif_parameters(channels, hidden):
    """Return those of the PLIF net for MNIST: one time constant for each of four layers of neurons."""
    convolutions = 9 * channels + 2 * channels + 9 * channels * channels + 2 * channels
    return convolutions + 49 * channels * hidden + hidden + hidden * 100 + 100 + 4


def convnet_parameters(first, second):
    """Return those of the tutorials' network: 5 x 5 convolutions with biases, 2 x 2 places left of 8 x 8."""
    return 25 * first + first + 25 * first * second + second + 4 * second * 10 + 10


def reason(prune, network, **settings):
    with pytest.raises(StepError) as caught:
        prune(network, **settings)
    return str(caught.value)


CASES = [
    pytest.param("snntorch.convnet", (1, 8, 8), {}, convnet_parameters(6, 32), id="convnet"),
    pytest.param("spikingjelly.sew_resnet", (3, 32, 32), {"width": 8}, sew_parameters(4), id="sew_resnet"),
    pytest.param(
        "spikingjelly.spiking_vgg",
        (1, 8, 8),
        {"channels": (8, "M", 12, "M"), "hidden": (16,)},
        vgg_parameters(4, 6, 8),
        id="spiking_vgg",
    ),
    pytest.param(
        "spikingjelly.parametric_lif_net", (1, 28, 28), {"channels": 8}, plif_parameters(4, 1024), id="plif_net"
    ),
]


@pytest.mark.parametrize(("use", "sizes", "settings", "parameters"), CASES)
def test_half_of_the_channels_of_a_library_network_go(opened, prune, use, sizes, settings, parameters):
    before = opened(use, sizes, **settings)
    after, note = prune(before)
    assert after.inventory.num_parameters() == note["parameters"][1] == parameters
    assert list(note["left"].values()) == [OUTPUT]
    assert all(left * 2 == size for size, left in note["channels"].values())
    proof = after.proofs[-1]
    assert proof.num_layers == len(before.neurons)
    assert proof.num_spikes > 100
    assert after.forward(after.probe).logits.shape[-1] == 10


def test_a_smaller_network_is_what_the_library_would_have_built(opened, prune):
    after, _ = prune(opened("spikingjelly.sew_resnet", (3, 32, 32), width=8))
    built = opened("spikingjelly.sew_resnet", (3, 32, 32), width=4)
    assert repr(after.module) == repr(built.module)
    assert {name: value.shape for name, value in after.tensors.items()} == {
        name: value.shape for name, value in built.tensors.items()
    }


def test_artifacts_give_equal_bits_in_a_fresh_process(opened, prune, tmp_path):
    for number, case in enumerate(CASES):
        use, sizes, settings, _ = case.values
        after, _ = prune(opened(use, sizes, **settings))
        after.module.eval()
        save(after, tmp_path / str(number))
        torch.save((after.probe, after.forward(after.probe).logits.detach()), tmp_path / f"{number}.pt")
    program = (
        "import sys, torch, snncompress\n"
        "torch.set_num_threads(1)\n"
        "for number in range(int(sys.argv[1])):\n"
        "    x, expected = torch.load(f'{number}.pt')\n"
        "    network = snncompress.load(str(number))\n"
        "    network.module.eval()\n"
        "    assert torch.equal(network.forward(x).logits, expected), number\n"
    )
    environment = {**os.environ, "OMP_NUM_THREADS": str(torch.get_num_threads())}
    program = program.replace("set_num_threads(1)", f"set_num_threads({torch.get_num_threads()})")
    subprocess.run([sys.executable, "-c", program, str(len(CASES))], check=True, cwd=tmp_path, env=environment)


# ---- networks of one's own


def test_groups_of_a_convolution_lose_the_same_positions(declared, prune):
    before = declared(Grouped())
    assert before.inventory.num_parameters() == 72 + 16 + 72 + 16 + 216 + 24 + 7690
    after, note = prune(before)
    # of 8 channels, four at one position of the groups go; of 12, four too: six are no whole number of positions
    assert note["channels"] == {"blocks.0.0": [8, 4], "blocks.2.0": [12, 8]}
    assert after.inventory.num_parameters() == 36 + 8 + 36 + 8 + 72 + 16 + (8 * 64 * 10 + 10)
    cuts = {(cut.tensor, cut.axis): cut.keep for cut in after.edits[-1].cuts}
    assert cuts["blocks.0.0.weight", 0] in [(0, 2, 4, 6), (1, 3, 5, 7)]
    assert cuts["blocks.2.0.weight", 1] in [(0,), (1,)]


def test_an_axis_that_two_layers_share_is_cut_once(declared, prune):
    after, note = prune(declared(Joined()))
    assert note["channels"] == {"left.0": [4, 2], "right.0": [6, 3], "both.0": [10, 5]}
    first, second = 9 * 2 + 2 * 2, 9 * 3 + 2 * 3
    assert after.inventory.num_parameters() == first + second + (9 * 5 * 5 + 2 * 5) + (5 * 64 * 10 + 10)


def test_containers_that_know_only_all_steps_at_once_are_traced(declared, prune):
    after, _ = prune(declared(Contained()))
    assert after.inventory.num_parameters() == 9 * 4 + 2 * 4 + (4 * 64 * 10 + 10)


def test_layers_that_take_one_step_at_a_time_are_traced(declared, prune):
    after, _ = prune(declared(stepwise_net(), Time("per_step", 3), build=stepwise_net))
    assert after.inventory.num_parameters() == 9 * 4 + 2 * 4 + (4 * 64 * 10 + 10)


def test_a_loop_over_time_within_forward_is_traced(declared, prune):
    after, note = prune(
        declared(LoopNet(), Time("inside", 6, input="static", attribute="num_steps", records=("output", "membranes")))
    )
    assert note["channels"] == {"fc1": [48, 24]}
    assert after.inventory.num_parameters() == 64 * 24 + 24 + 24 * 10 + 10


def test_a_parameter_of_the_network_itself_is_cut_or_named(declared, prune):
    after, _ = prune(declared(Scaled((6, 1, 1)), arguments={"shape": [6, 1, 1]}))
    assert after.inventory.num_parameters() == 9 * 3 + 2 * 3 + 3 + (3 * 64 * 10 + 10)
    told = reason(prune, declared(Scaled((6, 8, 8)), arguments={"shape": [6, 8, 8]}))
    assert "'first.0': the last axis of 'scale', [6, 8, 8], does not hold its 6 channels" in told


LEAKS = [
    (leaky_net, (), 1),
    (leaky_net, (6, 1, 1), 3),
    (leaky_net, (6, 8, 8), 3 * 64),
    (dense_leaky_net, (6,), 3),
]


@pytest.mark.parametrize(("build", "shape", "leaks"), LEAKS)
def test_the_leaks_of_neurons_are_cut_along(declared, prune, build, shape, leaks):
    time = Time("per_step", 3, records=("output", "membranes"))
    before = declared(build(shape), time, build=build, arguments={"shape": list(shape)})
    after, note = prune(before)
    layers = {leaky_net: 9 * 3 + 3 + 3 * 64 * 10, dense_leaky_net: 64 * 3 + 3 + 3 * 10}[build]
    assert list(note["channels"].values()) == [[6, 3]]
    assert after.inventory.num_parameters() == layers + 10 + 2 * 3 + leaks


@pytest.mark.parametrize(("num_steps", "channels"), [(3, 6), (6, 6)])
@pytest.mark.parametrize("kind", STEPPED)
def test_scales_of_time_steps_are_not_taken_for_channels(declared, prune, kind, num_steps, channels):
    """With as many steps as channels the size alone does not tell."""
    settings = {"kind": kind, "num_steps": num_steps}
    before = declared(Stepped(**settings), Time("multi_step", num_steps), arguments=settings)
    after, note = prune(before)
    assert note["channels"] == {"first": [channels, channels // 2]}
    scales = [value for name, value in after.tensors.items() if name.endswith("scale")]
    assert [value.numel() for value in scales] == [num_steps]
    assert after.inventory.num_parameters() == 9 * 3 + 2 * 3 + num_steps + (3 * 64 * 10 + 10)
    assert after.proofs[-1].num_spikes > 100


@pytest.mark.parametrize("num_steps", [8, 5])
def test_norms_of_steps_that_are_never_taken_are_cut_along(declared, prune, num_steps):
    """One norm for each of eight steps, as snnTorch makes them."""
    time = Time("inside", num_steps, input="static", attribute="num_steps")
    before = declared(NormEachStep(num_steps), time, arguments={"num_steps": num_steps})
    assert [int(norm.num_batches_tracked) for norm in before.module.norms] == [3] * num_steps + [0] * (8 - num_steps)
    after, note = prune(before)
    assert note["channels"] == {"conv": [8, 4]}
    assert [norm.num_features for norm in after.module.norms] == [4] * 8
    assert [tuple(norm.running_mean.shape) for norm in after.module.norms] == [(4,)] * 8
    longer = after.edited([Timesteps(8)])
    assert longer.forward(after.probe).logits.shape[0] == 8


def test_channels_that_a_reshape_joins_into_one_are_left(declared, prune):
    settings = {"sizes": [-1, 4, 4]}
    after, note = prune(declared(Unflattened(**settings), ANN, arguments=settings))
    assert note["channels"] == {"conv": [8, 4]}
    assert (
        note["left"]["first"]
        == "a reshape on the way to 'conv' makes 16 of its channels one, so they cannot go one by one"
    )
    assert after.inventory.num_parameters() == 64 * 64 + 64 + (9 * 4 * 4 + 4) + (4 * 16 * 10 + 10)
    told = reason(prune, declared(Unflattened(**settings), ANN, arguments=settings), select=("first",))
    assert told.startswith("no channel can be removed: 'first': a reshape on the way to 'conv'")


@pytest.mark.parametrize("sizes", [(4, 4), (-1, 4)])
@pytest.mark.parametrize("scope", ["layer", "global"])
def test_the_plan_refuses_channels_that_a_reshape_with_fixed_sizes_takes(declared, make, sizes, scope):
    network = declared(Heads(sizes), ANN, arguments={"sizes": list(sizes)})
    facts = facts_of(network, "weights")
    facts = replace(facts, network=lambda: network)
    (problem,) = make("prune.channels", fraction=0.5, scope=scope).check(facts)
    assert (problem.where, problem.warns, problem.hint) == (("select",), False, "leave out with select: '!conv'")


def convolutional(declared, kind):
    return declared(Convolutional(kind), Time("multi_step", 4), (1, 4, 4), arguments={"kind": kind})


@pytest.mark.parametrize("kind", ["StdConv2d", "Standardised"])
def test_weights_that_forward_standardises_are_cut_by_their_outputs_alone(declared, prune, kind):
    after, note = prune(convolutional(declared, kind))
    assert note["channels"] == {"second": [6, 3]}
    assert note["left"]["first"] == (
        "forward of 'second' computes the weight in use from 'second.weight', across its inputs"
    )
    assert after.module.second.weight.shape == (3, 6, 3, 3)


@pytest.mark.parametrize("kind", ["ScaledStdConv2d", "WSConv2d"])
def test_the_plan_refuses_to_cut_what_a_gain_of_the_layer_multiplies(declared, make, kind):
    network = convolutional(declared, kind)
    facts = replace(facts_of(network, "weights"), network=lambda: network)
    (problem,) = make("prune.channels", fraction=0.5).check(facts)
    assert (problem.where, problem.hint) == (("select",), "leave out with select: '!second'")


def test_the_plan_refuses_to_cut_weights_that_forward_computes_across_their_outputs(declared, make):
    network = convolutional(declared, "Softmaxed")
    facts = replace(facts_of(network, "weights"), network=lambda: network)
    (problem,) = make("prune.channels", fraction=0.5).check(facts)
    across = "forward of 'first' computes the weight in use from 'first.weight', across its outputs"
    assert problem.where == ("use",)
    assert across in problem.what


@pytest.mark.parametrize(
    ("kind", "chains"), [("Conv2d", ["first to second", "second to out"]), ("SteppedStandardised", [])]
)
def test_what_forward_computes_is_no_layer_in_a_row(declared, kind, chains):
    blocks = convolutional(declared, kind).blocks()
    assert [one.name for block in blocks for one in block.dimensions if "second" in one.name.split()] == chains


def test_masks_snapshots_and_weights_are_cut_along(declared, prune):
    before = declared(Grouped()).with_snapshot("start")
    masks = {"blocks.2.0.weight": before.tensors["blocks.2.0.weight"].abs() > 0.1}
    after, _ = prune(before.with_masks(masks))
    keep = {(cut.tensor, cut.axis): list(cut.keep) for cut in after.edits[-1].cuts}
    name = "blocks.2.0.weight"
    expected = masks[name][keep[name, 0]][:, keep[name, 1]]
    assert torch.equal(after.masks[name], expected)
    assert torch.equal(after.snapshots["start"][name], before.tensors[name][keep[name, 0]][:, keep[name, 1]])
    assert not after.tensors[name][~expected].any()


FORMS = {
    "Residual": {"conv1": [6, 3]},  # the second convolution's spikes are added to the first's
    "TwoConsumers": {"conv1": [6, 3], "conv2": [6, 3]},
    "Shared": {"stem": [6, 3]},
    "OtherNorms": {"conv1": [6, 3], "conv2": [6, 3], "conv3": [6, 3], "conv4": [6, 3]},
    "SumOverTime": {"conv1": [6, 3]},
    "StepNumber": {"conv1": [6, 3]},
    "PartlyUnknown": {"conv1": [6, 3]},
    "Dropping": {"conv1": [6, 3], "conv2": [6, 3]},
}


@pytest.mark.parametrize("form", FORMS)
def test_networks_of_many_forms_are_cut_and_proved(declared, prune, form):
    after, note = prune(declared(getattr(fast_networks, form)(), Time("multi_step", 4)))
    assert note["channels"] == FORMS[form]
    assert after.proofs[-1].num_spikes > 100


# ---- which channels, and how many


def test_the_selector_says_which_layers_are_cut(opened, prune):
    before = opened("spikingjelly.spikformer", (3, 32, 32), embed_dims=32, depths=1, num_heads=2)
    after, note = prune(before, select=("stem",))
    stages = [f"patch_embed.stages.{stage}.conv_bn.block.0" for stage in range(4)]
    assert note["channels"] == {stages[0]: [4, 2], stages[1]: [8, 4], stages[2]: [16, 8]}
    assert note["left"] == {
        stages[
            3
        ]: "its channels are those of 'blocks.0.attn.proj_conv_bn.0' and 1 more too, which the selector does not pick"
    }
    stem = [9 * before * now + 2 * now for before, now in [(3, 4), (4, 8), (8, 16)]]
    smaller = [9 * before * now + 2 * now for before, now in [(3, 2), (2, 4), (4, 8)]]
    lost = sum(stem) - sum(smaller) + 9 * 8 * 32
    assert after.inventory.num_parameters() == before.inventory.num_parameters() - lost


def test_the_channels_of_all_layers_can_be_compared(opened, prune):
    before = opened("snntorch.convnet", (1, 8, 8))
    quiet = before.with_weights({"conv1.weight": before.tensors["conv1.weight"] * 0.8})
    _, note = prune(quiet, scope="global", fraction=0.25, importance="l1", keep_at_least=4)
    assert sum(size - left for size, left in note["channels"].values()) == 19  # a quarter of 12 + 64
    assert all(left >= 4 for _, left in note["channels"].values())


def test_the_channels_that_fire_least_go(opened, prune):
    before = opened("snntorch.convnet", (1, 8, 8))
    loud = before.tensors["conv1.bias"].clone()
    loud[[1, 4, 7]] = -100.0  # these channels never fire, whatever the image
    after, _ = prune(before.with_weights({"conv1.bias": loud}), fraction=0.25, importance="firing", samples=20)
    kept = {cut.tensor: cut.keep for cut in after.edits[-1].cuts}["conv1.bias"]
    assert kept == (0, 2, 3, 5, 6, 8, 9, 10, 11)


def test_layers_keep_multiples(opened, prune):
    _, note = prune(opened("snntorch.convnet", (1, 8, 8)), fraction=0.28, round_to=8)
    assert note["channels"] == {"conv1": [12, 12], "conv2": [64, 48]}  # 9 and 46 would stay, rounded up


def test_it_fine_tunes_the_smaller_network(opened, prune):
    tuned, _ = prune(opened("snntorch.convnet", (1, 8, 8), channels=(4, 8)), finetune=Training(epochs=1))
    bare, _ = prune(opened("snntorch.convnet", (1, 8, 8), channels=(4, 8)))
    assert tuned.inventory.num_parameters() == bare.inventory.num_parameters()
    assert not torch.equal(tuned.tensors["head.weight"], bare.tensors["head.weight"])


def test_frozen_weights_are_traced_and_stay_frozen(opened, prune):
    before = opened("snntorch.convnet", (1, 8, 8))
    before.module.requires_grad_(False)
    after, note = prune(before)
    assert note["channels"] == {"conv1": [12, 6], "conv2": [64, 32]}
    assert not any(value.requires_grad for value in after.module.parameters())


# ---- what cannot be cut, and why


def test_the_head_is_never_cut(opened, prune):
    for use, head in (("snntorch.convnet", "head"), ("spikingjelly.sew_resnet", "fc")):
        network = opened(use, (3, 32, 32))
        assert reason(prune, network, select=(head,)) == f"no channel can be removed: '{head}': {OUTPUT}"


def test_what_lies_inside_of_a_head_is_cut_as_elsewhere(opened, prune):
    network = opened("snntorch.convnet", (1, 8, 8)).edited([Replace("head", "structured.factors", {"rank": 4})])
    after, note = prune(network, select=("head",))
    assert note["channels"] == {"head.first": [4, 2]}
    shapes = [tuple(after.tensors[f"head.{name}.weight"].shape) for name in ("first", "second")]
    assert shapes == [(2, 4 * 64), (10, 2)]


def test_too_small_a_fraction_is_told(opened, prune):
    told = reason(prune, opened("snntorch.convnet", (1, 8, 8)), fraction=0.04, select=("conv1",))
    assert told == f"no channel can be removed: 'conv1': {ALL_STAY}"


def test_a_norm_across_channels_is_named(declared, prune):
    told = reason(prune, declared(MixedByNorm()))
    assert "'first.0': 'norm' (GroupNorm) works across channels" in told


def test_recurrent_neurons_are_named(host, prune):
    network = lively(declare(recurrent_net(), Time("per_step", 2), build=recurrent_net, host=host))
    told = reason(prune, network, select=("1",))
    assert told == "no channel can be removed: '1': '2' (RLeaky) joins channels by weights of its own"


def test_channels_added_to_the_input_are_left(declared, prune):
    told = reason(prune, declared(AddedToInput(6), sizes=(6, 8, 8), arguments={"of_image": 6}))
    assert "'block.0': its channels are joined with those of the network's input" in told
    _, note = prune(declared(AddedToInput(1), arguments={"of_image": 1}))  # one channel, added to each
    assert note["channels"] == {"block.0": [6, 3]}


def test_code_that_names_a_size_fails_and_the_layer_is_named(declared, prune):
    network = declared(FixedSize())
    told = reason(prune, network)
    assert told.startswith("the network does not run without these channels (shape '[2, 8, 8, 8, 8]' is invalid")
    assert told.endswith("leave out with select: '!second.0'")
    _, note = prune(network, select=("synapse", "!second"))
    assert note["channels"] == {"first.0": [8, 4]}


TRANSFORMERS = [
    ("spikingjelly.qkformer", {"embed_dims": 32, "num_heads": (1, 1, 2)}, ("patch_embed1.conv3", "patch_embed2.conv2")),
    ("spikingjelly.maxformer", {}, ("patch_embed3.conv2",)),
    ("spikingjelly.spike_driven_transformer", {}, ("patch_embed.final_stage.0",)),
]


@pytest.mark.parametrize(("use", "settings", "fixed"), TRANSFORMERS)
def test_transformers_that_fix_sizes_are_cut_everywhere_else(opened, prune, use, settings, fixed):
    network = opened(use, (3, 16, 16), **settings)
    assert reason(prune, network).endswith(f"leave out with select: {', '.join(repr(f'!{path}') for path in fixed)}")
    after, note = prune(network, select=("synapse", *(f"!{path}" for path in fixed)))
    assert len(note["channels"]) >= 4
    assert after.proofs[-1].num_layers == len(network.neurons)


def test_tracing_that_stalls_is_interrupted(opened, prune, monkeypatch):
    """What torch-pruning itself does without ``mend`` on this network takes all memory in a second, so this stalls instead."""

    def stall(*_):
        while True:
            len("")

    monkeypatch.setattr(graph, "mend", stall)
    network = opened("spikingjelly.parametric_lif_net", (1, 28, 28), channels=8)
    told = reason(prune, network, seconds_at_most=1.0)
    assert told.startswith("torch-pruning has not traced MNISTNet within 1 s; give it longer (seconds_at_most)")


def test_a_network_without_a_probe_batch_is_told(opened, prune):
    assert "a probe batch is needed" in reason(prune, opened("snntorch.convnet", (1, 8, 8)).with_probe(None))


# ---- planning


def facts_of(network, *state):
    return Facts(network.inventory, network.time, Inputs((1, 8, 8), 10), frozenset(state))


def test_a_trained_network_is_fine_and_mistakes_are_found(opened, make):
    network = opened("snntorch.convnet", (1, 8, 8))
    assert list(make("prune.channels", fraction=0.5).check(facts_of(network, "weights"))) == []
    wrong = make("prune.channels", fraction=0.5, select=("conv3",), finetune=Training(epochs=1, optimizer="sdg"))
    found = list(wrong.check(facts_of(network)))
    assert [problem.where for problem in found] == [("select",), ("use",), ("finetune", "optimizer")]


@pytest.mark.parametrize(("use", "settings", "fixed"), TRANSFORMERS)
def test_the_plan_names_layers_whose_sizes_the_code_fixes(planned, make, use, settings, fixed):
    (problem,) = planned(use, (3, 16, 16), model=settings)
    assert (problem.where, problem.warns) == (("select",), False)
    assert problem.what.startswith("the network does not run without these channels (")
    assert problem.hint == f"leave out with select: {', '.join(repr(f'!{path}') for path in fixed)}"
    assert planned(use, (3, 16, 16), model=settings, select=[f"!{path}" for path in fixed]) == []
    assert planned(use, (3, 16, 16), (make("prune.dsp", fraction=0.5),), model=settings) == []  # sizes are not known


def test_the_plan_refuses_layers_that_can_lose_no_channel_where_weights_may_choose_them(planned):
    (problem,) = planned("spikingjelly.maxformer", (3, 16, 16), scope="global")
    assert not problem.warns
    assert problem.what.startswith("the network does not run without these channels (")
    assert problem.hint == "leave out with select: '!patch_embed3.conv2'"


def test_sizes_are_known_after_a_step_that_only_masks(planned, make):
    model = {"embed_dims": 32, "num_heads": (1, 1, 2)}
    (problem,) = planned("spikingjelly.qkformer", (3, 16, 16), (make("prune.l1", fraction=0.5),), model=model)
    assert problem.where == ("select",)


def test_the_plan_says_that_nothing_can_go(planned):
    (problem,) = planned("snntorch.convnet", (1, 8, 8), fraction=0.04, select=("conv1",))
    assert (problem.where, problem.what) == (("use",), f"no channel can be removed: 'conv1': {ALL_STAY}")
    (problem,) = planned("snntorch.convnet", (1, 8, 8), importance="bn_scale")
    assert problem.where == ("importance",)
    assert problem.what.startswith("the channels of 'conv1' pass no batch norm with a scale")
    assert planned("snntorch.convnet", (1, 8, 8), importance="firing") == []


class Tied(Grouped):
    """Two blocks with one weight, one behind the other."""

    def build(self):
        self.blocks = nn.Sequential(jelly_block(1, 12), jelly_block(12, 12), jelly_block(12, 12))
        self.blocks[2][0].weight = self.blocks[1][0].weight


def test_weights_of_two_layers_stay_one(declared, prune):
    """Cut in one place and not in the other, a shared weight would become two."""
    name = "blocks.1.0.weight"
    message = reason(prune, declared(Tied()))
    assert f"'blocks.0.0': '{name}' is used in several places" in message


class ByBatch(Grouped):
    def body(self, x_TBCHW):
        return super().body(x_TBCHW.reshape(2, 8, 1, 8, 8))


def test_a_network_that_does_not_run_on_one_sample_is_told(declared, prune):
    assert "cannot trace ByBatch on one sample: shape '[2, 8, 1, 8, 8]' is invalid" in reason(
        prune, declared(ByBatch())
    )


def library_vgg():
    return spiking_vgg.spiking_vgg11_bn(spiking_neuron=neuron.IFNode, num_classes=10)


def library_resnet():
    return sew_resnet.sew_resnet18(cnf="ADD", spiking_neuron=neuron.IFNode, num_classes=10)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("build", "before", "after"),
    [(library_vgg, 128_812_810, 32_217_994), (library_resnet, 11_181_642, 2_801_450)],
    ids=["VGG-11-BN", "SEW-ResNet18"],
)
def test_networks_of_full_size_lose_what_torch_pruning_takes_of_them_itself(prune, host, build, before, after):
    """The numbers are torch-pruning's own, of one step in mode s."""
    torch.manual_seed(0)
    module, time = build(), Time("multi_step", 2)
    functional.set_step_mode(module, "m")
    network = Network(module, time, InHand(module, time, {"use": "python"}), host)
    x = 2 * torch.rand(2, 8, 3, 32, 32)
    with torch.no_grad():
        for part in module.modules():
            if isinstance(part, nn.BatchNorm2d):
                part.weight.fill_(1.5)
                part.bias.fill_(0.5)
            elif isinstance(part, nn.Linear):
                part.weight.mul_(4)
        for _ in range(3):
            network.forward(x)
            network.reset()
    assert sum(value.numel() for value in module.parameters()) == before
    smaller, _ = prune(network.with_probe(x))
    assert sum(value.numel() for value in smaller.module.parameters()) == after
    assert smaller.proofs[-1].num_spikes > 100_000
