import pytest
import torch
from computed_networks import Convolutional, Product
from own_networks import Gained, recurrent_net, weight_normed

from snncompress import Facts, Inputs, StepError, Time, Training, declare


def facts_of(network, *state, earlier=()):
    return Facts(network.inventory, network.time, Inputs((1, 8, 8), 10), frozenset(state), earlier)


def test_the_smallest_weights_of_each_matrix_go_and_the_rest_is_untouched(trained, make, new_run):
    run = new_run(trained)
    pruned = make("prune.l1", fraction=0.9, select=("synapse",)).apply(trained, run)
    assert sorted(pruned.masks) == ["fc1.weight", "fc2.weight"]
    for name, removed in {"fc1.weight": 1382, "fc2.weight": 216}.items():  # 0.9 * 1536 = 1382.4, 0.9 * 240 = 216
        mask, before, after = pruned.masks[name], trained.tensors[name], pruned.tensors[name]
        assert int((~mask).sum()) == removed
        assert before[mask].abs().min() >= before[~mask].abs().max()
        assert torch.equal(after, before * mask)
    for name in set(trained.tensors) - set(pruned.masks):
        assert torch.equal(pruned.tensors[name], trained.tensors[name])
    assert run.notes()["pruned"] == {"weights": 1776, "remaining": 178, "sparsity": 1 - 178 / 1776}


def test_the_head_is_left_alone_by_default(trained, make, new_run):
    pruned = make("prune.l1", fraction=0.5).apply(trained, new_run(trained))
    assert sorted(pruned.masks) == ["fc1.weight"]


def test_the_global_scope_compares_matrices(trained, make, new_run):
    louder = trained.with_weights({"fc2.weight": trained.tensors["fc2.weight"].sign() * 1e3})
    pruned = make("prune.l1", fraction=0.5, scope="global", select=("synapse",)).apply(louder, new_run(louder))
    assert bool(pruned.masks["fc2.weight"].all())
    assert int((~pruned.masks["fc1.weight"]).sum()) == 888


def test_pruning_twice_takes_a_part_of_what_is_left(trained, make, new_run):
    step = make("prune.l1", fraction=0.5)
    once = step.apply(trained, new_run(trained))
    twice = step.apply(once, new_run(once))
    assert int(twice.masks["fc1.weight"].sum()) == 384
    assert not (twice.masks["fc1.weight"] & ~once.masks["fc1.weight"]).any()


def test_fine_tuning_moves_survivors_under_fixed_masks(trained, make, new_run):
    step = make("prune.l1", fraction=0.5, finetune=Training(epochs=1, batch_size=250))
    tuned = step.apply(trained, run := new_run(trained))
    bare = make("prune.l1", fraction=0.5).apply(trained, new_run(trained))
    mask = tuned.masks["fc1.weight"]
    assert torch.equal(mask, bare.masks["fc1.weight"])
    assert not tuned.tensors["fc1.weight"][~mask].any()
    assert not torch.equal(tuned.tensors["fc1.weight"][mask], bare.tensors["fc1.weight"][mask])
    assert [entry["epoch"] for entry in run.notes()["training"]["finetune"]["epochs"]] == [1]


def test_recurrent_weights_are_pruned_and_parameters_of_one_dimension_never(host, make, new_run):
    torch.manual_seed(0)
    network = declare(recurrent_net(), Time("per_step", 2), build=recurrent_net, host=host)
    assert {"1.bias", "2.beta", "2.recurrent.bias", "3.bias"} < set(network.tensors)
    pruned = make("prune.l1", fraction=0.5).apply(network, new_run(network))
    counts = {name: int(mask.sum()) for name, mask in pruned.masks.items()}
    assert counts == {"1.weight": 384, "2.recurrent.weight": 72, "3.weight": 60}


@pytest.mark.parametrize("select", [None, ("fc1", "head")])
def test_a_trained_network_with_weights_to_prune_is_fine(trained, make, select):
    assert list(make("prune.l1", fraction=0.5, select=select).check(facts_of(trained, "weights"))) == []


def test_an_untrained_network_a_wrong_selector_and_a_wrong_loss_are_found(trained, make):
    wrong = make("prune.l1", fraction=0.5, select=("fc3",), finetune=Training(epochs=1, loss="membrane_cross_entropy"))
    problems = list(wrong.check(facts_of(trained)))
    assert [problem.where for problem in problems] == [("select",), ("use",), ("finetune", "loss")]
    assert problems[0].what == "selector 'fc3' matches nothing"
    assert "fc1" in problems[0].hint
    assert problems[1].what == "needs trained weights, which no earlier step provides"


def test_an_empty_selector_is_no_default(trained, make):
    found = list(make("prune.l1", fraction=0.5, select=()).check(facts_of(trained, "weights")))
    assert [problem.what for problem in found] == ["selector [] picks no synaptic weight"]


def test_gains_scales_and_what_mixes_time_steps_keep_their_values(host, make, new_run):
    torch.manual_seed(0)
    network = declare(Gained(), Time("multi_step", 4), host=host).with_probe(torch.rand(4, 5, 1, 8, 8))
    pruned = make("prune.l1", fraction=0.9, select=("synapse",)).apply(network, new_run(network))
    assert sorted(pruned.masks) == ["conv.weight", "head.weight", "mixing"]
    left = {name: int(mask.sum()) for name, mask in pruned.masks.items()}
    assert left == {
        "conv.weight": 72 - 65,
        "head.weight": 5120 - 4608,
        "mixing": 64 - 58,
    }  # 0.9 * 72 = 64.8, of 64 57.6
    for name in ("gain", "scale", "places", "over_time.weight"):
        assert torch.equal(pruned.tensors[name], network.tensors[name])


@pytest.mark.parametrize("use", ["prune.l1", "prune.lottery"])
def test_a_parametrised_weight_is_refused_by_name(host, make, new_run, use):
    time = Time("none", input="static", output="averaged")
    network = declare(weight_normed(), time, build=weight_normed, host=host).with_snapshot("init")
    amounts = {"fraction": 0.5} if use == "prune.l1" else {"fraction_per_round": 0.5, "rounds": 1, "epochs": 1}
    (problem,) = make(use, **amounts).check(facts_of(network, "weights", "snapshot:init"))
    assert problem.where == ("select",)
    assert problem.what.startswith("'1.weight' is computed from '1.parametrizations.weight.original0' and ")
    assert "remove_parametrizations(module.get_submodule('1'), 'weight')" in problem.what
    with pytest.raises(StepError, match=r"'1.weight' is computed from .*\(WeightNorm\)"):
        make(use, **amounts).apply(network, new_run(network))
    assert list(make("prune.l1", fraction=0.5, select=("2",)).check(facts_of(network, "weights"))) == []


@pytest.mark.parametrize(("use", "select"), [("prune.l1", None), ("prune.random", ("fc",)), ("prune.lottery", ("fc",))])
def test_a_weight_that_forward_computes_is_refused_by_name(host, make, new_run, use, select):
    probe = torch.rand(4, 2, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    network = declare(Product("softplus"), Time("multi_step", 4), arguments={"way": "softplus"}, host=host)
    network = network.with_probe(probe).with_snapshot("init")
    amounts = {"fraction_per_round": 0.5, "rounds": 1, "epochs": 1} if use == "prune.lottery" else {"fraction": 0.5}
    step = make(use, **amounts, **({} if select is None else {"select": select}))
    (problem,) = step.check(facts_of(network, "weights", "snapshot:init"))
    assert problem.where == ("select",)
    assert problem.what.startswith(
        "forward computes the weight in use from 'fc.weight', so zeros in 'fc.weight' are not "
    )
    with pytest.raises(StepError, match="leave 'fc' out of select, or take the weight as it is in forward"):
        step.apply(network, new_run(network))
    assert list(make("prune.l1", fraction=0.5, select=("out",)).check(facts_of(network, "weights"))) == []


def test_zeros_of_a_pruned_weight_are_zeros_of_what_timms_layers_leave_alone(host, make, new_run):
    probe = torch.rand(4, 2, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    network = declare(Convolutional("StdConv2d"), Time("multi_step", 4), arguments={"kind": "StdConv2d"}, host=host)
    pruned = make("prune.l1", fraction=0.5, select=("out",)).apply(network.with_probe(probe), new_run(network))
    assert set(pruned.masks) == {"out.weight"}
    assert int((pruned.tensors["out.weight"] == 0).sum()) == 960 // 2
