"""It is a lottery: what each round starts from is observed in the real training loop."""

from dataclasses import dataclass, field

import pytest
import torch
from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook

from snncompress import Facts, Inputs, ModelError, StepError, Time, Training
from snncompress.run.session import StepRun
from snncompress_prune.survivors import survivors_behind

ROUNDS = 3
NORM = ("norm.running_mean", "norm.running_var", "norm.num_batches_tracked")


@dataclass
class Round:
    """What one round of training began with, and the steps that its optimiser took."""

    network: object
    training: Training
    start_epoch: int
    optimizers: list = field(default_factory=list)
    states: list = field(default_factory=list)
    rates: list = field(default_factory=list)
    first_parameters: list = field(default_factory=list)
    revived: int = 0


class ObservedRun(StepRun):
    """A run that watches every training begin and every optimiser step."""

    rounds: list

    def train(self, network, training, **settings):
        seen = Round(network.copy(), training, settings.get("start_epoch", 0))
        self.rounds = [*getattr(self, "rounds", []), seen]
        dead = [(name, ~mask) for name, mask in network.masks.items()]

        def before(optimizer, *_):
            if not seen.optimizers:
                seen.first_parameters = [
                    value.detach().clone() for group in optimizer.param_groups for value in group["params"]
                ]
            seen.optimizers.append(optimizer)
            seen.states.append(len(optimizer.state))
            seen.rates.append(optimizer.param_groups[0]["lr"])

        def after(optimizer, *_):
            values = {value.shape: value for group in optimizer.param_groups for value in group["params"]}
            seen.revived += sum(int(values[mask.shape][mask].count_nonzero()) for _, mask in dead)

        handles = [register_optimizer_step_pre_hook(before), register_optimizer_step_post_hook(after)]
        try:
            return super().train(network, training, **settings)
        finally:
            for handle in handles:
                handle.remove()


@pytest.fixture(scope="session")
def draw(host, trained, train_step, new_run):
    """Return a function that draws a lottery from the trained network: the ticket and the observed run."""

    def run(**settings):
        step = host.catalogue["strategies"]["prune.lottery"](
            **{"rounds": ROUNDS, "rewind_to": "epoch-1", "epochs": 1, **settings}
        )
        observed = new_run(trained, earlier=(train_step,), kind=ObservedRun)
        torch.manual_seed(2)
        return step.apply(trained, observed), observed

    return run


@pytest.fixture(scope="session")
def lottery(draw):
    return draw()


def test_every_round_starts_from_the_snapshot_bit_for_bit(lottery, trained):
    _, run = lottery
    assert len(run.rounds) == ROUNDS
    early = trained.snapshots["epoch-1"]
    for seen in run.rounds:
        start = seen.network.tensors
        assert set(start) == set(early)
        for name, value in start.items():
            if name in seen.network.masks:
                mask = seen.network.masks[name]
                assert torch.equal(value[mask], early[name][mask])
                assert not value[~mask].any()
            else:
                assert torch.equal(value, early[name])


def test_the_snapshot_is_neither_the_first_nor_the_trained_state(trained):
    """Shows that the test above can fail."""
    early = trained.snapshots["epoch-1"]
    for name in ("fc1.weight", "fc2.bias", "norm.weight", "norm.running_mean"):
        assert not torch.equal(early[name], trained.snapshots["init"][name])
        assert not torch.equal(early[name], trained.tensors[name])


def test_the_optimiser_sees_the_rewound_parameters_at_its_first_step(lottery):
    _, run = lottery
    for seen in run.rounds:
        learnt = {name for name, _ in seen.network.module.named_parameters()}
        expected = {value.shape: value for name, value in seen.network.tensors.items() if name in learnt}
        by_shape = {value.shape: value for value in seen.first_parameters}
        assert set(by_shape) == set(expected)
        for shape in (torch.Size([24, 64]), torch.Size([10, 24]), torch.Size([10])):
            assert torch.equal(by_shape[shape], expected[shape])


def test_every_round_has_a_new_optimiser_without_state(lottery):
    _, run = lottery
    assert len({id(seen.optimizers[0]) for seen in run.rounds}) == ROUNDS
    for seen in run.rounds:
        assert len({id(optimizer) for optimizer in seen.optimizers}) == 1
        assert seen.states[0] == 0
        assert seen.states[1] == len(seen.first_parameters)


def test_each_round_removes_a_quarter_of_the_survivors_of_all_matrices(lottery):
    ticket, run = lottery
    left = [sum(int(mask.sum()) for mask in seen.network.masks.values()) for seen in run.rounds]
    assert left == [1332, 999, 749]  # 24 * 64 + 10 * 24 = 1776; 444, 333, then round(249.75) = 250 go
    assert run.notes()["rounds"] == [
        {"round": number, "weights": 1776, "remaining": count, "sparsity": 1 - count / 1776}
        for number, count in enumerate(left, start=1)
    ]
    assert sorted(ticket.masks) == ["fc1.weight", "fc2.weight"]


def test_masks_only_shrink_and_no_removed_weight_is_ever_revived(lottery):
    ticket, run = lottery
    for earlier, later in zip(run.rounds, run.rounds[1:], strict=False):
        for name, mask in later.network.masks.items():
            assert not (mask & ~earlier.network.masks[name]).any()
    assert [seen.revived for seen in run.rounds] == [0] * ROUNDS
    for name, mask in ticket.masks.items():
        assert torch.equal(mask, run.rounds[-1].network.masks[name])
        assert not ticket.tensors[name][~mask].any()
        assert ticket.tensors[name][mask].all()


def test_the_weights_that_go_are_the_smallest_after_training(lottery, trained):
    _, run = lottery
    mask = dict(run.rounds[0].network.masks.items())
    kept = torch.cat([trained.tensors[name][mask[name]].abs() for name in mask])
    gone = torch.cat([trained.tensors[name][~mask[name]].abs() for name in mask])
    assert kept.min() >= gone.max()


@pytest.mark.parametrize("rewind", [True, False])
def test_statistics_of_norms_go_back_or_stay(draw, trained, rewind):
    _, run = draw(rounds=2, rewind_statistics=rewind)
    start = run.rounds[0].network.tensors
    source = trained.snapshots["epoch-1"] if rewind else trained.tensors
    for name in NORM:
        assert torch.equal(start[name], source[name])
    assert torch.equal(start["norm.weight"], trained.snapshots["epoch-1"]["norm.weight"])
    assert int(start["norm.num_batches_tracked"]) == (4 if rewind else 12)


def test_the_settings_of_the_training_are_inherited(draw, train_step):
    _, run = draw(rounds=1, epochs=None)
    seen = run.rounds[0]
    assert seen.training == train_step.training().model_copy(update={"epochs": 2})  # 3 epochs less the one rewound to
    assert (seen.training.lr, seen.training.batch_size, seen.training.weight_decay) == (0.01, 250, 0.05)
    assert len(seen.optimizers) == 2 * 4


def test_the_schedule_continues_at_the_rewinding_point(draw):
    from math import cos, pi

    _, run = draw(rounds=1, epochs=2)
    seen = run.rounds[0]
    assert seen.start_epoch == 1
    # 3 epochs of 4 updates in all; the first epoch, the warm-up, counts as done
    assert seen.rates == pytest.approx([0.01 * 0.5 * (1 + cos(pi * update / 8)) for update in range(8)])


def test_rewinding_to_the_start_trains_all_epochs_with_the_warm_up(draw, trained, fresh):
    _, run = draw(rounds=1, rewind_to="init", epochs=None)
    seen = run.rounds[0]
    assert (seen.start_epoch, seen.training.epochs) == (0, 3)
    assert seen.rates[:3] == pytest.approx([0.002, 0.004, 0.006])
    assert torch.equal(seen.network.tensors["fc1.bias"], fresh.tensors["fc1.bias"])
    assert torch.equal(trained.snapshots["epoch-0"]["fc1.bias"], fresh.tensors["fc1.bias"])


def test_the_default_warm_up_is_that_of_the_rounds_and_not_of_the_training_before(draw):
    """A tenth of ten epochs of four updates is four updates; of the five epochs behind epoch 1, none is left."""
    retrain = Training(epochs=10, lr=0.01, batch_size=250, schedule="constant")
    _, run = draw(rounds=1, rewind_to="init", epochs=None, retrain=retrain)
    assert run.rounds[0].rates[:5] == pytest.approx([0.002, 0.004, 0.006, 0.008, 0.01])
    _, run = draw(rounds=1, rewind_to="init", epochs=5, retrain=retrain)
    assert run.rounds[0].rates[:3] == pytest.approx([0.01 / 3, 0.02 / 3, 0.01])
    _, run = draw(rounds=1, rewind_to="epoch-1", epochs=4, retrain=retrain)
    assert run.rounds[0].rates == [0.01] * 16


def test_settings_of_its_own_replace_those_inherited(draw):
    retrain = Training(epochs=2, lr=0.5, batch_size=500, optimizer="sgd", warmup_epochs=0, schedule="constant")
    _, run = draw(rounds=1, epochs=None, retrain=retrain)
    assert run.rounds[0].training == retrain
    assert run.rounds[0].rates == [0.5] * 4
    assert type(run.rounds[0].optimizers[0]).__name__ == "SGD"


def test_a_checkpoint_file_is_a_rewinding_point(draw, trained, tmp_path):
    file = tmp_path / "early.pt"
    torch.save(trained.snapshots["epoch-0"], file)
    _, run = draw(rounds=1, rewind_to=f"checkpoint:{file}")
    start, mask = run.rounds[0].network.tensors, run.rounds[0].network.masks["fc1.weight"]
    assert torch.equal(start["fc1.weight"], trained.snapshots["epoch-0"]["fc1.weight"] * mask)
    assert run.rounds[0].start_epoch == 0


def test_a_checkpoint_of_another_network_is_refused(draw, tmp_path):
    file = tmp_path / "other.pt"
    torch.save({"fc1.weight": torch.zeros(2, 2)}, file)
    with pytest.raises(ModelError, match="lacks 'fc1.bias'"):
        draw(rounds=1, rewind_to=f"checkpoint:{file}")


def remaining(run):
    return [entry["remaining"] for entry in run.notes()["rounds"]]


def test_a_sparsity_in_rounds_is_reached_evenly_and_exactly(draw):
    """round(0.1 * 1776) = 178 stay. The third root of 178 / 1776 is 0.46451: 1776 -> 824.97, 825 -> 383.2, 383 -> 178."""
    ticket, run = draw(rounds=3, sparsity=0.9)
    assert remaining(run) == [825, 383, 178]
    assert sum(int(mask.sum()) for mask in ticket.masks.values()) == 178


def test_a_sparsity_by_parts_takes_the_rounds_that_it_needs(draw):
    """0.5 a round: 888, 444, 222, and 178 after the fourth."""
    _, run = draw(rounds=None, sparsity=0.9, fraction_per_round=0.5)
    assert remaining(run) == [888, 444, 222, 178]
    assert [one.training.epochs for one in run.rounds] == [1, 1, 1, 1]
    _, stated = draw(rounds=4, sparsity=0.9, fraction_per_round=0.5)
    assert remaining(stated) == remaining(run)


def test_without_a_part_a_quarter_goes_each_round(draw):
    _, run = draw(rounds=None, sparsity=0.5)
    assert remaining(run) == [1332, 999, 888]


def test_each_matrix_reaches_the_sparsity_alone(draw):
    ticket, _ = draw(rounds=2, sparsity=0.75, scope="matrix")
    assert {name: int(mask.sum()) for name, mask in ticket.masks.items()} == {"fc1.weight": 384, "fc2.weight": 60}


def test_masks_that_are_there_count_and_save_rounds(trained, train_step, make, new_run):
    half = make("prune.l1", fraction=0.5, select="synapse").apply(trained, new_run(trained))
    step = make("prune.lottery", sparsity=0.9, fraction_per_round=0.5, rewind_to="epoch-1", epochs=1)
    run = new_run(half, earlier=(train_step,), kind=ObservedRun)
    step.apply(half, run)
    assert remaining(run) == [444, 222, 178]
    evenly = make("prune.lottery", sparsity=0.875, rounds=2, rewind_to="epoch-1", epochs=1)
    run = new_run(half, earlier=(train_step,), kind=ObservedRun)
    evenly.apply(half, run)
    assert remaining(run) == [444, 222]


def test_a_sparsity_that_is_there_is_an_error(trained, train_step, make, new_run):
    half = make("prune.l1", fraction=0.5, select="synapse").apply(trained, new_run(trained))
    step = make("prune.lottery", sparsity=0.5, rounds=2, rewind_to="epoch-1", epochs=1)
    what = "masks have removed 0.5 of the selected weights already, and 0.5 is asked for"
    with pytest.raises(StepError, match=f"sparsity: {what}; ask for more, or leave the step out"):
        step.apply(half, new_run(half, earlier=(train_step,)))
    known = Facts(
        half.inventory,
        half.time,
        Inputs((1, 8, 8), 10),
        frozenset({"weights", "snapshot:epoch-1"}),
        network=lambda: half,
    )
    assert [(problem.where, problem.what) for problem in step.check(known)] == [(("sparsity",), what)]


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({}, "should give 'rounds' or 'sparsity'"),
        (
            {"sparsity": 0.9, "fraction_per_round": 0.5, "rounds": 3},
            "should agree: 0.5 a round reaches the sparsity 0.9 in 4 round\\(s\\), not in 3; leave out",
        ),
    ],
)
def test_settings_that_do_not_agree_are_refused(make, settings, told):
    with pytest.raises(ValueError, match=told):
        make("prune.lottery", **settings)


def test_the_epochs_of_a_sparsity_are_known_beforehand(make):
    step = make("prune.lottery", sparsity=0.9, fraction_per_round=0.37, epochs=13)
    assert step.num_epochs(()) == 5 * 13


def test_settings_of_rounds_keep_the_json_that_they_always_had(make):
    known = make("prune.lottery", rounds=9).canonical()
    assert (known["fraction_per_round"], known["rounds"], "sparsity" in known) == (0.25, 9, False)
    assert make("prune.lottery", rounds=9, fraction_per_round=0.25).canonical() == known


def test_each_matrix_can_lose_its_own_part_and_layers_can_be_chosen(draw):
    by_matrix, _ = draw(rounds=2, scope="matrix")
    assert {name: int(mask.sum()) for name, mask in by_matrix.masks.items()} == {"fc1.weight": 864, "fc2.weight": 135}
    one_layer, _ = draw(rounds=1, select=("fc2",))
    assert {name: int(mask.sum()) for name, mask in one_layer.masks.items()} == {"fc2.weight": 180}


def test_weights_that_are_not_selected_are_rewound_too(draw, trained):
    _, run = draw(rounds=1, select=("fc2",))
    assert torch.equal(run.rounds[0].network.tensors["fc1.weight"], trained.snapshots["epoch-1"]["fc1.weight"])


def test_recurrent_weights_are_drawn_and_neuron_parameters_rewound(host, make, new_run):
    from own_networks import recurrent_net

    from snncompress import declare

    torch.manual_seed(0)
    network = declare(recurrent_net(), Time("per_step", 2), build=recurrent_net, host=host).with_snapshot("init")
    train = make("train", epochs=1, batch_size=500)
    trained = train.apply(network, new_run(network))
    step = make("prune.lottery", rounds=1, epochs=1, fraction_per_round=0.5)
    run = new_run(trained, earlier=(train,), kind=ObservedRun)
    ticket = step.apply(trained, run)
    assert sorted(ticket.masks) == ["1.weight", "2.recurrent.weight", "3.weight"]
    start = run.rounds[0].network.tensors
    for name in ("2.beta", "1.bias", "2.recurrent.bias", "3.bias"):
        assert torch.equal(start[name], network.tensors[name])
        assert not torch.equal(start[name], trained.tensors[name])


def facts(network, *state, earlier=()):
    return Facts(network.inventory, network.time, Inputs((1, 8, 8), 10), frozenset(state), earlier)


def test_a_lottery_behind_a_training_is_fine(trained, train_step, make):
    step = make("prune.lottery", rounds=9, rewind_to="epoch-1")
    assert list(step.check(facts(trained, "weights", "snapshot:epoch-1", earlier=(train_step,)))) == []


def test_everything_wrong_is_found_at_once(trained, make):
    step = make(
        "prune.lottery", rounds=9, rewind_to="epoch-2", retrain=Training(epochs=1, loss="membrane_cross_entropy")
    )
    problems = list(step.check(facts(trained, "snapshot:epoch-1")))
    assert [(problem.where, problem.what) for problem in problems] == [
        (("use",), "needs trained weights, which no earlier step provides"),
        (("rewind_to",), "needs the snapshot 'epoch-2', which no earlier step provides"),
        (("retrain", "loss"), "this network records no membranes"),
    ]
    assert problems[1].hint == "add `snapshots: [2]` to an earlier train step"


@pytest.mark.parametrize(
    ("settings", "epochs_of_train", "is_problem"),
    [
        ({"rewind_to": "epoch-3"}, 3, True),
        ({"rewind_to": "epoch-2"}, 3, False),
        ({"rewind_to": "epoch-3", "epochs": 1}, 3, False),
        ({"rewind_to": "epoch-3", "retrain": Training(epochs=1)}, 3, False),
        ({"rewind_to": "init"}, None, True),
    ],
)
def test_no_epochs_to_train_are_found(trained, make, settings, epochs_of_train, is_problem):
    earlier = () if epochs_of_train is None else (make("train", epochs=epochs_of_train),)
    step = make("prune.lottery", rounds=1, **settings)
    found = list(step.check(facts(trained, "weights", f"snapshot:{settings['rewind_to']}", earlier=earlier)))
    assert [problem.where for problem in found] == ([("epochs",)] if is_problem else [])


def test_a_missing_checkpoint_file_is_found(trained, train_step, make, tmp_path):
    missing = tmp_path / "none.pt"
    step = make("prune.lottery", rounds=1, rewind_to=f"checkpoint:{missing}")
    (problem,) = step.check(facts(trained, "weights", earlier=(train_step,)))
    assert (problem.where, problem.what) == (("rewind_to",), f"checkpoint {str(missing)!r} does not exist")


@pytest.mark.parametrize("place", ["first", "epoch-", "epoch-x", "checkpoint:", "init "])
def test_a_rewinding_point_of_another_form_is_refused(make, place):
    with pytest.raises(ValueError, match="rewind_to"):
        make("prune.lottery", rounds=1, rewind_to=place)


def behind(trained, step, *earlier):
    """Return what the plan says of a step behind others."""
    known = Facts(
        trained.inventory,
        trained.time,
        Inputs((1, 8, 8), 10),
        frozenset({"weights", "masks", "snapshot:epoch-1"}),
        earlier,
        network=lambda: trained,
    )
    return [(problem.where, problem.what) for problem in step.check(known)]


ALL = {"select": "synapse"}


@pytest.mark.parametrize(
    ("earlier", "sparsity", "there"),
    [
        ([("prune.l1", {"fraction": 0.9, "scope": "global", **ALL})], 0.8, "0.899775"),  # 1776 - 1598 = 178 stay
        ([("prune.l1", {"fraction": 0.9, **ALL})], 0.8, "0.899775"),  # 1536 - 1382 and 240 - 216 = 178 stay
        ([("prune.random", {"fraction": 0.5, **ALL})] * 2, 0.75, "0.75"),
        ([("prune.lottery", {"rounds": 2, "fraction_per_round": 0.5, "epochs": 1})], 0.7, "0.75"),
        ([("prune.lottery", {"rounds": 2, "sparsity": 0.875, "epochs": 1})], 0.8, "0.875"),
        ([("prune.l1", {"fraction": 0.5, "scope": "global", **ALL})], 0.6, None),
        ([("prune.l1", {"fraction": 0.9, "select": "fc1"})], 0.8, None),  # 1776 - 1382: 0.778 are gone
        ([("prune.l1", {"fraction": 0.9, "select": "fc1"})], 0.7, "0.778153"),
        ([("prune.l1", {"fraction": 0.9, **ALL}), ("prune.channels", {"fraction": 0.5})], 0.8, None),
    ],
)
def test_the_plan_counts_what_earlier_steps_leave(trained, train_step, make, earlier, sparsity, there):
    before = [make(use, **settings) for use, settings in earlier]
    step = make("prune.lottery", sparsity=sparsity, rounds=2, rewind_to="epoch-1", epochs=1)
    what = f"masks have removed {there} of the selected weights already, and {sparsity:g} is asked for"
    found = behind(trained, step, train_step, *before)
    assert found == ([] if there is None else [(("sparsity",), what)])


def test_what_a_global_step_leaves_of_one_matrix_is_not_foreseen(trained, train_step, make):
    before = make("prune.l1", fraction=0.9, scope="global", select="synapse")
    step = make("prune.lottery", sparsity=0.5, rounds=2, rewind_to="epoch-1", epochs=1, scope="matrix")
    assert behind(trained, step, train_step, before) == []


def test_the_plan_foresees_what_pruning_leaves(trained, train_step, make, new_run):
    """The counts that the plan works with are those of the masks that the steps make."""
    steps = [make("prune.l1", fraction=0.37, select="fc1"), make("prune.random", fraction=0.81, scope="global", **ALL)]
    network = trained
    for step in steps:
        network = step.apply(network, new_run(network))
    kept = sum(int(network.masks[name].sum()) for name in ("fc1.weight", "fc2.weight"))
    survivors = survivors_behind(trained, [train_step, *steps])
    assert survivors.counts(("synapse",), "global") == [(kept, 1776)]
