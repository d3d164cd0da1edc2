import os
import subprocess
import sys

import pytest
import torch
from computed_networks import Product
from oracles.networks import Case, images, live_network
from own_networks import JellyNet, recurrent_net, weight_normed
from pydantic import ValidationError
from spikingjelly.activation_based import functional, layer, neuron
from torch import nn
from torch.utils.data import TensorDataset

from snncompress import (
    Cut,
    Data,
    Facts,
    Inputs,
    PipelineError,
    Size,
    Slice,
    Spikes,
    StepError,
    Time,
    Training,
    declare,
    load,
    save,
)
from snncompress.measure import DataBench
from snncompress.network import load_network, open_architecture
from snncompress.pipeline import pipeline_from
from snncompress.plan import make_plan
from snncompress.speed.finding import acceleration
from snncompress.store import Store

SPIKFORMER = Case(
    "spikformer",
    "spikingjelly.spikformer",
    (("embed_dims", 32), ("depths", 1), ("num_heads", 2), ("patch_size", 4)),
    (1, 16, 16),
)
CONVNET = Case("convnet", "snntorch.convnet", (("channels", [4, 8]),), (1, 8, 8), gain=0.5)
BLOCK = ["blocks.0.attn.qkv_conv_bn.0", "blocks.0.attn.proj_conv_bn.0", "blocks.0.mlp.fc1.0", "blocks.0.mlp.fc2.0"]
"""The matrices of the one block: 96 x 32, 32 x 32, 128 x 32 and 32 x 128."""


@pytest.fixture(scope="module")
def live(host):
    """Return a function that gives a network in float64 whose neurons fire, and that has a probe."""

    def make(case):
        network = live_network(case, 0.0, host)
        x_BCHW = images(case, 8, seed=3)
        return network.with_probe(x_BCHW.expand(network.time.T, *x_BCHW.shape))

    return make


@pytest.fixture(scope="module")
def spikformer(live):
    return live(SPIKFORMER)


@pytest.fixture(scope="module")
def spikformer32(spikformer, host):
    """The same network in float32."""
    network = open_architecture(spikformer.source.architecture, host)
    return network.with_weights(spikformer.tensors).with_probe(spikformer.probe.float())


@pytest.fixture(scope="module")
def jelly(host):
    """A user's network in float32 whose norm has seen data."""
    torch.manual_seed(0)
    network = declare(JellyNet(hidden=24), Time("multi_step", 2), arguments={"hidden": 24}, head="fc2", host=host)
    network.module.train()
    x = torch.rand(2, 64, 1, 8, 8)
    for _ in range(20):
        network.forward(x * 3)
        network.reset()
    network.module.eval()
    return network.with_probe(x * 3)


def num_parameters(network):
    return sum(value.numel() for value in network.module.parameters())


def facts_of(network, *state, earlier=()):
    return Facts(network.inventory, network.time, Inputs((1, 8, 8), 10), frozenset(state), earlier)


def logits(network, x):
    network.module.eval()
    network.reset()
    with torch.no_grad():
        return network.forward(x).logits


# ---- full rank


def ann():
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 20), nn.ReLU(), nn.Linear(20, 10))


def test_a_spikformer_at_full_rank_is_proved(spikformer, make, new_run):
    factored = make("lowrank.svd", rank=1000, select="synapse").apply(spikformer, run := new_run(spikformer))
    (proof,) = factored.proofs  # of all five replacements together
    assert proof.num_layers > 5
    assert proof.largest_logit_difference <= 1e-9
    assert len(factored.edits) == 5
    assert (logits(factored, spikformer.probe) - logits(spikformer, spikformer.probe)).abs().max() <= 1e-9
    layers = run.notes()["factors"]["layers"]
    assert {entry["layer"]: entry["rank"] for entry in layers} == dict(
        zip([*BLOCK, "head"], [32] * 4 + [10], strict=True)
    )
    stem = {path for path in run.notes()["left whole"] if path.startswith("patch_embed.")}
    assert stem == set(run.notes()["left whole"])
    assert len(stem) == 5, "the convolutions of the stem have kernels of 3 x 3"


def test_a_snntorch_network_and_its_linear_layer_at_full_rank_are_proved(live, make, new_run):
    convnet = live(CONVNET)
    factored = make("lowrank.svd", rank=1000, select=("synapse",)).apply(convnet, new_run(convnet))
    assert [edit.path for edit in factored.edits] == ["head"]
    assert len(factored.proofs) == 1
    assert (logits(factored, convnet.probe) - logits(convnet, convnet.probe)).abs().max() <= 1e-9


def test_a_plain_network_without_neurons_computes_the_same_at_full_rank(host, make, new_run):
    torch.manual_seed(0)
    time = Time("none", input="static", output="averaged", settable=False)
    network = declare(ann(), time, build=ann, host=host).in_float64()
    factored = make("lowrank.svd", rank=64).apply(network, new_run(network))
    assert [edit.path for edit in factored.edits] == ["1", "3"]
    assert factored.proofs == (), "there is no batch to prove it on"
    x = torch.rand(32, 1, 8, 8, dtype=torch.float64)
    assert (logits(factored, x) - logits(network, x)).abs().max() <= 1e-9


def test_a_plain_network_without_neurons_is_proved_by_its_outputs(host, make, new_run):
    torch.manual_seed(0)
    time = Time("none", input="static", output="averaged", settable=False)
    network = declare(ann(), time, build=ann, host=host).with_probe(torch.rand(32, 1, 8, 8))
    step, precise = make("lowrank.svd", rank=64), network.in_float64()
    (proof,) = step.apply(precise, new_run(precise)).proofs
    assert (proof.num_spikes, proof.num_layers) == (0, 0)
    assert 0 < proof.largest_logit_difference < 1e-12
    assert step.apply(network, new_run(network)).proofs == ()


def test_a_layer_of_a_user_at_full_rank_is_proved_in_float64_and_not_claimed_in_float32(jelly, make, new_run):
    precise = jelly.in_float64()
    step = make("lowrank.svd", rank=24)
    assert len(step.apply(precise, new_run(precise)).proofs) == 1
    factored = step.apply(jelly, new_run(jelly))
    assert factored.proofs == ()
    assert [edit.exact for edit in factored.edits] == [False]


# ---- ranks


def test_half_the_rank_saves_what_the_note_says(spikformer32, make, new_run):
    factored = make("lowrank.svd", fraction=0.5).apply(spikformer32, run := new_run(spikformer32))
    # rank 16: 16 (96 + 32) = 2048 of 3072, and twice 16 (128 + 32) = 2560 of 4096; 16 (32 + 32) is all of the projection
    notes = run.notes()
    assert (notes["factors"]["parameters_before"], notes["factors"]["parameters_after"]) == (11264, 7168)
    assert num_parameters(spikformer32) - num_parameters(factored) == 11264 - 7168
    assert [entry["parameters"] for entry in notes["factors"]["layers"]] == [2048, 2560, 2560]
    assert notes["left whole"] == {BLOCK[1]: "two factors of rank 16 would have no fewer parameters"}
    assert "no time" in notes["caution"]
    for entry in notes["factors"]["layers"]:
        values = torch.linalg.svdvals(spikformer32.tensors[f"{entry['layer']}.weight"][..., 0].double()).square()
        assert entry["energy"] == pytest.approx(float(values[:16].sum() / values.sum()))


def test_a_rank_that_is_given_is_taken_even_where_it_costs(jelly, make, new_run):
    factored = make("lowrank.svd", rank=20).apply(jelly, new_run(jelly))
    assert num_parameters(factored) - num_parameters(jelly) == 20 * (24 + 64) - 24 * 64
    assert factored.tensors["fc1.first.weight"].shape == (20, 64)
    assert torch.equal(factored.tensors["fc1.second.bias"], jelly.tensors["fc1.bias"])


def test_energy_is_counted_in_squared_singular_values(jelly, make, new_run):
    torch.manual_seed(2)
    u, _ = torch.linalg.qr(torch.randn(24, 24, dtype=torch.float64))
    v, _ = torch.linalg.qr(torch.randn(64, 24, dtype=torch.float64))
    values = torch.tensor([4.0, 2, 2, 1] + [0.0] * 20, dtype=torch.float64)  # squares 16, 4, 4, 1 of 25
    known = jelly.with_weights({"fc1.weight": (u * values) @ v.T})
    for energy, rank in {0.5: 1, 0.65: 2, 0.79: 2, 0.81: 3, 0.95: 3, 0.97: 4}.items():
        factored = make("lowrank.svd", energy=energy).apply(known, new_run(known))
        assert factored.edits[0].arguments == {"rank": rank}


def test_a_budget_is_kept_and_leaves_less_than_one_rank(spikformer32, make, new_run):
    total = 3072 + 1024 + 4096 + 4096
    for given, allowed in ((0.4, round(0.4 * total)), (5000, 5000), (1000, 1000)):
        factored = make("lowrank.svd", parameters_at_most=given).apply(spikformer32, new_run(spikformer32))
        left = total - (num_parameters(spikformer32) - num_parameters(factored))
        assert allowed - (96 + 32) < left <= allowed  # the small projection may be whole by then


def test_a_zero_matrix_becomes_two_factors_of_rank_one(jelly, make, new_run):
    silent = jelly.with_weights({"fc1.weight": torch.zeros(24, 64)})
    factored = make("lowrank.svd", energy=0.9).apply(silent, new_run(silent))
    assert factored.tensors["fc1.first.weight"].shape == (1, 64)
    assert not factored.tensors["fc1.second.weight"].any()


def test_a_step_that_factors_nothing_says_so_and_changes_nothing(jelly, make, new_run):
    kept = make("lowrank.svd", energy=1.0).apply(jelly, run := new_run(jelly))
    assert kept.edits == ()
    assert run.notes()["left whole"] == {"fc1": "two factors of rank 24 would have no fewer parameters"}
    assert run.notes()["factors"]["layers"] == []


def test_a_weight_that_forward_computes_is_left_whole(host, make, new_run):
    network = declare(Product("softplus"), Time("multi_step", 4), arguments={"way": "softplus"}, host=host)
    network = network.with_probe(torch.rand(4, 2, 1, 4, 4))
    factored = make("lowrank.svd", rank=1, select=("synapse",)).apply(network, run := new_run(network))
    assert run.notes()["left whole"]["fc"] == "its weight is computed within forward"
    assert type(factored.module.fc) is nn.Linear


# ---- before and after


def test_masks_of_factored_layers_are_dropped_and_named(jelly, make, new_run):
    step = make("prune.l1", fraction=0.5, select="synapse")
    pruned = step.apply(jelly, new_run(jelly))
    factored = make("lowrank.svd", rank=24).apply(pruned, run := new_run(pruned))
    assert run.notes()["masks dropped"] == ["fc1.weight"]
    assert set(factored.masks) == {"fc2.weight"}
    product = factored.tensors["fc1.second.weight"] @ factored.tensors["fc1.first.weight"]
    assert torch.allclose(product, pruned.tensors["fc1.weight"], atol=1e-6)


def test_snapshots_hold_the_factors_that_the_step_made(jelly, make, new_run):
    kept = jelly.with_snapshot("init").with_weights({"fc2.bias": torch.ones(10)})
    factored = make("lowrank.svd", rank=4).apply(kept, new_run(kept))
    init = factored.snapshots["init"]
    assert set(init) == set(factored.tensors)
    assert torch.equal(init["fc1.first.weight"], factored.tensors["fc1.first.weight"])
    assert torch.equal(init["fc2.bias"], jelly.tensors["fc2.bias"])


def test_a_sliced_network_is_factored_at_its_new_size(jelly, make, new_run, tmp_path, host):
    keep = tuple(range(0, 24, 2))
    norm = [Cut(f"norm.{name}", 0, keep) for name in ("weight", "bias", "running_mean", "running_var")]
    cuts = (Cut("fc1.weight", 0, keep), Cut("fc1.bias", 0, keep), *norm, Cut("fc2.weight", 1, keep))
    sizes = (Size("fc1", "out_features", 12), Size("norm", "num_features", 12), Size("fc2", "in_features", 12))
    small = jelly.edited([Slice(cuts, sizes, (Spikes("lif1", -1, keep),))])
    factored = make("lowrank.svd", fraction=0.5).apply(small, new_run(small))
    assert factored.tensors["fc1.second.weight"].shape == (12, 6)
    save(factored, tmp_path)
    loaded = load(tmp_path, allow_code=True, host=host)
    assert torch.equal(logits(loaded, jelly.probe), logits(factored, jelly.probe))


def test_factors_are_factored_again(jelly, make, new_run):
    once = make("lowrank.svd", rank=16).apply(jelly, new_run(jelly))
    twice = make("lowrank.svd", rank=4).apply(once, new_run(once))
    assert {"fc1.first.first.weight", "fc1.second.second.bias"} < set(twice.tensors)


def test_recurrent_weights_inside_a_neuron_are_factored(host, make, new_run):
    torch.manual_seed(0)
    network = declare(recurrent_net(), Time("per_step", 2), build=recurrent_net, host=host)
    factored = make("lowrank.svd", fraction=0.75).apply(network, new_run(network))
    assert {edit.path for edit in factored.edits} == {"1", "2.recurrent", "3"}
    assert set(factored.neurons[0].module.recurrent.state_dict()) == {"first.weight", "second.weight", "second.bias"}
    assert factored.forward(torch.rand(2, 3, 1, 8, 8)).logits.isfinite().all()


def tied():
    first = nn.Linear(64, 64)
    return nn.Sequential(nn.Flatten(), first, nn.ReLU(), first, nn.Linear(64, 10))


def test_a_layer_that_is_used_twice_is_left_whole(host, make, new_run):
    time = Time("none", input="static", output="averaged", settable=False)
    network = declare(tied(), time, build=tied, host=host)
    factored = make("lowrank.svd", rank=2).apply(network, run := new_run(network))
    assert [edit.path for edit in factored.edits] == ["4"]
    assert run.notes()["left whole"] == {"1": "its weight is used in several places"}


def test_roles_are_those_of_the_layers_before(spikformer32, make, new_run):
    factored = make("lowrank.svd", fraction=0.75, select="synapse").apply(spikformer32, new_run(spikformer32))
    for role in ("attention", "mlp", "head"):
        before = spikformer32.inventory.weights((role,))
        after = factored.inventory.weights((role,))
        assert len(after) == 2 * len(before) > 0
        assert {name.removesuffix(".first.weight").removesuffix(".second.weight") for name in after} == {
            name.removesuffix(".weight") for name in before
        }


def test_fine_tuning_trains_both_factors(jelly, make, new_run):
    step = make("lowrank.svd", fraction=0.5, finetune=Training(epochs=1, batch_size=250))
    bare = make("lowrank.svd", fraction=0.5).apply(jelly, new_run(jelly))
    tuned = step.apply(jelly, run := new_run(jelly))
    assert step.num_epochs(()) == 1
    for name in ("fc1.first.weight", "fc1.second.weight"):
        assert not torch.equal(tuned.tensors[name], bare.tensors[name])
    assert [entry["epoch"] for entry in run.notes()["training"]["finetune"]["epochs"]] == [1]


def test_fresh_values_of_factors_are_no_decomposition(jelly, make, new_run):
    factored = make("lowrank.svd", fraction=0.5).apply(jelly, new_run(jelly))
    torch.manual_seed(4)
    fresh = factored.reinitialised()
    assert fresh.tensors["fc1.first.weight"].abs().sum() > 0
    assert not torch.equal(fresh.tensors["fc1.first.weight"], factored.tensors["fc1.first.weight"])


def test_an_artifact_comes_back_bit_by_bit_in_a_fresh_process(spikformer32, make, new_run, tmp_path, host):
    factored = make("lowrank.svd", energy=0.7).apply(spikformer32, new_run(spikformer32))
    save(factored, tmp_path)
    torch.save(factored.probe, tmp_path / "x.pt")
    program = (
        "import sys, torch, snncompress\n"
        "network = snncompress.load(sys.argv[1])\n"
        "network.module.eval()\n"
        "output = network.forward(torch.load(sys.argv[1] + '/x.pt'))\n"
        "torch.save(output.logits.detach(), sys.argv[1] + '/y.pt')\n"
    )
    threads = {"OMP_NUM_THREADS": str(torch.get_num_threads())}
    subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=True, env={**os.environ, **threads})
    assert torch.equal(torch.load(tmp_path / "y.pt"), logits(factored, factored.probe))
    structure = load_network(tmp_path, host, values=False)
    assert {value.device.type for value in structure.tensors.values()} == {"meta"}


def test_the_fast_path_is_still_proved_and_folds_the_norms_behind_factors(spikformer32, make, new_run):
    factored = make("lowrank.svd", fraction=0.5).apply(spikformer32, new_run(spikformer32))
    found = acceleration(factored, "fused", probe=factored.probe)
    assert (found.path, found.remarks, found.modes) == ("fused", (), {True, False})
    assert "folded" in found.layers["blocks.0.mlp.fc1.1"]


# ---- counts


class AsGiven:
    """Hand a network the samples [B, T, ...] time first."""

    use = "direct"

    def encode(self, x_BT, timesteps, generator):
        return x_BT.transpose(0, 1)


def outer():
    """Linear 4 to 3 of rank 1 without a zero, then IF."""
    chain = nn.Sequential(layer.Linear(4, 3, bias=False), neuron.IFNode())
    functional.set_step_mode(chain, "m")
    with torch.no_grad():
        chain[0].weight.copy_(torch.outer(torch.tensor([0.5, 0.25, 0.5]), torch.tensor([1.0, 1, 1, 2])))
    return chain


def test_operations_by_hand_values_between_factors_are_no_spikes(host, make, new_run):
    x_TBC = torch.tensor([[[1.0, 1, 0, 1], [0, 0, 0, 1]], [[1, 1, 0, 1], [0, 0, 0, 0]]])  # seven spikes of two samples
    network = declare(outer(), Time("multi_step", 2), build=outer, host=host)
    split = TensorDataset(x_TBC.transpose(0, 1), torch.zeros(2, dtype=torch.long))
    bench = DataBench(Data(split, split, split, Inputs((2, 4), 3)), AsGiven(), 0)
    whole = bench.observe(network, "counts").counts
    # seven spikes meet three weights each: 21 of two samples; dense 2 steps x 12
    assert (whole.synops * 2, whole.synops_fanout * 2, whole.macs, whole.dense_ops) == (21, 21, 0, 24)
    factored = make("lowrank.svd", rank=1).apply(network, new_run(network))
    found = bench.observe(factored, "counts").counts
    # seven spikes meet one weight each; three steps of the samples have a spike, so three values between, 3 x 3 products
    assert (found.synops * 2, found.synops_fanout * 2, found.macs * 2, found.dense_ops) == (7, 7, 9, 2 * (4 + 3))
    rows = {row.path: row.operands for row in found.rows if row.kind == "synapse"}
    assert rows == {"0.first": ("spikes",), "0.second": ("real",)}


# ---- plan


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({}, "none is given"),
        ({"rank": 2, "energy": 0.5}, "'rank' and 'energy' are given"),
        ({"fraction": 0.5, "parameters_at_most": 0.5}, "'fraction' and 'parameters_at_most' are given"),
        ({"rank": 0}, "greater than or equal to 1"),
        ({"energy": 0.0}, "greater than 0"),
        ({"energy": 1.5}, "less than or equal to 1"),
        ({"parameters_at_most": 1.5}, "less than 1"),
        ({"parameters_at_most": True}, "valid integer"),
    ],
)
def test_exactly_one_rule_says_the_rank(make, settings, told):
    with pytest.raises(ValidationError, match=told):
        make("lowrank.svd", **settings)


@pytest.mark.parametrize("settings", [{"rank": 3}, {"energy": 0.5}, {"parameters_at_most": 0.5}, {"fraction": 0.8}])
def test_a_trained_network_with_layers_to_factor_is_fine(spikformer, make, settings):
    assert list(make("lowrank.svd", **settings).check(facts_of(spikformer, "weights"))) == []


@pytest.mark.parametrize(
    ("settings", "where", "told"),
    [
        ({"rank": 3, "select": "blok.*"}, "select", "selector 'blok.*' matches nothing"),
        ({"rank": 3, "select": "stem"}, "select", "selector ['stem'] picks no layer that can be run in two factors"),
        (
            {"parameters_at_most": 500},
            "parameters_at_most",
            "500 parameters are too few: at rank 1 the 4 layers have 512 in all",  # 128 + 64 + 160 + 160
        ),
        ({"fraction": 0.1}, "fraction", "no layer has fewer parameters in two factors of such ranks"),
    ],
)
def test_what_cannot_work_is_told_before_anything_runs(spikformer, make, settings, where, told):
    problems = list(make("lowrank.svd", **settings).check(facts_of(spikformer)))
    assert [problem.where for problem in problems] == [(where,), ("use",)]
    assert problems[0].what == told
    assert problems[1].what == "needs trained weights, which no earlier step provides"


def test_layers_that_turn_out_to_be_no_matrices_are_told_by_the_plan(host, tmp_path):
    """The only convolutions of kernel size 1 in a SEW-ResNet18 are its shortcuts, of stride 2."""
    pipeline = {
        "version": 1,
        "name": "strides",
        "model": {"use": "spikingjelly.sew_resnet", "width": 4},
        "data": "digits",
        "steps": [{"use": "train", "epochs": 1}, {"use": "lowrank.svd", "rank": 2}],
    }
    with pytest.raises(PipelineError, match=r"^steps\.1\.select: selector .* picks no layer that can be run in two"):
        make_plan(pipeline_from(pipeline, host).pipeline, host, Store(tmp_path))


def test_behind_a_step_that_may_have_changed_sizes_the_plan_judges_none(spikformer, make):
    earlier = (make("lowrank.svd", rank=1),)
    for settings in ({"parameters_at_most": 500}, {"fraction": 0.1}):
        assert list(make("lowrank.svd", **settings).check(facts_of(spikformer, "weights", earlier=earlier))) == []


def test_without_a_plan_the_same_is_an_error_of_the_step(spikformer, make, new_run):
    for settings, told in (({"rank": 3, "select": "stem"}, "two factors"), ({"parameters_at_most": 500}, "too few")):
        with pytest.raises(StepError, match=told):
            make("lowrank.svd", **settings).apply(spikformer, new_run(spikformer))


def test_weights_that_are_not_finite_are_an_error(jelly, make, new_run):
    broken = jelly.with_weights({"fc1.weight": torch.full((24, 64), float("nan"))})
    with pytest.raises(StepError, match="'fc1' are not finite"):
        make("lowrank.svd", rank=2).apply(broken, new_run(broken))


def test_masks_that_would_be_dropped_are_worth_a_warning(spikformer, make):
    (problem,) = make("lowrank.svd", rank=3).check(facts_of(spikformer, "weights", "masks"))
    assert (problem.where, problem.warns, problem.hint) == (("use",), True, "factor first, prune then")


def test_the_plan_knows_that_masks_are_gone(host, tmp_path):
    steps = [{"use": "train", "epochs": 1}, {"use": "prune.l1", "fraction": 0.5}, {"use": "lowrank.svd", "rank": 2}]
    source = pipeline_from(
        {
            "version": 1,
            "name": "order",
            "model": {"use": "spikingjelly.spikformer", "embed_dims": 8, "depths": 1, "num_heads": 1},
            "data": "digits",
            "steps": [*steps, {"use": "prune.reinitialize"}],
            "measure": ["parameters"],
        },
        host,
    )
    with pytest.raises(PipelineError, match=r"steps\.3\.use: needs masks, which no earlier step provides"):
        make_plan(source.pipeline, host, Store(tmp_path), lines=source.lines)


def test_a_parametrised_layer_is_left_whole_and_says_why(host, make, new_run):
    time = Time("none", input="static", output="averaged")
    network = declare(weight_normed(8), time, build=weight_normed, arguments={"width": 8}, host=host)
    run = new_run(network)
    make("lowrank.svd", rank=1).apply(network, run)
    assert run.notes()["left whole"] == {"1": "its weight is computed by a parametrisation"}
