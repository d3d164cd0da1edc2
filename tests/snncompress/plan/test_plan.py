import json
import struct
import subprocess
import sys
import zipfile
from typing import Literal

import numpy as np
import pytest

from snncompress import Host, Inputs, PipelineError, Settings, hookimpl, run
from snncompress.components import is_costly
from snncompress.plan import is_finished
from snncompress.store import Store

JELLY = {"use": "python", "function": "own_networks:JellyNet"}


@pytest.fixture(scope="module")
def finished(tiny, host, tmp_path_factory):
    """The store of a run of the tiny pipeline."""
    folder = tmp_path_factory.mktemp("finished")
    run(tiny(), output=folder / "run", store=folder / "store", silent=True, host=host)
    return folder / "store"


def test_an_empty_store_has_everything_to_do(plan_of, tiny):
    plan = plan_of(tiny())
    assert [(step.reused, step.changed, step.why) for step in plan.steps] == [(False, (), "not done yet")] * 2
    assert plan.pipeline.model.num_classes == 10
    assert plan.to_json()["inputs"] == {"shape": [1, 8, 8], "num_classes": 10, "kind": "static"}
    assert json.loads(json.dumps(plan.to_json())) == plan.to_json()


def test_a_warning_is_told_and_stops_nothing(plan_of, tiny):
    steps = [{"use": "train", "epochs": 1}, {"use": "neurons.substitute", "to": "slif"}]
    plan = plan_of(tiny({"steps": steps}))
    (line,) = plan.warnings
    assert "no step trains behind this one" in line
    assert plan.to_json()["warnings"] == [line]
    assert plan_of(tiny({"steps": [*steps, {"use": "train", "epochs": 1}]})).warnings == ()


def test_planning_writes_nothing(plan_of, tiny, tmp_path):
    plan_of(tiny())
    assert list(tmp_path.iterdir()) == []


def test_a_finished_pipeline_is_reused_whole(plan_of, tiny, finished):
    plan = plan_of(tiny(), store=finished)
    assert [step.why for step in plan.steps] == ["finished earlier with the same key"] * 2
    assert is_finished(plan, Store(finished))


def test_a_missing_measurement_is_not_finished(plan_of, tiny, finished):
    plan = plan_of(tiny({"measure": ["size"]}), store=finished)
    assert all(step.reused for step in plan.steps)
    assert not is_finished(plan, Store(finished))


@pytest.mark.parametrize(
    ("changes", "whys"),
    [
        ({"seed": 1}, ["changed: seed", "changed: seed"]),
        ({"timesteps": 3}, ["changed: model, timesteps", "changed: model, timesteps"]),
        ({"encode": "poisson"}, ["changed: encode", "changed: encode"]),
        ({"data": {"use": "digits", "size": 16}}, ["changed: data, model", "changed: data, model"]),
        ({"model.depths": 2}, ["changed: model", "changed: model"]),
        ({"steps.0.epochs": 2}, ["changed: setting epochs", "changed: an earlier step"]),
        (
            {"steps.0.lr": 0.5, "steps.0.loss": "tet"},
            ["changed: setting loss, setting lr", "changed: an earlier step"],
        ),
        ({"steps.1.fraction": 0.25}, ["finished earlier with the same key", "changed: setting fraction"]),
        (
            {"steps.0.lr": 0.5, "steps.1.fraction": 0.25},
            ["changed: setting lr", "changed: an earlier step, setting fraction"],
        ),
        (
            {"steps.1": {"use": "lowrank.svd", "rank": 2}},
            ["finished earlier with the same key", "changed: setting use, versions"],
        ),
    ],
    ids=str,
)
def test_the_plan_names_what_changed(plan_of, tiny, finished, changes, whys):
    assert [step.why for step in plan_of(tiny(changes), store=finished).steps] == whys


def test_another_pipeline_reuses_the_steps_that_it_shares(plan_of, tiny, finished):
    plan = plan_of(tiny({"name": "other", "steps.1.fraction": 0.75}), store=finished)
    assert [step.reused for step in plan.steps] == [True, False]
    assert plan.steps[1].why == "not done yet"


def test_planning_a_finished_pipeline_imports_no_library(tiny, finished):
    program = (
        "import json, sys\nfrom pathlib import Path\nfrom snncompress import Host\n"
        "from snncompress.pipeline import pipeline_from\nfrom snncompress.plan import make_plan\n"
        "from snncompress.store import Store\n"
        f"host = Host.from_environment()\nsource = pipeline_from(json.loads({json.dumps(tiny())!r}), host)\n"
        f"plan = make_plan(source.pipeline, host, Store(Path({str(finished)!r})))\n"
        "assert all(step.reused for step in plan.steps), [step.why for step in plan.steps]\n"
        "heavy = {'torch', 'timm', 'spikingjelly', 'snntorch', 'sklearn', 'numpy'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_baseline_stands_before_the_first_step_that_compresses(plan_of, tiny):
    assert plan_of(tiny()).baseline_index == 1
    assert plan_of(tiny()).measured_states == (1, 2)


def test_the_baseline_of_a_pipeline_that_only_trains_stands_before_its_first_step(plan_of, tiny):
    plan = plan_of(tiny({"model": JELLY, "steps": [{"use": "train", "epochs": 1}] * 2}), allow_code=True)
    assert plan.baseline_index == 0
    assert plan.measured_states == (0, 1, 2)


EVERY = ["accuracy", "parameters", "sparsity", "size", "spikes", "synops", "energy", "latency"]
CHEAP = ["accuracy", "parameters", "sparsity", "size"]
TRAIN, PRUNE = {"use": "train", "epochs": 1}, {"use": "prune.l1", "fraction": 0.5}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, [CHEAP, EVERY, CHEAP, EVERY]),
        ({"measure_steps": "cheap"}, [CHEAP, EVERY, CHEAP, EVERY]),
        ({"measure_steps": "all"}, [EVERY[:-1], EVERY, EVERY, EVERY]),
    ],
    ids=str,
)
def test_what_takes_long_is_measured_on_baseline_and_result(plan_of, tiny, changes, expected):
    plan = plan_of(tiny({"steps": [TRAIN, TRAIN, PRUNE, PRUNE], "measure": EVERY, **changes}))
    assert plan.baseline_index == 2
    assert [list(plan.measured(index)) for index in plan.measured_states] == expected


def test_what_is_cheap_is_said_by_the_metric_and_not_by_its_name(host):
    metrics = host.catalogue["metrics"]
    assert [name for name, metric in metrics.items() if not is_costly(metric())] == CHEAP
    assert is_costly(metrics["accuracy"](by_time=True)), "it may take a pass for each number of steps"


@pytest.mark.parametrize(
    ("said", "expected"),
    [({}, False), ({"needs": frozenset()}, False), ({"needs": frozenset({"counts"})}, True), ({"compares": True}, True),
     ({"compares": False}, False), ({"costly": True}, True)],
    ids=str,
)  # fmt: skip
def test_a_metric_of_a_plugin_says_itself_whether_it_takes_long(said, expected):
    assert is_costly(type("Own", (), {"use": "own", **said})()) is expected


def test_what_is_measured_after_steps_changes_no_key(plan_of, tiny):
    kept, every = (plan_of(tiny({"measure": EVERY, "measure_steps": which})) for which in ("cheap", "all"))
    assert kept.keys == every.keys
    assert kept.measured(2) == every.measured(2)


def problems_of(plan_of, data, **settings):
    with pytest.raises(PipelineError) as caught:
        plan_of(data, **settings)
    return list(caught.value.lines)


def test_every_problem_of_every_step_is_told_with_its_place(plan_of, tiny):
    steps = [
        {"use": "prune.l1", "fraction": 0.5, "select": "blocks.*.mpl"},
        {"use": "train", "epochs": 2, "snapshots": [3], "loss": "membrane_cross_entropy"},
        {"use": "prune.lottery", "rounds": 1, "rewind_to": "epoch-1"},
    ]
    assert problems_of(plan_of, tiny({"steps": steps})) == [
        (
            "pipeline: steps.0.use: needs trained weights, which no earlier step provides; "
            "put a train step before it, or give the model a checkpoint"
        ),
        "pipeline: steps.0.select: selector 'blocks.*.mpl' matches nothing; near: blocks.0.mlp, blocks.0.mlp.fc2, blocks.0.mlp.fc1",
        "pipeline: steps.1.snapshots: epoch 3 is never reached; choose from 0 to 2",
        (
            "pipeline: steps.1.loss: this network records no membranes; "
            "choose another loss, or declare the network's `records`"
        ),
        (
            "pipeline: steps.2.rewind_to: needs the snapshot 'epoch-1', which no earlier step provides; "
            "add `snapshots: [1]` to an earlier train step"
        ),
    ]


def test_what_a_step_provides_serves_those_behind_it_alone(plan_of, tiny):
    lottery = {"use": "prune.lottery", "rounds": 1, "rewind_to": "epoch-1"}
    train = {"use": "train", "epochs": 2, "snapshots": [1]}
    assert plan_of(tiny({"steps": [train, lottery]})).steps[1].strategy.use == "prune.lottery"
    (line, *_) = problems_of(plan_of, tiny({"steps": [lottery, train]}))
    assert line.startswith("pipeline: steps.0.use: needs trained weights")
    assert plan_of(tiny({"steps": [train, {"use": "prune.l1", "fraction": 0.5}, {"use": "prune.reinitialize"}]}))


def test_a_checkpoint_counts_as_training(plan_of, tiny, checkpoint):
    model = {**JELLY, "checkpoint": str(checkpoint)}
    steps = [{"use": "prune.l1", "fraction": 0.5}]
    assert plan_of(tiny({"model": model, "steps": steps}), allow_code=True)
    (line,) = problems_of(plan_of, tiny({"model": JELLY, "steps": steps}), allow_code=True)
    assert "needs trained weights" in line


def test_a_missing_checkpoint_is_a_located_line(plan_of, tiny, tmp_path):
    missing = str(tmp_path / "none.pt")
    lines = problems_of(plan_of, tiny({"model": {**JELLY, "checkpoint": missing}}), allow_code=True)
    assert lines == [f"pipeline: model: {missing!r} does not exist; give the path of trained weights"]
    lines = problems_of(plan_of, tiny({"model": f"file:{missing}"}))
    assert lines == [f"pipeline: model: {missing!r} does not exist; give the path of trained weights"]


def test_code_of_ones_own_is_asked_for_before_it_runs(plan_of, tiny):
    data = tiny({"model": {"use": "python", "function": "not_there:build"}, "steps.0.loss": "not_there:loss"})
    assert problems_of(plan_of, data) == [
        "pipeline: model: 'python' runs your own code; allow it with --allow-code",
        "pipeline: steps.0: 'not_there:loss' runs your own code; allow it with --allow-code",
    ]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"model": {"use": "python", "function": "not_there:build"}}, "pipeline: model: 'not_there:build': module"),
        ({"model": {**JELLY, "arguments": {"hiden": 3}}}, "pipeline: model: building the model 'python' failed: "),
        ({"model.image_size": [16, 16]}, "pipeline: model: image_size of 'spikingjelly.spikformer' is [16, 16], but"),
        (
            {"data": {"use": "numpy", "file": "none.npz", "num_classes": 10}},
            "pipeline: data: file: 'none.npz' does not",
        ),
        (
            {"data": {"use": "python", "function": "not_there:data", "shape": [1, 8, 8], "num_classes": 10}},
            "pipeline: data: function: ",
        ),
        (
            {"model": {**JELLY, "time": {"runner": "multi_step", "T": 4, "settable": False}}},
            "pipeline: timesteps: the number",
        ),
    ],
    ids=str,
)
def test_what_cannot_be_opened_is_one_located_line(plan_of, tiny, changes, expected):
    (line,) = problems_of(plan_of, tiny(changes), allow_code=True)
    assert line.startswith(expected)
    assert "\n" not in line


def test_a_network_that_does_not_run_on_the_data_is_one_located_line(plan_of, tiny):
    steps = [{"use": "train", "epochs": 1}, {"use": "prune.dsp", "fraction": 0.5}]
    model = {**JELLY, "arguments": {"features": 63}}
    (line,) = problems_of(plan_of, tiny({"model": model, "steps": steps}), allow_code=True)
    assert line.startswith("pipeline: model: running the network on [2, 2, 1, 8, 8] failed: ")
    assert "cannot be multiplied" in line


def test_an_encoding_that_the_model_cannot_take_is_found(plan_of, tiny):
    model = {
        "use": "python",
        "function": "own_networks:LoopNet",
        "time": {
            "runner": "inside",
            "T": 2,
            "input": "static",
            "attribute": "num_steps",
            "records": ["output", "membranes"],
        },
    }
    assert plan_of(tiny({"model": model}), allow_code=True)
    (line,) = problems_of(plan_of, tiny({"model": model, "encode": "poisson"}), allow_code=True)
    assert line.startswith(
        "pipeline: encode: the model takes a still image, not what 'poisson' gives; use encode: direct"
    )


def test_optimisers_and_losses_that_do_not_exist_are_found_before_anything_runs(plan_of, tiny):
    steps = [
        {"use": "train", "epochs": 1, "optimizer": "adamv"},
        {"use": "prune.l1", "fraction": 0.5, "finetune": {"epochs": 1, "momentum": 0.9, "optimizer": "adamw"}},
        {"use": "train", "epochs": 1, "optimizer": "sgd", "momentum": 0.9, "loss": "own_networks:sumed_loss"},
        {"use": "train", "epochs": 1, "optimizer": "lamb", "loss": "own_networks:summed_loss"},
    ]
    lines = problems_of(plan_of, tiny({"steps": steps}), allow_code=True)
    assert lines[0].startswith("pipeline: steps.0.optimizer: timm has no optimizer 'adamv'; did you mean 'adam")
    assert lines[1:] == [
        "pipeline: steps.1.finetune.momentum: optimizer 'adamw' has no momentum; leave it out, or choose sgd",
        (
            "pipeline: steps.2.loss: 'own_networks:sumed_loss': module 'own_networks' has no 'sumed_loss'; "
            "did you mean 'summed_loss'?"
        ),
    ]


class Unreadable(Settings):
    """A data set that says what it holds and that cannot be loaded."""

    use: Literal["unreadable"] = "unreadable"

    def inputs(self):
        return Inputs((1, 8, 8), 10)

    def fingerprint(self):
        return "1"

    def load(self, seed):
        raise AssertionError(f"a plan read data with seed {seed}")


class Provider:
    @hookimpl
    def snncompress_datasets(self):
        return [Unreadable]


def test_no_sample_is_read(plan_of, tiny):
    own = Host.from_environment()
    own.register(Provider(), name="provider")
    assert own.faults == []
    plan = plan_of(tiny({"data": "unreadable"}), with_host=own)
    assert len(plan.steps) == 2


def test_an_archive_with_garbage_behind_its_headers_plans(plan_of, tiny, tmp_path):
    file = tmp_path / "garbage.npz"
    with zipfile.ZipFile(file, "w") as archive:
        for split in ("train", "validation", "test"):
            archive.writestr(f"x_{split}.npy", header((50, 1, 8, 8), "<f4") + b"garbage")
            archive.writestr(f"y_{split}.npy", header((50,), "<i8") + b"rubbish")
    data = {"use": "numpy", "file": str(file), "num_classes": 10}
    assert plan_of(tiny({"data": data})).inputs.shape == (1, 8, 8)
    with pytest.raises(ValueError, match=r"."):
        np.load(file)["x_train"]


def header(shape, dtype):
    text = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text


def test_tables_with_garbage_before_their_footer_plan(plan_of, tiny, tmp_path):
    import pyarrow as pa
    from pyarrow import parquet

    rows = pa.table({"image": [{"bytes": bytes(200), "path": str(row)} for row in range(20)], "label": list(range(20))})
    for name in ("train", "test"):
        parquet.write_table(rows, tmp_path / name, compression="none")
        content = bytearray((tmp_path / name).read_bytes())
        footer = struct.unpack("<I", content[-8:-4])[0]
        content[4 : len(content) - 8 - footer] = b"\xff" * (len(content) - 12 - footer)
        (tmp_path / name).write_bytes(bytes(content))
    files = {name: str(tmp_path / name) for name in ("train", "test")}
    plan = plan_of(tiny({"data": {"use": "parquet", **files, "size": 8, "channels": 1, "num_classes": 10}}))
    assert plan.inputs.shape == (1, 8, 8)
    with pytest.raises(OSError, match=r"."):
        parquet.read_table(tmp_path / "train")


def test_a_checkpoint_full_of_garbage_plans(plan_of, tiny, tmp_path):
    file = tmp_path / "weights.pt"
    file.write_bytes(b"no weights at all")
    data = tiny({"model": {**JELLY, "checkpoint": str(file)}, "steps": [{"use": "prune.l1", "fraction": 0.5}]})
    assert plan_of(data, allow_code=True).steps[0].why == "not done yet"


AVERAGED = """
from own_networks import JellyNet

from snncompress import Time


class Averaged(JellyNet):
    def forward(self, x_TBCHW):
        return super().forward(x_TBCHW).mean(0)


def build():
    return Averaged(), Time("multi_step", 3, settable=False, output="averaged")
"""


def test_a_metric_that_the_network_cannot_serve_is_told_by_the_plan(plan_of, tiny, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "averaged_network.py").write_text(AVERAGED, encoding="utf-8")
    model = {"use": "python", "function": "averaged_network:build"}
    data = tiny({"model": model, "timesteps": None, "data": {"use": "digits", "size": 8}})
    data["measure"] = ["sparsity", {"use": "accuracy", "by_time": True}]
    with pytest.raises(PipelineError) as told:
        plan_of(data, allow_code=True)
    (line,) = told.value.lines
    assert line.startswith("pipeline: measure.1.by_time: this network's output is averaged over time, and its number ")
    data["measure"] = ["accuracy"]
    assert len(plan_of(data, allow_code=True).steps) == 2


def test_more_steps_than_norms_are_refused_before_anything_runs(plan_of, tiny):
    time = {"runner": "inside", "T": 8, "input": "static", "attribute": "num_steps"}
    model = {"use": "python", "function": "channel_networks:NormEachStep", "arguments": {"num_steps": 8}, "time": time}
    data = tiny({"model": model, "data": {"use": "digits", "size": 8}, "encode": {"use": "direct"}, "timesteps": 10})
    assert problems_of(plan_of, data, allow_code=True) == [
        "pipeline: timesteps: the network runs 10 time steps, but 'norms' holds parts for 8 of them; set 8 time steps, or build it for 10"
    ]
    assert plan_of({**data, "timesteps": 8}, allow_code=True).steps
