"""Cutting inner dimensions as a strategy: what goes, what stays, what is refused."""

from dataclasses import replace

import pytest
import torch
from live_networks import BLOCKS, CHAINS, probed
from own_networks import JellyNet
from pydantic import ValidationError
from spikingjelly.activation_based import functional, layer, neuron
from spikingjelly.activation_based.model.spikformer import Spikformer
from torch import nn
from torch.nn.utils import parametrizations

from snncompress import Facts, Inputs, Network, PipelineError, StepError, Time, declare, load, save
from snncompress.network import InHand
from snncompress.network.proof import spike_trains
from snncompress.pipeline import pipeline_from
from snncompress.plan import make_plan
from snncompress.store import Store

FINETUNE = {"epochs": 1, "batch_size": 50, "lr": 1e-3}


def sizes(network):
    return {one.name: one.size for block in network.blocks() if block.path for one in block.dimensions}


def facts_of(network, *state):
    return Facts(network.inventory, network.time, Inputs((1, 16, 16), 10), frozenset(state), blocks=network.blocks)


def problems(strategy, network, *state):
    return [(problem.where, problem.what) for problem in strategy.check(facts_of(network, *state))]


# ---- what goes


def test_half_of_everything_by_hand(spikformer16, make, new_run16):
    """Of q, k and v 16 of 32 rows stay, of the MLP 64 of 128; each weight matrix is halved, and so are the norms inside."""
    smaller = make("prune.dsp", fraction=0.5).apply(spikformer16, new_run16(spikformer16))
    block = 3 * 16 * 32 + 32 * 16 + 2 * 64 * 32 + 2 * (3 * 16 + 32 + 64 + 32)
    assert sum(value.numel() for value in smaller.module.blocks.parameters()) == 2 * block
    (proof,) = smaller.proofs
    assert proof.largest_logit_difference <= 1e-9
    assert proof.num_spikes > 10_000


def test_the_indices_that_stay_have_the_largest_sums(spikformer16, make, new_run16):
    smaller = make("prune.dsp", fraction={"mlp": 0.75, "qk": 0.5}).apply(spikformer16, new_run16(spikformer16))
    weights = spikformer16.tensors
    fc1, fc2 = weights["blocks.1.mlp.fc1.0.weight"].squeeze(-1), weights["blocks.1.mlp.fc2.0.weight"].squeeze(-1)
    matters = fc1.abs().sum(1) + fc2.abs().sum(0)
    best = sorted(matters.argsort()[-32:].tolist())
    assert torch.equal(smaller.tensors["blocks.1.mlp.fc1.0.weight"].squeeze(-1), fc1[best])
    assert torch.equal(smaller.tensors["blocks.1.mlp.fc2.0.weight"].squeeze(-1), fc2[:, best])
    qkv = weights["blocks.0.attn.qkv_conv_bn.0.weight"].squeeze(-1)
    matters = qkv[:32].abs().sum(1) + qkv[32:64].abs().sum(1)
    best = [index for head in (0, 16) for index in sorted((head + matters[head : head + 16].argsort()[-8:]).tolist())]
    left = torch.cat([qkv[:32][best], qkv[32:64][best], qkv[64:]])
    assert torch.equal(smaller.tensors["blocks.0.attn.qkv_conv_bn.0.weight"].squeeze(-1), left)


@pytest.mark.parametrize("least", [1, 7])
def test_globally_the_same_number_goes_and_none_below_the_floor(spikformer16, make, new_run16, least):
    strategy = make("prune.dsp", fraction={"mlp": 0.5, "v": 0.5}, scope="global", keep_at_least=least)
    left = sizes(strategy.apply(spikformer16, new_run16(spikformer16)))
    assert left["blocks.0.mlp hidden"] + left["blocks.1.mlp hidden"] == 128
    assert left["blocks.0.attn value"] + left["blocks.1.attn value"] == 32
    assert min(left["blocks.0.attn value"], left["blocks.1.attn value"]) >= 2 * least
    assert left["blocks.0.attn query and key"] == 32


@pytest.mark.parametrize(
    ("name", "per"),
    [
        ("spikformer", "neuron"),
        ("spike-driven transformer", "neuron"),
        ("maxformer", "channel"),
        ("maxformer", "neuron"),
    ],
)
@pytest.mark.parametrize("library", ["spikingjelly", "snntorch"])
def test_trained_thresholds_and_leaks_are_cut_behind_attention_too(name, per, library, host, make, new_run16):
    network = probed(BLOCKS[name], host)
    new = make("neurons.substitute", to="slif", per=per, library=library).apply(network, new_run16(network))
    generator = torch.Generator().manual_seed(3)
    offsets = {key: value for key, value in new.tensors.items() if key.endswith("_offset")}
    drawn = {key: torch.randn(value.shape, generator=generator) / 20 for key, value in offsets.items()}
    new = new.with_weights({key: value.to(offsets[key]) for key, value in drawn.items()})
    smaller = make("prune.dsp", fraction=0.5).apply(new, new_run16(new))
    key = next(key for key in offsets if key.endswith("attn_lif.leak_offset"))
    assert smaller.tensors[key].numel() == offsets[key].numel() // 2
    assert smaller.proofs[-1].num_spikes > 1000


def test_globally_the_weaker_block_gives_more(spikformer16, make, new_run16):
    names = [name for name in spikformer16.tensors if name.startswith("blocks.0.mlp") and name.endswith("0.weight")]
    weak = spikformer16.with_weights({name: 0.01 * spikformer16.tensors[name] for name in names})
    left = sizes(make("prune.dsp", fraction={"mlp": 0.25}, scope="global").apply(weak, new_run16(weak)))
    assert (left["blocks.0.mlp hidden"], left["blocks.1.mlp hidden"]) == (64, 128)


def test_only_selected_blocks(spikformer16, make, new_run16):
    strategy = make("prune.dsp", fraction=0.5, select="blocks.1")
    left = sizes(strategy.apply(spikformer16, new_run16(spikformer16)))
    assert [left[f"blocks.{number}.mlp hidden"] for number in (0, 1)] == [128, 64]


def test_the_stem_is_cut_only_where_it_is_named(spikformer16, make, new_run16):
    stem = "patch_embed.stages.0.conv_bn.block.0.weight"
    alike = make("prune.dsp", fraction=0.5).apply(spikformer16, new_run16(spikformer16))
    assert alike.tensors[stem].shape[0] == 4
    named = make("prune.dsp", fraction={"chain": 0.5}).apply(spikformer16, new_run16(spikformer16))
    assert named.tensors[stem].shape[0] == 2
    assert sizes(named) == sizes(spikformer16)


@pytest.mark.parametrize("name", CHAINS)
def test_networks_of_layers_in_a_row(host, make, new_run, name):
    network = probed(CHAINS[name], host)
    smaller = make("prune.dsp", fraction=0.5).apply(network, new_run(network))
    assert [one.size for block in smaller.blocks() for one in block.dimensions] == {"convnet": [2, 4], "vgg": [4, 8]}[
        name
    ]


# ---- rounds, masks, snapshots


def test_rounds_reach_the_same_sizes_and_train_between(spikformer16, make, new_run16):
    strategy = make("prune.dsp", fraction=0.75, rounds=3, finetune=FINETUNE)
    assert strategy.num_epochs(()) == 3
    run = new_run16(spikformer16)
    smaller = strategy.apply(spikformer16, run)
    assert set(sizes(smaller).values()) == {8, 32}
    assert [note["round"] for note in run.notes()["rounds"]] == [1, 2, 3]
    assert all(note["proofs"][-1]["largest_logit_difference"] <= 1e-9 for note in run.notes()["rounds"])
    assert list(run.notes()["training"]) == [f"fine-tuning {number} of 3" for number in (1, 2, 3)]
    cut = {entry["dimension"]: (entry["before"], entry["after"]) for entry in run.notes()["cut"]}
    assert cut["blocks.0.mlp hidden"] == (128, 32)


def test_an_interrupted_step_goes_on_behind_its_last_round(spikformer16, make, new_run16, tmp_path):
    strategy = make("prune.dsp", fraction=0.5, rounds=2, finetune=FINETUNE)

    class StopHereError(Exception):
        pass

    def begin(name, stop):
        run = new_run16(spikformer16, tmp_path / name)
        torch.manual_seed(5)
        stage = run.stage
        run.stage = lambda label, work: raise_(StopHereError) if label == stop else stage(label, work)
        return run

    whole = strategy.apply(spikformer16, begin("whole", None))
    with pytest.raises(StopHereError):
        strategy.apply(spikformer16, begin("part", "round-2"))
    run = begin("part", None)
    again = strategy.apply(spikformer16, run)
    assert all(torch.equal(value, again.tensors[name]) for name, value in whole.tensors.items())
    assert [note["round"] for note in run.notes()["rounds"]] == [1, 2]


def raise_(error):
    raise error


def test_masks_and_snapshots_are_cut_along(spikformer16, make, new_run16):
    pruned = make("prune.l1", fraction=0.5).apply(spikformer16, new_run16(spikformer16))
    smaller = make("prune.dsp", fraction=0.5).apply(pruned, new_run16(pruned))
    tensors = smaller.tensors
    assert {name: mask.shape for name, mask in smaller.masks.items()} == {
        name: tensors[name].shape for name in pruned.masks
    }
    assert all((tensors[name][~mask] == 0).all() for name, mask in smaller.masks.items())
    assert {name: value.shape for name, value in smaller.snapshots["init"].items()} == {
        name: value.shape for name, value in tensors.items()
    }


def test_the_artifact_loads_and_fires_alike(spikformer16, make, new_run16, tmp_path, host):
    smaller = make("prune.dsp", fraction={"qk": 0.75, "v": 0.25, "mlp": 0.5}).apply(
        spikformer16, new_run16(spikformer16)
    )
    again = load(save(smaller, tmp_path / "artifact"), host=host)
    (found, fired), (expected, before) = (spike_trains(one, smaller.probe) for one in (again, smaller))
    assert torch.equal(found.logits, expected.logits)
    assert all(torch.equal(value, before[name]) for name, value in fired.items())


# ---- what is refused


def test_settings_that_make_no_sense(make):
    with pytest.raises(ValidationError, match="1.5"):
        make("prune.dsp", fraction=1.5)
    with pytest.raises(ValidationError, match="extra"):
        make("prune.dsp", fraction={"query": 0.5})


def test_problems_before_anything_runs(spikformer16, make, host):
    assert problems(make("prune.dsp", fraction=0.5), spikformer16, "weights") == []
    assert [what for _, what in problems(make("prune.dsp", fraction=0.5), spikformer16)] == [
        "needs trained weights, which no earlier step provides"
    ]
    assert problems(make("prune.dsp", fraction=0.0), spikformer16, "weights") == [
        (("use",), "the fractions cut nothing of what this network has (chain, mlp, qk, v)")
    ]
    assert problems(make("prune.dsp", fraction=0.5, select="blocs.*"), spikformer16, "weights") == [
        (("select",), "selector 'blocs.*' matches nothing")
    ]
    assert problems(make("prune.dsp", fraction=0.5, rounds=2), spikformer16, "weights") == [
        (("rounds",), "rounds without fine-tuning between them remove what one round does")
    ]
    network = declare(JellyNet(), Time("multi_step", 2), host=host).with_probe(torch.rand(2, 4, 1, 8, 8))
    assert problems(make("prune.dsp", fraction={"mlp": 0.5}), network, "weights") == [
        (("use",), "the fractions cut nothing of what this network has (chain)")
    ]


def test_parts_that_share_one_index_take_one_number(make, host):
    from live_networks import BLOCKS

    network = probed(BLOCKS["spike-driven transformer"], host)
    assert problems(make("prune.dsp", fraction={"qk": 0.5, "v": 0.25}), network, "weights") == [
        (
            ("fraction",),
            "in 'blocks.0.attn query, key and value' qk and v share one index, so one number holds for both",
        )
    ]
    assert problems(make("prune.dsp", fraction={"qk": 0.5, "v": 0.5}), network, "weights") == []


def test_weights_that_are_not_finite(spikformer16, make, new_run16):
    name = "blocks.0.mlp.fc1.0.weight"
    broken = spikformer16.with_weights({name: torch.full_like(spikformer16.tensors[name], float("nan"))})
    with pytest.raises(StepError, match=r"'blocks.0.mlp.fc1.0.weight' holds values that are not finite"):
        make("prune.dsp", fraction=0.5).apply(broken, new_run16(broken))


def test_the_plan_sees_blocks_of_a_network_without_values(host, tmp_path):
    pipeline = {
        "version": 1,
        "name": "cut",
        "model": {"use": "spikingjelly.spike_driven_transformer", "embed_dims": 32},
        "data": {"use": "digits", "size": 16},
        "steps": [{"use": "train", "epochs": 1}, {"use": "prune.dsp", "fraction": {"qk": 0.5}}],
    }
    with pytest.raises(
        PipelineError, match=r"steps.1.fraction: in 'blocks.0.attn query, key and value' qk and v share"
    ):
        make_plan(pipeline_from(pipeline, host).pipeline, host, Store(tmp_path))
    pipeline["steps"][1] = {"use": "prune.dsp", "fraction": 0.5}
    assert make_plan(pipeline_from(pipeline, host).pipeline, host, Store(tmp_path)).steps


def test_a_selector_that_picks_no_block(spikformer16, make, new_run16):
    strategy = make("prune.dsp", fraction=0.5, select="head")
    assert problems(strategy, spikformer16, "weights") == [(("select",), "the selector picks no block")]
    with pytest.raises(StepError, match=r"picks no block; the first of them: 'blocks.0.attn', 'blocks.0.mlp'"):
        strategy.apply(spikformer16, new_run16(spikformer16))


@pytest.mark.parametrize(
    "settings",
    [
        {"fraction": {"qk": 0.03}},  # of 16 in each head
        {"fraction": 0.003},  # of 128, the most
        {"fraction": 0.5, "keep_at_least": 128},
        {"fraction": {"mlp": 0.0019}, "scope": "global"},  # of 256
    ],
)
def test_a_part_that_is_no_index_is_said(spikformer16, make, new_run16, settings):
    strategy = make("prune.dsp", **settings)
    what = "so small a part of each dimension is no index, or `keep_at_least` keeps it"
    assert problems(strategy, spikformer16, "weights") == [(("fraction",), what)]
    with pytest.raises(StepError, match="so small a part"):
        strategy.apply(spikformer16, new_run16(spikformer16))


def test_globally_a_single_index_may_go(spikformer16, make, new_run16):
    """Of 256 hidden indices 0.002 is one, of 128 it is none."""
    strategy = make("prune.dsp", fraction={"mlp": 0.002}, scope="global")
    left = sizes(strategy.apply(spikformer16, new_run16(spikformer16)))
    assert left["blocks.0.mlp hidden"] + left["blocks.1.mlp hidden"] == 255


def test_blocks_that_refuse_are_noted(make, new_run, host):
    """With mlp_ratio 1 the hidden layer is added to the residual stream."""
    from live_networks import BLOCKS

    case = BLOCKS["spike-driven transformer"]
    network = probed(replace(case, settings=(*case.settings, ("mlp_ratio", 1))), host)
    run = new_run(network)
    make("prune.dsp", fraction=0.5).apply(network, run)
    assert set(run.notes()["left whole"]) == {"blocks.0.mlp", "blocks.1.mlp"}
    assert {entry["dimension"] for entry in run.notes()["cut"]} == {
        f"blocks.{number}.attn query, key and value" for number in (0, 1)
    }


def test_a_network_that_does_not_run_without_an_index(make, new_run, host):
    """A neuron holds weights over its time steps, as many as there are channels: they are taken for those of channels."""
    module = nn.Sequential(
        layer.Linear(64, 4, step_mode="m"), neuron.PSN(T=4), layer.Linear(4, 10, step_mode="m"), neuron.IFNode()
    )
    functional.set_step_mode(module, "m")
    time = Time("multi_step", 4)
    network = Network(module, time, InHand(module, time, {"use": "python"}), host).with_probe(torch.rand(4, 2, 64))
    with pytest.raises(
        StepError, match=r"the network does not run after this edit \(.*\); choose other parts with select"
    ):
        make("prune.dsp", fraction=0.5).apply(network, new_run(network))
    facts = replace(facts_of(network, "weights"), network=lambda: network)
    (problem,) = make("prune.dsp", fraction=0.5).check(facts)
    assert (problem.where, problem.warns) == (("select",), False)
    assert problem.what.startswith("the network does not run without these indices (")
    assert problem.hint == "leave out with select: '!0'"
    (problem,) = make("prune.dsp", fraction=0.5, scope="global").check(facts)
    assert problem.warns
    assert problem.what.startswith("weights decide which dimensions lose indices; if all do, the network does not run")
    assert list(make("prune.dsp", fraction=0.5).check(replace(facts, earlier=(make("prune.dsp", fraction=0.5),)))) == []


@pytest.mark.parametrize("case", [*BLOCKS.values(), *CHAINS.values()], ids=[*BLOCKS, *CHAINS])
def test_the_plan_cuts_every_architecture_without_values(planned, case):
    assert planned(case.use, case.shape, model=dict(case.settings), step="prune.dsp") == []


@pytest.mark.parametrize("use", ["prune.dsp", "prune.channels"])
def test_a_network_without_neurons_is_proved_by_its_outputs(make, new_run, host, use):
    torch.manual_seed(0)
    module = nn.Sequential(
        nn.Conv2d(1, 6, 3),
        nn.BatchNorm2d(6),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(6 * 36, 12),
        nn.ReLU(),
        nn.Linear(12, 10),
    )
    x_BCHW = torch.rand(16, 1, 8, 8)
    module(x_BCHW)
    time = Time("none", 1, input="static", output="averaged")
    network = Network(module, time, InHand(module, time, {"use": "python"}), host).with_probe(x_BCHW)
    smaller = make(use, fraction=0.5).apply(network, new_run(network))
    assert sum(value.numel() for value in smaller.module.parameters()) == 30 + 6 + 3 * 36 * 6 + 6 + 6 * 10 + 10
    assert smaller.proofs[-1].largest_logit_difference <= 1e-9


def normed_spikformer():
    sizes = {"in_channels": 1, "img_size_h": 16, "img_size_w": 16, "patch_size": 4, "num_classes": 10}
    module = Spikformer(T=2, **sizes, embed_dims=32, num_heads=2, mlp_ratio=2, depths=1)
    parametrizations.weight_norm(module.blocks[0].mlp.fc1[0])
    return module


def test_the_plan_refuses_a_block_whose_weight_is_computed(host, make):
    network = declare(normed_spikformer(), Time("multi_step", 2), build=normed_spikformer, host=host)
    blank = network.with_probe(torch.zeros(2, 2, 1, 16, 16))
    facts = replace(facts_of(network, "weights"), blocks=lambda: network.blocks(blank.probe), network=lambda: blank)
    (problem,) = make("prune.dsp", fraction=0.5).check(facts)
    assert problem.where == ("select",)
    assert problem.what == "'blocks.0.mlp.fc1.0.weight' is computed from other tensors, so it cannot be cut"
