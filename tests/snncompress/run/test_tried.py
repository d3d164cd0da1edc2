"""What one batch shows is told before anything is trained, and runs the same wherever a run begins."""

import pytest
import torch
from odd_networks import KeepsState, Loop, Reservoir

import snncompress
from snncompress import ModelError, PipelineError, ProofError, StateError, Time, compress, declare, load, measure, run

TRAIN = {"use": "train", "epochs": 3, "lr": 0.01}


@pytest.fixture
def reservoir(pipeline):
    """A network with fixed random connections; the test says where it keeps them."""

    def with_connections(keep, *steps):
        time = {"runner": "multi_step", "T": 3}
        model = {"use": "python", "function": "odd_networks:Reservoir", "arguments": {"keep": keep}, "time": time}
        return {**pipeline, "model": model, "timesteps": None, "steps": list(steps) or [TRAIN], "measure": ["accuracy"]}

    return with_connections


def test_the_plan_refuses_constants_that_are_drawn(folder, host, reservoir):
    with pytest.raises(
        PipelineError, match="model: 'connections' of 'odd_networks:Reservoir' has other values each time"
    ):
        run(reservoir("attribute"), allow_code=True, silent=True, host=host)


@pytest.mark.parametrize("keep", ["closure", "number", "first call"])
def test_constants_that_no_attribute_shows_are_refused_before_training(folder, host, reservoir, keep):
    with pytest.raises(ModelError, match="another process would build a network that computes something else"):
        run(reservoir(keep), allow_code=True, silent=True, host=host)
    assert not list((folder / "runs/.store").rglob("training.pt"))


def test_a_step_computes_the_same_behind_a_reused_step(folder, host, reservoir):
    """Connections in a buffer are drawn anew wherever the network is built, and then come from the store."""
    nothing = {"use": "prune.l1", "fraction": 0.0}
    whole = run(reservoir("buffer", TRAIN, nothing), allow_code=True, silent=True, host=host, store="whole").record
    run(reservoir("buffer", TRAIN), allow_code=True, silent=True, host=host, store="parts", output="first")
    behind = run(
        reservoir("buffer", TRAIN, nothing), allow_code=True, silent=True, host=host, store="parts", output="second"
    )
    assert [step.reused for step in behind.record.steps] == [True, False]
    accuracy = whole.final["accuracy"].value
    assert behind.record.final["accuracy"].value == accuracy > 0.3
    torch.seed()
    network = load("second/final", allow_code=True, host=host)
    assert measure(network, {"use": "digits"}, ["accuracy"])["accuracy"].value == accuracy


@pytest.mark.parametrize("seed", [0, 1])
def test_compress_and_declare_refuse_drawn_constants_whatever_the_seed(folder, host, loaders, seed):
    torch.manual_seed(seed)
    with pytest.raises(ModelError, match="'connections' of 'Reservoir' has other values each time"):
        declare(Reservoir(), Time("multi_step", 3), host=host)
    network = declare(Reservoir("closure"), Time("multi_step", 3), arguments={"keep": "closure"}, host=host)
    with pytest.raises(ModelError, match="another process would build a network that computes something else"):
        compress(network, steps=[TRAIN], data=loaders, silent=True)


def test_state_that_nobody_clears_is_told_by_a_pipeline_compress_and_measure(folder, host, loaders, pipeline):
    model = {"use": "python", "function": "odd_networks:KeepsState", "time": {"runner": "inside", "T": 3}}
    with pytest.raises(StateError, match=r"'keeper' \(Keeper\) answers differently"):
        run({**pipeline, "model": model, "timesteps": None, "steps": [TRAIN]}, allow_code=True, silent=True, host=host)
    network = declare(KeepsState(), Time("inside", 3), host=host)
    with pytest.raises(StateError, match=r"'keeper' \(Keeper\) answers differently"):
        compress(network, steps=[TRAIN], data=loaders, silent=True)
    with pytest.raises(StateError, match=r"'keeper' \(Keeper\) answers differently"):
        measure(network, loaders[2], ["accuracy"])


@pytest.mark.parametrize(
    ("declared", "layout", "message"),
    [
        (25, "time first", r"returned \[10, \d, 10\] for 25 time step"),
        (25, "mean", r"declares T=25, but its neuron 'lif' runs 10 times"),
        (10, "batch first", r"returned \[\d, 10, 10\] for 10 time step"),
    ],
)
def test_another_number_of_steps_or_layout_is_told(folder, host, loaders, declared, layout, message):
    output = "averaged" if layout == "mean" else "per_step"
    time = Time("inside", declared, input="static", output=output, settable=False)
    network = declare(Loop(10, layout), time, arguments={"layout": layout}, host=host)
    for work in (
        lambda: compress(network, steps=[TRAIN], data=loaders, silent=True),
        lambda: snncompress.measure(network, loaders[2], ["accuracy"]),
    ):
        with pytest.raises(ModelError, match=message):
            work()


def test_a_batch_of_as_many_samples_as_steps_hides_no_layout(host, loaders):
    time = Time("inside", 10, input="static", settable=False)
    network = declare(Loop(10, "batch first"), time, arguments={"layout": "batch first"}, host=host)
    with pytest.raises(ModelError, match=r"output='per_step': \[T, B, C\]"):
        measure(network, loaders[2].dataset, ["accuracy"], batch_size=10)


def single_precision(pipeline, how, *steps):
    time = {"runner": "multi_step", "T": 2}
    model = {"use": "python", "function": "odd_networks:SinglePrecision", "arguments": {"how": how}, "time": time}
    return {**pipeline, "model": model, "timesteps": None, "steps": [TRAIN, *steps], "measure": ["accuracy"]}


CHANNELS = {"use": "prune.channels", "fraction": 0.5}
PROVING = [
    CHANNELS,
    {"use": "prune.dsp", "fraction": 0.5},
    {"use": "neurons.substitute", "to": "slif", "finetune": {"epochs": 1}},
]


@pytest.mark.parametrize("step", PROVING, ids=lambda step: step["use"])
def test_a_step_that_could_prove_nothing_in_float64_is_refused_before_training(folder, host, pipeline, step):
    with pytest.raises(ProofError, match=rf"step 2 \({step['use']}\) could prove nothing: .*does not run in float64"):
        run(single_precision(pipeline, "float()", step), allow_code=True, silent=True, host=host)
    assert not list((folder / "runs/.store").rglob("training.pt"))


def test_the_cast_that_is_advised_is_proved_in_a_run(folder, host, pipeline):
    record = run(single_precision(pipeline, "advised", CHANNELS), allow_code=True, silent=True, host=host).record
    assert record.steps[1].notes["proofs"]


APPROXIMATE = {"use": "neurons.substitute", "to": "slif", "approximate": True, "finetune": {"epochs": 1}}


@pytest.mark.parametrize(
    "step",
    [{"use": "prune.l1", "fraction": 0.5}, {"use": "lowrank.svd", "rank": 4, "select": "fc1"}, APPROXIMATE],
    ids=lambda step: step["use"],
)
def test_steps_that_prove_nothing_take_any_network(folder, host, pipeline, step):
    record = run(single_precision(pipeline, "float()", step), allow_code=True, silent=True, host=host).record
    assert len(record.steps) == 2
