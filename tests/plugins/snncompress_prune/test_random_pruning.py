import pytest
import torch

from snncompress import Facts, Inputs, Training, load, run
from snncompress.run.session import StepRun
from snncompress.run.watch import Watch


def facts_of(network, *state):
    return Facts(network.inventory, network.time, Inputs((1, 8, 8), 10), frozenset(state))


@pytest.fixture
def seeded(bench, tmp_path_factory):
    """Return a function that begins a step with a seed."""

    def begin(network, seed):
        folder = tmp_path_factory.mktemp("step")
        return StepRun(seed=seed, earlier=(), bench=bench, folder=folder, network=network, watch=Watch(silent=True))

    return begin


@pytest.mark.parametrize(
    ("scope", "select", "left"),
    [("matrix", ("synapse",), {"fc1.weight": 154, "fc2.weight": 24}), ("matrix", None, {"fc1.weight": 154})],
)
def test_each_matrix_loses_exactly_as_many_as_with_l1(trained, make, seeded, scope, select, left):
    """0.9 * 1536 = 1382.4 and 0.9 * 240 = 216 go."""
    for use in ("prune.random", "prune.l1"):
        pruned = make(use, fraction=0.9, scope=scope, select=select).apply(trained, seeded(trained, 3))
        assert {name: int(mask.sum()) for name, mask in pruned.masks.items()} == left
        for name, mask in pruned.masks.items():
            assert torch.equal(pruned.tensors[name], trained.tensors[name] * mask)


def test_of_all_matrices_together_exactly_as_many_go(trained, make, seeded):
    run = seeded(trained, 3)
    pruned = make("prune.random", fraction=0.9, scope="global", select=("synapse",)).apply(trained, run)
    assert sum(int(mask.sum()) for mask in pruned.masks.values()) == 178  # of 1,776
    assert run.notes()["pruned"] == {"weights": 1776, "remaining": 178, "sparsity": 1 - 178 / 1776}
    share = int(pruned.masks["fc1.weight"].sum()) / 178
    assert 0.75 < share < 0.97, "1536 of 1776 weights are in fc1, so about 0.865 of the survivors are"


def test_the_seed_of_the_run_decides_and_nothing_else(trained, make, seeded):
    step = make("prune.random", fraction=0.5)
    masks = []
    for seed in (1, 1, 2):
        torch.manual_seed(len(masks))
        masks.append(step.apply(trained, seeded(trained, seed)).masks["fc1.weight"])
    assert torch.equal(masks[0], masks[1])
    agreeing = float((masks[0] == masks[2]).float().mean())
    assert 0.4 < agreeing < 0.6, "two independent halves agree in half of the places"


def test_the_choice_knows_no_magnitude(trained, make, seeded):
    """Of the half with the larger magnitudes about half survives: 768 ± 6 standard deviations of 13.9."""
    mask = make("prune.random", fraction=0.5).apply(trained, seeded(trained, 5)).masks["fc1.weight"]
    magnitudes = trained.tensors["fc1.weight"].abs()
    large = magnitudes > magnitudes.median()
    assert 300 < int((mask & large).sum()) < 468


def test_what_is_pruned_already_stays_so(trained, make, seeded):
    once = make("prune.l1", fraction=0.5).apply(trained, seeded(trained, 1))
    twice = make("prune.random", fraction=0.5).apply(once, seeded(once, 1))
    assert int(twice.masks["fc1.weight"].sum()) == 384
    assert not (twice.masks["fc1.weight"] & ~once.masks["fc1.weight"]).any()


def test_fine_tuning_moves_survivors_under_fixed_masks(trained, make, seeded):
    step = make("prune.random", fraction=0.5, finetune=Training(epochs=1, batch_size=250))
    tuned = step.apply(trained, run := seeded(trained, 1))
    bare = make("prune.random", fraction=0.5).apply(trained, seeded(trained, 1))
    mask = bare.masks["fc1.weight"]
    assert torch.equal(mask, tuned.masks["fc1.weight"])
    assert not tuned.tensors["fc1.weight"][~mask].any()
    assert not torch.equal(tuned.tensors["fc1.weight"][mask], bare.tensors["fc1.weight"][mask])
    assert [entry["epoch"] for entry in run.notes()["training"]["finetune"]["epochs"]] == [1]


def test_an_untrained_network_is_fine_and_a_wrong_selector_is_not(trained, make):
    assert list(make("prune.random", fraction=0.5).check(facts_of(trained))) == []
    wrong = make("prune.random", fraction=0.5, select="fc3", finetune=Training(epochs=1, loss="membrane_cross_entropy"))
    assert [problem.where for problem in wrong.check(facts_of(trained))] == [("select",), ("finetune", "loss")]


def test_each_seed_of_a_pipeline_draws_a_mask_of_its_own(tmp_path):
    pipeline = {
        "version": 1,
        "name": "drawn",
        "model": {"use": "python", "function": "own_networks:JellyNet"},
        "data": "digits",
        "timesteps": 2,
        "seeds": [0, 1],
        "steps": [{"use": "prune.random", "fraction": 0.75}, {"use": "train", "epochs": 1}],
        "measure": ["sparsity"],
    }
    found = run(pipeline, allow_code=True, silent=True, output=tmp_path / "run", store=tmp_path / "store")
    first, second = (load(result.folder / "final", allow_code=True).masks["fc1.weight"] for result in found.results)
    assert not torch.equal(first, second)
    assert found.record.final["sparsity"].spread.values == (0.75, 0.75)  # 1536 of 2048 and 240 of 320
