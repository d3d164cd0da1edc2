"""What `print` and the console show of what users hold: a few lines, never the whole."""

import pytest
import torch
from own_networks import JellyNet

from snncompress import Host, Measurement, Record, Spread, Summary, SummaryValue, Time, declare, measure, run, sweep
from snncompress.record import BudgetRecord, StepRecord

PIPELINE = {
    "version": 1,
    "name": "small",
    "model": {"use": "snntorch.convnet", "channels": [4]},
    "data": {"use": "digits", "size": 8},
    "timesteps": 2,
    "steps": [
        {"use": "train", "epochs": 1, "batch_size": 500},
        {"use": "prune.l1", "fraction": 0.5, "select": "synapse"},
    ],
    "measure": ["parameters", "sparsity"],
    "speed": "reference",
}


def of(value, unit="1"):
    return Measurement(value=value, unit=unit, how="by hand", detail={"long": list(range(1000))})


def test_a_record_in_a_few_lines():
    steps = [StepRecord(index=i, use=use, key="k", reused=False, seconds=1.0, path="p") for i, use in enumerate("ab")]
    record = Record(
        name="mine",
        pipeline={"seed": 3},
        environment={"long": list(range(1000))},
        steps=tuple(steps),
        baseline={"accuracy": of(0.956), "parameters_nonzero": of(162754, "parameters")},
        final={"accuracy": of(0.9761), "parameters_nonzero": of(42707, "parameters"), "energy": of(1234.56, "mJ")},
        budget=(
            BudgetRecord(metric="accuracy", limit="at_least 0.9", value=0.9761, met=True),
            BudgetRecord(metric="sparsity", limit="at_least 0.9", value=0.75, met=False),
        ),
        artifact="runs/mine/final",
    )
    assert str(record).splitlines() == [
        "mine, seed 3: a, b",
        "  accuracy            0.956 ->    0.9761",
        "  parameters_nonzero  162,754 ->  42,707 parameters",
        "  energy                          1,234.6 mJ",
        "budgets met: 1 of 2; sparsity is 0.75, limit at_least 0.9",
    ]
    assert repr(record) == "Record(name='mine', seed=3, artifact='runs/mine/final')"
    assert repr(record.final["accuracy"]) == "Measurement(value=0.9761, unit='1', how='by hand')"
    assert str(record.final["energy"]) == "1,234.6 mJ"


def test_of_many_values_the_first():
    values = {f"value_{number}": of(number) for number in range(30)}
    record = Record(name="m", pipeline={}, environment={}, steps=(), baseline={}, final=values, artifact="")
    assert len(str(record).splitlines()) == 10
    assert str(record).endswith("\n  and 22 more")


def test_a_summary_in_a_few_lines():
    value = SummaryValue(spread=Spread(mean=0.75, std=0.25, n=3, values=(0.5, 0.75, 1.0)), unit="1", how="by hand")
    lone = SummaryValue(spread=Spread(mean=12, std=None, n=1, values=(12,)), unit="mJ", how="by hand")
    summary = Summary(
        name="mine", pipeline={}, environment={}, seeds=(0, 1, 2), runs=(), baseline={}, final={"a": value, "b": lone}
    )
    assert str(summary).splitlines() == ["mine, seeds 0, 1, 2", "  a    0.75 ± 0.25", "  b    12 mJ"]
    assert repr(summary) == "Summary(name='mine', seeds=(0, 1, 2))"


@pytest.fixture(scope="module")
def host():
    return Host.from_environment()


def test_a_network_in_a_few_lines(host):
    network = declare(JellyNet(), Time("multi_step", 4), host=host)  # 64 x 32 + 32, a norm of 2 x 32, 32 x 10 + 10
    masks = {"fc1.weight": torch.arange(32 * 64).reshape(32, 64) % 4 > 0}
    masked = network.with_masks(masks).with_snapshot("init")
    assert str(masked).splitlines() == [
        "JellyNet (own_networks:JellyNet), 2,474 parameters",
        "  time: runner multi_step, T 4, input sequence, output per_step",
        "  neurons: 1 LIFNode (spikingjelly)",
        "  masks: 512 of 2,048 weights in 1 tensor are held at zero",
        "  snapshots: init",
    ]
    assert repr(network) == "Network(JellyNet, 2474 parameters, T=4)"


def test_what_runs_return(host, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = run(PIPELINE, host=host, silent=True)
    assert str(result) == f"{result.record}\nin runs/small"
    assert repr(result) == "Result(name='small', folder='runs/small')"
    assert str(result.plan).splitlines()[0] == "small, seed 0"
    assert [line.split(": ")[0] for line in str(result.plan).splitlines()[1:]] == ["  1. train", "  2. prune.l1"]
    several = run(PIPELINE | {"seeds": [0, 1]}, host=host, silent=True)
    assert str(several) == f"{several.summary}\nin runs/small-2"
    assert repr(several) == "Replicates(name='small', seeds=(0, 1), folder='runs/small-2')"
    swept = sweep(PIPELINE, {"steps.1.fraction": [0.5, 0.75]}, host=host, silent=True)
    first, *rows, last = str(swept).splitlines()
    assert first == f"small: {len(rows)} runs, compared with {swept.comparison.baseline!r}"
    assert last == "in runs/small-sweep"
    assert {"fraction=0.5", "fraction=0.75"} <= {row.split()[0] for row in rows}
    assert repr(swept) == "Swept(name='small', combinations=2, folder='runs/small-sweep')"
    measured = measure(result.network, {"use": "digits", "size": 8}, ["parameters"])
    for thing in (result, several, swept, swept.comparison, result.network, result.plan, result.record, host, measured):
        assert len(repr([thing])) < 500
        assert len(str(thing).splitlines()) < 15
