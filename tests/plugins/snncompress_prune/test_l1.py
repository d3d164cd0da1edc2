import pytest
import torch
from own_networks import recurrent_net

from snncompress import Facts, Inputs, Time, Training, declare


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
