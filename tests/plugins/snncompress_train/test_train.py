import pytest
import torch
from own_networks import JellyNet, LoopNet

from snncompress import Facts, Inputs, Time, Training, declare


@pytest.fixture
def network(host):
    torch.manual_seed(0)
    return declare(JellyNet(), Time("multi_step", 2), host=host)


def facts(network, *state):
    return Facts(network.inventory, network.time, Inputs((1, 8, 8), 10), frozenset(state))


def test_training_learns_and_leaves_the_network_before_alone(network, make, new_run, bench):
    from snncompress import predict

    before = {name: value.clone() for name, value in network.tensors.items()}
    trained = make("train", epochs=4, lr=0.01).apply(network, new_run(network))
    assert predict(network, bench).accuracy < 0.3
    assert predict(trained, bench).accuracy > 0.8
    assert all(torch.equal(value, before[name]) for name, value in network.tensors.items())


def test_the_history_of_every_epoch_is_noted(network, make, new_run, bench):
    from snncompress import predict

    run = new_run(network)
    trained = make("train", epochs=2, batch_size=250).apply(network, run)
    history = run.notes()["training"]["train"]["epochs"]
    assert [entry["epoch"] for entry in history] == [1, 2]
    assert history[1]["loss"] < history[0]["loss"]
    assert history[1]["validation_accuracy"] == predict(trained, bench, "validation").accuracy


def test_snapshots_are_taken_after_the_epochs_named(network, make, new_run):
    same = {"schedule": "constant", "warmup_epochs": 0, "batch_size": 250}
    short = make("train", epochs=1, snapshots=(0, 1), **same)
    torch.manual_seed(4)
    one = short.apply(network, new_run(network))
    torch.manual_seed(4)
    two = make("train", epochs=2, snapshots=(1,), **same).apply(network, new_run(network))
    assert sorted(one.snapshots) == ["epoch-0", "epoch-1"]
    assert sorted(two.snapshots) == ["epoch-1"]
    for name, value in network.tensors.items():
        assert torch.equal(one.snapshots["epoch-0"][name], value)
        assert torch.equal(one.snapshots["epoch-1"][name], one.tensors[name])
        assert torch.equal(two.snapshots["epoch-1"][name], one.tensors[name])
    assert not torch.equal(two.snapshots["epoch-1"]["fc1.weight"], two.tensors["fc1.weight"])


def test_masks_hold_while_training(network, make, new_run):
    mask = torch.rand(32, 64, generator=torch.Generator().manual_seed(0)) > 0.5
    trained = make("train", epochs=1, batch_size=250).apply(network.with_masks({"fc1.weight": mask}), new_run(network))
    assert not trained.tensors["fc1.weight"][~mask].any()
    assert trained.tensors["fc1.weight"][mask].all()


@pytest.mark.parametrize("loss", ["cross_entropy", "membrane_cross_entropy", "tet", "spike_count_mse"])
def test_every_loss_trains_a_network_that_records_its_membranes(host, make, new_run, loss):
    torch.manual_seed(0)
    time = Time("inside", 3, input="static", records=("output", "membranes"), attribute="num_steps")
    network = declare(LoopNet(num_steps=3), time, arguments={"num_steps": 3}, host=host)
    trained = make("train", epochs=1, batch_size=250, loss=loss).apply(network, run := new_run(network))
    assert not torch.equal(trained.tensors["fc1.weight"], network.tensors["fc1.weight"])
    assert run.notes()["training"]["train"]["epochs"][0]["loss"] > 0


def test_later_steps_inherit_the_settings_of_the_loop_alone(make):
    step = make("train", epochs=3, lr=0.5, snapshots=(1, 3))
    assert step.training() == Training(epochs=3, lr=0.5)
    assert type(step.training()) is Training
    assert step.provides() == {"weights", "snapshot:epoch-1", "snapshot:epoch-3"}
    assert not step.compresses


def test_snapshots_never_reached_and_missing_membranes_are_found(network, make):
    step = make("train", epochs=3, snapshots=(0, 3, 4), loss="membrane_cross_entropy")
    assert [(problem.where, problem.what) for problem in step.check(facts(network))] == [
        (("snapshots",), "epoch 4 is never reached"),
        (("loss",), "this network records no membranes"),
    ]
    assert list(make("train", epochs=3, snapshots=(0, 3)).check(facts(network))) == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"epochs": 0},
        {"epochs": True},
        {"lr": 0},
        {"lr": "0.1"},
        {"momentum": 1},
        {"loss": "mse"},
        {"snapshots": (1, 1)},
    ],
)
def test_settings_out_of_range_are_refused(make, wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        make("train", **{"epochs": 1, **wrong})
