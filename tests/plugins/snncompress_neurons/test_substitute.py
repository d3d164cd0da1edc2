"""Whole networks with other neurons: the same spikes at first, then trained, pruned, cut, saved and loaded."""

import subprocess
import sys
from dataclasses import replace
from functools import partial

import pytest
import snntorch
import torch
from channel_networks import plain_net
from spikingjelly.activation_based import functional, layer, neuron
from torch import nn

from snncompress import (
    Cut,
    EditError,
    Facts,
    Inputs,
    ProofError,
    Replace,
    Size,
    Slice,
    Spikes,
    StepError,
    Time,
    Training,
    accelerated,
    declare,
    save,
)
from snncompress.compilers import compiler
from snncompress.network import open_architecture, spike_trains
from snncompress.run.optimizers import make_optimizer, make_scheduler
from snncompress.run.watch import Watch
from snncompress.speed import acceleration
from snncompress_neurons.exchange import _exchange

NETWORKS = ["spikformer", "convnet"]
ONE_EPOCH = Training(epochs=1, batch_size=300, lr=1e-2)


@pytest.fixture(params=NETWORKS)
def network(request):
    return request.getfixturevalue(request.param)


def chain_of(kind="LIFNode"):
    """Return two layers of neurons."""
    node = partial(getattr(neuron, kind), detach_reset=True, v_threshold=0.5)
    chain = nn.Sequential(layer.Linear(6, 16), node(), layer.Linear(16, 4), node())
    functional.set_step_mode(chain, "m")
    return chain


def offsets_of(network):
    return {name: value for name, value in network.tensors.items() if name.endswith("_offset")}


def with_random_offsets(network):
    generator = torch.Generator().manual_seed(3)
    return network.with_weights(
        {name: 0.2 * torch.randn(value.shape, generator=generator) for name, value in offsets_of(network).items()}
    )


def logits_of(network, x_T):
    network.module.eval()
    with torch.no_grad():
        network.reset()
        logits = network.forward(x_T).logits
    network.reset()
    return logits


@pytest.mark.parametrize("per", ["layer", "channel", "neuron"])
def test_a_network_with_slif_fires_as_before(network, per, make, new_run, x_TBCHW):
    new = make("neurons.substitute", to="slif", per=per).apply(network, run := new_run(network))
    before, after = spike_trains(network, x_TBCHW), spike_trains(new, x_TBCHW)
    assert before[1].keys() == after[1].keys()
    assert all(torch.equal(after[1][path], spikes) for path, spikes in before[1].items())
    assert torch.equal(after[0].logits, before[0].logits)
    (proof,) = new.proofs
    assert (proof.num_layers, proof.float32_flips) == (len(network.neurons), 0)
    assert proof.num_spikes > 1000
    noted = run.notes()["substituted"]
    assert [row["layer"] for row in noted] == [item.path for item in network.neurons]
    assert {row["exact"] for row in noted} == {True}


def test_each_channel_has_a_threshold_and_a_leak(spikformer, make, new_run):
    new = make("neurons.substitute", to="slif").apply(spikformer, new_run(spikformer))
    shapes = {name: tuple(value.shape) for name, value in offsets_of(new).items()}
    assert len(shapes) == 2 * 10
    assert shapes["patch_embed.stages.0.neuron.threshold_offset"] == (4,)
    assert shapes["blocks.0.attn.qkv_lif.leak_offset"] == (96,)
    assert shapes["blocks.0.attn.attn_lif.leak_offset"] == (4,)  # [heads, width of a head, tokens]
    assert shapes["blocks.0.mlp.neuron1.leak_offset"] == (128,)
    thresholds = {
        path: new.module.get_submodule(path).v_threshold for path in ("blocks.0.attn.attn_lif", "blocks.0.mlp.neuron1")
    }
    assert list(thresholds.values()) == [0.5, 1.0]


def test_only_the_selected_neurons_are_replaced(spikformer, make, new_run):
    new = make("neurons.substitute", to="slif", select=("mlp",)).apply(spikformer, new_run(spikformer))
    kinds = {item.path: type(item.module).__name__ for item in new.neurons}
    assert {path for path, kind in kinds.items() if kind == "SLIFNode"} == {
        "blocks.0.mlp.neuron1",
        "blocks.0.mlp.neuron2",
    }


@pytest.mark.slow
def test_training_moves_offsets_and_the_record_says_how_far(network, make, new_run):
    step = make("neurons.substitute", to="slif", lr_scale=2.0, finetune=ONE_EPOCH)
    new = step.apply(network, run := new_run(network))
    assert any(bool(value.any()) for value in offsets_of(new).values())
    rows = run.notes()["training"]["finetune"]["neurons"]
    assert [(row["layer"], row["value"]) for row in rows] == [
        (item.path, value) for item in network.neurons for value in ("threshold", "leak")
    ]
    for row in rows:
        assert set(row["before"]) == {"min", "median", "max"}
    moved = next(row for row in rows if row["value"] == "threshold" and row["after"] != row["before"])
    item = next(item for item in new.neurons if item.path == moved["layer"])
    theta_C = item.backend.intrinsics(item.module)["threshold"]
    assert moved["before"]["min"] == moved["before"]["max"]
    assert moved["after"] == {
        "min": theta_C.min().item(),
        "median": theta_C.median().item(),
        "max": theta_C.max().item(),
    }


def test_the_learning_rate_of_offsets_is_a_multiple_at_every_step(spikformer, make, new_run):
    new = make("neurons.substitute", to="slif", lr_scale=5.0).apply(spikformer, new_run(spikformer))
    for schedule in ("cosine", "step", "constant"):
        training = Training(epochs=3, lr=0.01, schedule=schedule, decay_epochs=1)
        optimizer = make_optimizer(new, training)
        scheduler = make_scheduler(optimizer, training, num_epochs=3, steps_per_epoch=4)
        offsets, weights = optimizer.param_groups[:10], optimizer.param_groups[10:]
        assert {group["weight_decay"] for group in offsets} == {0.0}
        for step in range(12):
            scheduler.step_update(step)
            assert {group["lr"] for group in offsets} == {5 * weights[0]["lr"]}


def test_an_interrupted_fine_tuning_ends_with_the_same_bits(spikformer, make, new_run, tmp_path, monkeypatch):
    training = Training(epochs=2, batch_size=300, lr=1e-2)
    step = make("neurons.substitute", to="slif", lr_scale=3.0, finetune=training)

    def applied(folder):
        torch.manual_seed(7)
        return step.apply(spikformer, new_run(spikformer, folder=folder)).tensors

    expected, told = applied(tmp_path / "whole"), Watch.epoch

    def interrupt(*arguments):
        monkeypatch.setattr(Watch, "epoch", told)
        raise KeyboardInterrupt

    monkeypatch.setattr(Watch, "epoch", interrupt)
    with pytest.raises(KeyboardInterrupt):
        applied(tmp_path / "broken")
    found = applied(tmp_path / "broken")
    assert all(torch.equal(found[name], value) for name, value in expected.items())


@pytest.mark.slow
def test_pruning_and_lotteries_go_on_as_ever(spikformer, make, new_run):
    new = with_random_offsets(make("neurons.substitute", to="slif").apply(spikformer, new_run(spikformer)))
    pruned = make("prune.l1", fraction=0.5).apply(new, new_run(new))
    assert not any(name.endswith("_offset") for name in pruned.masks)
    for name, value in offsets_of(new).items():
        assert torch.equal(pruned.tensors[name], value)
    lottery = make("prune.lottery", rounds=1, rewind_to="init", retrain=ONE_EPOCH)
    ticket = lottery.apply(new, run := new_run(new))
    assert {tuple(row["before"].values()) for row in run.notes()["training"]["round 1 of 1"]["neurons"]} == {
        (1.0, 1.0, 1.0),
        (0.5, 0.5, 0.5),
    }  # rewound to zero offsets: the snapshot was made before there were any
    assert ticket.masks


def test_a_snapshot_from_before_an_exchange_stays_whole(convnet, make, new_run):
    """A leak by channel has the name of the one for the whole layer: rewinding must find its start, not leave it trained."""
    new = make("neurons.substitute", to="plif").apply(convnet, new_run(convnet))
    assert new.snapshots["init"].keys() == new.tensors.keys()
    assert torch.equal(new.snapshots["init"]["neuron1.beta"], new.tensors["neuron1.beta"])


@pytest.mark.parametrize(
    ("first", "second"), [("spikingjelly", "spikingjelly"), ("snntorch", "snntorch"), ("spikingjelly", "snntorch")]
)
def test_a_second_exchange_leaves_no_snapshot_that_counts_from_its_start(first, second, host, make, new_run):
    """Offsets of the first neurons have the names of those of the second ones, and lead to other values from there."""
    torch.manual_seed(0)
    chain = declare(chain_of(), Time("multi_step", 2), build=chain_of, host=host)
    chain = chain.with_weights({name: 4 * chain.tensors[name] for name in ("0.weight", "2.weight")})
    chain = chain.with_probe(2 * torch.rand(2, 64, 6, generator=torch.Generator().manual_seed(1)))
    learning = make("neurons.substitute", to="slif", library=first).apply(chain, new_run(chain))
    early = learning.with_weights({name: torch.full_like(value, 0.1) for name, value in offsets_of(learning).items()})
    trained = with_random_offsets(early.with_snapshot("epoch-1"))
    trained = trained.with_weights({"0.weight": 1.1 * trained.tensors["0.weight"]})
    again = make("neurons.substitute", to="slif", library=second).apply(trained, new_run(trained))
    rewound = again.with_weights(again.snapshots["epoch-1"])
    assert torch.equal(rewound.tensors["0.weight"], chain.tensors["0.weight"])
    for before, after in zip(trained.neurons, rewound.neurons, strict=True):
        expected, found = before.backend.intrinsics(before.module), after.backend.intrinsics(after.module)
        for name, value in expected.items():
            torch.testing.assert_close(found[name].flatten(), value.flatten(), rtol=1e-6, atol=0)


@pytest.mark.parametrize("library", ["spikingjelly", "snntorch"])
@pytest.mark.parametrize("per", ["channel", "layer"])
def test_channels_are_cut_with_their_thresholds_and_leaks(per, library, host, make, new_run):
    torch.manual_seed(0)
    chain = declare(chain_of(), Time("multi_step", 2), build=chain_of, host=host)
    chain = chain.with_weights({name: 4 * chain.tensors[name] for name in ("0.weight", "2.weight")})
    x_TBC = 2 * torch.rand(2, 64, 6, generator=torch.Generator().manual_seed(1))
    step = make("neurons.substitute", to="slif", library=library, per=per)
    new = with_random_offsets(step.apply(chain.with_probe(x_TBC), new_run(chain)))
    keep = (0, 3, 4, 7, 9, 15)
    own = ("1.threshold_offset", "1.leak_offset") if per == "channel" else ()
    cuts = [Cut(name, 0, keep) for name in ("0.weight", "0.bias", *own)]
    sizes = (Size("0", "out_features", 6), Size("2", "in_features", 6))
    cut = new.edited([Slice((*cuts, Cut("2.weight", 1, keep)), sizes, (Spikes("1", 2, keep),))])
    assert cut.tensors["0.weight"].shape == (6, 6)
    assert cut.proofs[-1].num_spikes > 50


def test_an_artifact_gives_the_same_logits_in_another_process(network, make, new_run, tmp_path, x_TBCHW):
    new = with_random_offsets(make("neurons.substitute", to="slif", lr_scale=3.0).apply(network, new_run(network)))
    save(new, tmp_path / "artifact")
    torch.save({"x": x_TBCHW, "logits": logits_of(new, x_TBCHW)}, tmp_path / "expected.pt")
    program = """
import sys, torch, snncompress
folder = sys.argv[1]
known = torch.load(folder + "/expected.pt")
network = snncompress.load(folder + "/artifact")
network.module.eval()
with torch.no_grad():
    assert torch.equal(network.forward(known["x"]).logits, known["logits"])
assert {group["lr_scale"] for group in network.parameter_groups()} == {3.0}
"""
    subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=True, cwd=tmp_path)


def test_the_fast_way_is_proved_equal(network, make, new_run, x_TBCHW):
    new = with_random_offsets(make("neurons.substitute", to="slif").apply(network, new_run(network)))
    fast = accelerated(new)
    assert fast.fast is not None
    assert set(fast.fast.fusible) == {item.module for item in new.neurons}
    outcomes = []
    for way in (new.in_float64(), accelerated(new.in_float64(), probe=x_TBCHW.double())):
        way.module.train()
        way.module.zero_grad()
        way.reset()
        way.forward(x_TBCHW.double()).logits.square().sum().backward()
        outcomes.append({name: value.grad for name, value in way.module.named_parameters() if value.grad is not None})
        way.reset()
    assert outcomes[0].keys() == outcomes[1].keys()
    for name, gradient in outcomes[0].items():
        torch.testing.assert_close(outcomes[1][name], gradient, rtol=1e-7, atol=1e-10)


def test_the_fast_way_follows_the_offsets_from_step_to_step(spikformer, make, new_run, x_TBCHW):
    new = make("neurons.substitute", to="slif").apply(spikformer, new_run(spikformer))
    fast = accelerated(new)
    moved = with_random_offsets(new)
    with torch.no_grad():
        for name, value in moved.tensors.items():
            fast.module.state_dict()[name].copy_(value)
    assert torch.equal(logits_of(fast, x_TBCHW), logits_of(replace(fast, fast=None), x_TBCHW))


@pytest.mark.parametrize("to", ["lif", "plif", "alif"])
def test_other_kinds_fire_as_before(network, to, make, new_run, x_TBCHW):
    new = make("neurons.substitute", to=to).apply(network, new_run(network))
    before, after = spike_trains(network, x_TBCHW)[1], spike_trains(new, x_TBCHW)[1]
    assert all(torch.equal(after[path], spikes) for path, spikes in before.items())
    assert len(new.proofs) == 1


def test_a_neuron_of_its_own_kind_trains_in_float64_too(network, make, new_run, x_TBCHW):
    new = make("neurons.substitute", to="slif").apply(network, new_run(network)).in_float64()
    assert {value.dtype for name, value in new.tensors.items() if name.endswith("_offset")} == {torch.float64}
    assert new.forward(x_TBCHW.double()).logits.dtype is torch.float64
    new.reset()


# ---- what is refused


def test_another_neuron_is_refused_and_with_a_word_measured(spikformer, make, new_run, x_TBCHW):
    with pytest.raises(EditError) as refused:
        make("neurons.substitute", to="if").apply(spikformer, new_run(spikformer))
    assert str(refused.value) == (
        "this would compute something else; allow it with `approximate: true`: 'patch_embed.stages.0.neuron', "
        "'patch_embed.stages.1.neuron', 'patch_embed.stages.2.neuron' and 7 more: it leaks (tau 2), and this one does not"
    )
    new = make("neurons.substitute", to="if", approximate=True).apply(spikformer, run := new_run(spikformer))
    noted = run.notes()["approximated"]
    before, after = spike_trains(spikformer, x_TBCHW), spike_trains(new, x_TBCHW)
    assert noted["flipped"] == sum(int((after[1][path] != spikes).sum()) for path, spikes in before[1].items()) > 0
    assert noted["num_outputs"] == sum(spikes.numel() for spikes in before[1].values())
    assert noted["largest_logit_difference"] == float((after[0].logits - before[0].logits).abs().max())
    assert noted["because"] == ["it leaks (tau 2), and this one does not"]
    assert new.proofs == ()


def test_an_unknown_neuron_class_is_refused(host, make, new_run):
    arguments = {"kind": "KLIFNode"}
    network = declare(chain_of(**arguments), Time("multi_step", 2), build=chain_of, arguments=arguments, host=host)
    network = network.with_probe(torch.rand(2, 4, 6))
    with pytest.raises(EditError) as refused:
        make("neurons.substitute", to="slif").apply(network, new_run(network))
    assert str(refused.value) == (
        "some neurons cannot be exchanged, leave them out of `select`: '1', '3': no description is known of KLIFNode"
    )


def test_settings_that_a_library_does_not_know_are_refused_there(spikformer, convnet, make, new_run):
    step = make("neurons.substitute", to="plif", per="channel")
    assert step.apply(convnet, new_run(convnet)).tensors["neuron1.beta"].shape == (6, 1, 1)
    with pytest.raises(EditError, match="a neuron 'plif' has no value per channel in spikingjelly"):
        step.apply(spikformer, new_run(spikformer))


class OneNeuron(nn.Module):
    """A user's network whose layers share one neuron, which keeps no state for itself."""

    def __init__(self):
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(64, 12), nn.Linear(12, 10)
        self.lif = snntorch.Leaky(beta=0.9)

    def forward(self, x_TBCHW):
        spikes, mem1, mem2 = [], torch.zeros(0).to(x_TBCHW), torch.zeros(0).to(x_TBCHW)
        for x_BCHW in x_TBCHW:
            spike, mem1 = self.lif(self.fc1(x_BCHW.flatten(1)), mem1)
            spike, mem2 = self.lif(self.fc2(spike), mem2)
            spikes.append(spike)
        return torch.stack(spikes)


def test_a_neuron_that_takes_several_shapes_has_values_for_the_layer_alone(host, make, new_run):
    torch.manual_seed(0)
    network = declare(OneNeuron(), Time("inside", 6), host=host).with_probe(4 * torch.rand(6, 16, 1, 8, 8))
    told = r"'lif' is called with samples of shape \[12\] and \[10\]: it has no value per channel; take `per: layer`"
    with pytest.raises(EditError, match=told):
        make("neurons.substitute", to="slif").apply(network, new_run(network))
    new = make("neurons.substitute", to="slif", per="layer").apply(network, new_run(network))
    assert new.proofs[0].num_spikes > 50


def test_a_network_without_a_batch_is_refused(spikformer, make, new_run):
    with pytest.raises(StepError, match="a probe batch is needed"):
        make("neurons.substitute", to="slif").apply(replace(spikformer, probe=None), new_run(spikformer))


# ---- what the plan says


def problems_of(network, host, step, later=()):
    state = frozenset({"weights"})
    facts = Facts(network.inventory, network.time, Inputs((1, 8, 8), 10), state, (), later, host)
    return [(problem.where, problem.what, problem.warns) for problem in step.check(facts)]


@pytest.mark.parametrize(
    ("settings", "where", "what"),
    [
        ({"to": "slf"}, "to", "unknown neuron 'slf'"),
        ({"to": "slif", "library": "norse"}, "library", "no neuron of 'norse' is known"),
        ({"to": "slif", "select": ("mpl",)}, "select", "selector 'mpl' matches nothing"),
        ({"to": "slif", "select": ("norm",)}, "select", "selector ['norm'] picks no neuron"),
        ({"to": "lif", "per": "layer"}, "per", "a neuron 'lif' trains nothing of its own"),
        ({"to": "plif", "learn": ("threshold",)}, "learn", "a neuron 'plif' has no threshold to train"),
        ({"to": "plif", "lr_scale": 2.0}, "lr_scale", "a neuron 'plif' trains at the learning rate of the weights"),
        ({"to": "plif", "per": "neuron", "library": "spikingjelly"}, "per", "a neuron 'plif' has no value per neuron"),
    ],
)
def test_settings_without_sense_are_found(settings, where, what, spikformer, host, make):
    found = problems_of(spikformer, host, make("neurons.substitute", **settings), (make("train", epochs=1),))
    assert found == [((where,), what, False)]


def test_a_network_without_neurons_is_told(host, make):
    network = declare(plain_net(), Time("none", 1, output="averaged", input="static"), build=plain_net, host=host)
    found = problems_of(network, host, make("neurons.substitute", to="slif", finetune=ONE_EPOCH))
    assert found == [(("use",), "this network has no neuron that a backend knows", False)]


def test_an_exchange_that_nobody_trains_is_worth_a_warning(spikformer, host, make):
    step = make("neurons.substitute", to="slif")
    what = "the new neurons compute what the old ones did until they are trained, and no step trains behind this one"
    assert problems_of(spikformer, host, step) == [(("use",), what, True)]
    assert problems_of(spikformer, host, step, (make("prune.l1", fraction=0.5),)) == [(("use",), what, True)]
    assert problems_of(spikformer, host, step, (make("prune.l1", fraction=0.5), make("train", epochs=1))) == []
    lottery = make("prune.lottery", rounds=1, epochs=1, rewind_to="init")
    assert problems_of(spikformer, host, step, (lottery,)) == []
    assert problems_of(spikformer, host, make("neurons.substitute", to="slif", finetune=ONE_EPOCH)) == []
    assert problems_of(spikformer, host, make("neurons.substitute", to="lif", library="snntorch")) == []


def test_what_would_be_refused_is_told_before_anything_trains(spikformer, host, make):
    facts = partial(Facts, spikformer.inventory, spikformer.time, Inputs((1, 8, 8), 10), frozenset({"weights"}))
    known = partial(facts, host=host, network=lambda: spikformer)
    (problem,) = make("neurons.substitute", to="if").check(known())
    assert (problem.where, problem.warns) == (("to",), False)
    assert problem.what.startswith("this would compute something else; allow it with `approximate: true`: ")
    assert problem.what.endswith("and 7 more: it leaks (tau 2), and this one does not")
    assert list(make("neurons.substitute", to="if", approximate=True).check(known())) == []
    exchange = make("neurons.substitute", to="lif", library="snntorch", approximate=True)
    assert list(make("neurons.substitute", to="if").check(known((exchange,)))) == []  # what it left is not known yet


def test_a_neuron_without_values_is_not_judged(host, make):
    inputs = Inputs((1, 28, 28), 10)
    architecture = host.catalogue["architectures"]["spikingjelly.parametric_lif_net"](channels=2).resolved(inputs, 2)
    network = open_architecture(architecture, host, values=False)
    assert all(value.is_meta for value in network.tensors.values())
    state = frozenset({"weights"})
    facts = Facts(network.inventory, network.time, inputs, state, host=host, network=lambda: network)
    assert list(make("neurons.substitute", to="if").check(facts)) == []


def test_an_untrained_network_proves_nothing_and_is_exchanged_with_a_word(opened, host, make, new_run, x_TBCHW):
    network = opened("spikingjelly.spikformer", embed_dims=32, depths=1, num_heads=4).with_probe(x_TBCHW)
    facts = Facts(network.inventory, network.time, Inputs((1, 8, 8), 10), frozenset(), host=host)
    (problem,) = make("neurons.substitute", to="slif", finetune=ONE_EPOCH).check(facts)
    assert problem.what == "needs trained weights, which no earlier step provides"
    with pytest.raises(ProofError, match="has seen no data"):
        make("neurons.substitute", to="slif").apply(network, new_run(network))
    step = make("neurons.substitute", to="slif", approximate=True, finetune=ONE_EPOCH)
    assert list(step.check(facts)) == []
    new = step.apply(network, run := new_run(network))
    assert (run.notes()["approximated"]["flipped"], run.notes()["approximated"]["because"]) == (0, [])
    assert any(bool(value.any()) for value in offsets_of(new).values())


@pytest.mark.skipif(not compiler(), reason="no compiler")
@pytest.mark.parametrize("per", ["layer", "channel", "neuron"])
def test_every_shape_of_offsets_is_compiled(spikformer, per, make, new_run):
    new = with_random_offsets(make("neurons.substitute", to="slif", per=per).apply(spikformer, new_run(spikformer)))
    found = acceleration(new, "compiled")
    assert (found.path, found.remarks, found.modes) == ("compiled", (), {True, False})


def test_a_backend_that_describes_nothing_is_told(make):
    from types import SimpleNamespace

    item = SimpleNamespace(path="lif", module=nn.Identity(), backend=SimpleNamespace(name="mine"))
    told = _exchange(item, {}, make("neurons.substitute", to="slif"))
    assert told == "the backend 'mine' does not describe its neurons"


def test_the_edits_are_json_that_holds_every_number(convnet, make, new_run):
    new = make("neurons.substitute", to="slif", per="neuron").apply(convnet, new_run(convnet))
    edit = new.edits[0]
    assert isinstance(edit, Replace)
    assert (edit.path, edit.module, edit.exact) == ("neuron1", "snntorch.slif", True)
    assert edit.arguments["shape"] == [6, 4, 4]
    assert edit.arguments["neuron"]["threshold"] == 1.0
    assert edit.arguments["learn"] == ["threshold", "leak"]
