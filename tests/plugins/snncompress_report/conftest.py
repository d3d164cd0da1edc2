"""A small network's record, written by hand: two samples, four time steps, one layer that falls silent."""

import pytest

from snncompress import (
    Activity,
    Comparison,
    EnergyRanking,
    Entry,
    LayerActivity,
    Measurement,
    OperationCounts,
    Record,
    Row,
    Spread,
    Summary,
    SummaryValue,
    Verdict,
)
from snncompress.record import BudgetRecord, StepRecord, SummaryBudget


def counts(kept):
    """Return the rows of a convolution, a norm, neurons, a layer with ``kept`` of 200 weights, attention, a head."""
    rows = (
        Row(
            path="stem.conv",
            operation="conv2d",
            kind="synapse",
            operands=("real",),
            dense=(1000,) * 4,
            pairs=(600,) * 4,
            nonzero=(1200,),
            sizes=(2000,),
            weights=50,
            weights_nonzero=50,
            is_first=True,
            repeats=True,
        ),
        Row(path="stem.norm", operation="batch_norm", kind="norm", operands=("real",), dense=(100,) * 4),
        Row(path="stem.lif", operation="neuron", kind="neuron", dense=(100,) * 4),
        Row(path="stem.pool", operation="max_pool2d", kind="pool", operands=("integers",), dense=(25,) * 4),
        Row(
            path="block.fc",
            operation="linear",
            kind="synapse",
            operands=("spikes",),
            dense=(2000,) * 4,
            fanout=(300, 320, 340, 360),
            pairs=tuple(kept * step for step in (1, 1, 2, 2)),
            nonzero=(132,),
            sizes=(800,),
            weights=200,
            weights_nonzero=kept,
        ),
        Row(
            path="block.attention",
            operation="matmul",
            kind="attention",
            operands=("spikes", "spikes"),
            dense=(500,) * 4,
            pairs=(40,) * 4,
            nonzero=(100, 120),
            sizes=(400, 400),
        ),
        Row(path="block.softmax", operation="softmax", kind="softmax", operands=("integers",), dense=(75,) * 4),
        Row(
            path="head",
            operation="linear",
            kind="synapse",
            operands=("integers",),
            dense=(500,),
            pairs=(120,),
            nonzero=(12,),
            sizes=(50,),
            weights=100,
            weights_nonzero=kept // 2,
        ),
    )
    return OperationCounts(samples=2, timesteps=4, rows=rows)


def activity(second):
    """Return two layers of 20 neurons; the second one fires ``second`` times at each step."""
    shared = {"kind": "LIFNode", "neurons": 20, "outputs": (40,) * 4}
    return Activity(
        samples=2,
        timesteps=4,
        layers=(
            LayerActivity(
                path="stem.lif", spikes=(8, 10, 12, 14), dead=1, saturated=2, raster=("0110", "0000", "1111"), **shared
            ),
            LayerActivity(path="block.lif", spikes=(second,) * 4, dead=17, saturated=0, raster=("0001",), **shared),
        ),
    )


def measurement(value, unit="1", how="by hand", detail=None):
    return Measurement(value=value, unit=unit, how=how, detail=detail)


def energies(**mj):
    models = [
        {"name": name, "mj": value, "parts": {"synapses": value * 0.75, "attention": value * 0.25}, "layers": {"block.fc": value * 0.75, "block.attention": value * 0.25}, "scope": "compute only", "source": f"a paper on {name}"}
        for name, value in mj.items()
    ]  # fmt: skip
    return {"models": models}


def side(kept, second, accuracies, ratios, **mj):
    counted, active = counts(kept), activity(second)
    return {
        "accuracy": measurement(accuracies[-1], how="of 500 test samples", detail={"by_time": accuracies}),
        "parameters": measurement(400, "parameters"),
        "parameters_nonzero": measurement(100 + kept + kept // 2, "parameters", "parameters that are not zero"),
        "sparsity": measurement(1 - (50 + kept * 1.5) / 350),
        "bytes": measurement(1600 + kept, "bytes"),
        "synops": measurement(counted.synops, "operations", detail=counted.model_dump(mode="json")),
        "firing_rate": measurement(
            active.rate, "spikes per neuron and step", detail=active.model_dump(mode="json")
        ),
        "energy": measurement(next(iter(mj.values())), "mJ", detail=energies(**mj)),
        "latency_ratio": measurement(
            sum(ratios) / len(ratios), detail={"ratios": ratios, "milliseconds": ratios, "baseline_milliseconds": [1.0]}
        ),
    }  # fmt: skip


TRAINING = {
    "train": {
        "epochs": [
            {"epoch": 1, "loss": 2.25, "validation_accuracy": 0.25, "seconds": 1.0},
            {"epoch": 2, "loss": 1.125, "validation_accuracy": 0.625, "seconds": 1.0},
        ],
        "seconds": 2.0,
    }
}
PIPELINE = {
    "version": 1,
    "name": "tiny",
    "model": {"use": "spikingjelly.spikformer", "embed_dims": 32},
    "data": {"use": "digits", "size": 16},
    "seed": 3,
    "steps": [
        {"use": "train", "epochs": 2, "lr": 0.004, "loss": None},
        {"use": "prune.l1", "fraction": 0.9},
    ],
    "measure": [{"use": "accuracy"}],
}


def full_record(**changes):
    steps = (
        StepRecord(index=0, use="train", key="aaaa", reused=True, seconds=61.26, path="float32 cpu", notes={"training": TRAINING}),
        StepRecord(
            index=1,
            use="prune.l1",
            key="bbbb",
            reused=False,
            seconds=3.0,
            path="float32 cpu",
            notes={"rounds": [{"round": 1, "remaining": 180}, {"round": 2, "remaining": 20}]},
        ),
    )  # fmt: skip
    whole = {
        "name": "tiny",
        "pipeline": PIPELINE,
        "environment": {
            "python": "3.11.7",
            "versions": {"torch": "2.6.0"},
            "machine": {"system": "Linux", "cores": 2},
            "device": "cpu",
            "git": None,
        },
        "steps": steps,
        "baseline": side(200, 10, [0.5, 0.75, 0.875, 0.9375], [1.0, 1.0], plain=0.002, other=0.004),
        "final": side(20, 0, [0.25, 0.5, 0.75, 0.875], [0.96, 1.04], plain=0.001, other=0.005),
        "budget": (
            BudgetRecord(metric="accuracy", limit="drop_at_most 0.01", value=0.875, met=False),
            BudgetRecord(metric="sparsity", limit="at_least 0.7", value=0.77, met=True),
        ),
        "artifact": "runs/tiny/final",
    }
    return Record(**{**whole, **changes})


@pytest.fixture(scope="session")
def record():
    return full_record()


@pytest.fixture
def change():
    """Return a function that makes the record with other fields."""
    return full_record


def spread(*values):
    """Return the mean and the sample standard deviation of one value, or of two that lie around their mean."""
    mean = sum(values) / len(values)
    std = abs(values[0] - values[-1]) / 2**0.5 if len(values) > 1 else None
    return Spread(mean=mean, std=std, n=len(values), values=values)


def value(*values, unit="1", better="higher"):
    return SummaryValue(spread=spread(*values), unit=unit, how="of 500 test samples", better=better)


@pytest.fixture
def summary():
    return Summary(
        name="tiny",
        pipeline={**PIPELINE, "seeds": [0, 1]},
        environment={"python": "3.11.7"},
        seeds=(0, 1),
        runs=("seed-0", "seed 1"),
        baseline={"accuracy": value(0.75, 0.875)},
        final={"accuracy": value(0.5, 0.75), "energy": value(0.25, 0.75, unit="mJ")},
        budget=(SummaryBudget(metric="accuracy", limit="drop_at_most 0.1", value=0.625, met=False, missed_by=(0,)),),
    )


@pytest.fixture
def comparison():
    def entry(name, accuracies, synops, **more):
        values = {"accuracy": value(*accuracies), "synops": value(*synops, unit="operations", better="lower")}
        return Entry(name=name, folder=f"runs/{name}", seeds=(0, 1), values=values, **more)

    def verdict(name, metric, outcome, why, difference):
        return Verdict(
            metric=metric,
            entry=name,
            against="dense",
            outcome=outcome,
            why=why,
            difference=difference,
            standard_error=0.0625,
            interval=(difference - 0.25, difference + 0.25),
            p=0.0276446 if outcome in ("better", "worse") else 0.6664,
            pairs=3,
            points=100 * difference if metric == "accuracy" else None,
            images=500 * difference if metric == "accuracy" else None,
        )

    energies = {"plain": spread(0.5, 1.0), "other": spread(2.0, 2.5)}
    return Comparison(
        entries=(
            entry("dense", (0.875, 0.9375), (4000, 5000)),
            entry(
                "three quarters", (0.875, 0.875), (1000, 1500), energies=energies, settings={"steps.1.fraction": 0.75}
            ),
            entry("nearly all", (0.25, 0.375), (1250, 1750)),
            Entry(name="broken", folder="runs/broken", failed="the loss is nan"),
        ),
        baseline="dense",
        shared=("accuracy", "synops"),
        verdicts=(
            verdict("three quarters", "accuracy", "no difference seen", "p = 0.666, 3 pairs", -0.03125),
            verdict("three quarters", "synops", "better", "p = 0.0276, 3 pairs", -3250.0),
            verdict("nearly all", "accuracy", "worse", "p = 0.0276, 3 pairs", -0.59375),
        ),
        quality="accuracy",
        cost="synops",
        front=("dense", "three quarters"),
        energy=(
            EnergyRanking(entry="three quarters", against="dense", ratios={"plain": 0.5, "other": 1.25}, agree=False),
        ),
        notes=("broken failed: the loss is nan",),
    )
