import json
import os
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import load_file

from snncompress import InputError, PipelineError, StepError, load, run
from snncompress.pipeline import pipeline_from
from snncompress.plan import make_plan
from snncompress.store import Store

TESTS = Path(__file__).parents[2]
TOLD = {"capture_output": True, "text": True}


def weights(folder):
    return load_file(Path(folder) / "final" / "weights.safetensors")


def same(first, second):
    return set(first) == set(second) and all(torch.equal(first[name], second[name]) for name in first)


def test_a_run_leaves_the_files_that_the_design_names(folder, pipeline, host):
    result = run(pipeline, allow_code=True, silent=True, host=host)
    assert sorted(file.name for file in result.folder.iterdir()) == [
        "final",
        "pipeline.yaml",
        "plan.json",
        "record.json",
        "report.txt",
    ]
    record = json.loads((result.folder / "record.json").read_text())
    assert [step["use"] for step in record["steps"]] == ["train", "prune.lottery", "prune.l1"]
    assert record["final"]["sparsity"]["value"] == result.record.final["sparsity"].value
    assert record["environment"]["versions"]["torch"] == version("torch")
    assert record["masked"] is True
    assert yaml.safe_load((result.folder / "pipeline.yaml").read_text())["name"] == "small"


def test_the_baseline_is_the_network_before_the_first_step_that_compresses(folder, pipeline, host):
    record = run(pipeline, allow_code=True, silent=True, host=host).record
    assert record.baseline == record.steps[0].measurements
    assert record.baseline["sparsity"].value == 0
    assert record.final == record.steps[2].measurements


def test_what_stands_before_the_baseline_is_compared_with_nothing(folder, pipeline, host):
    """There the network that latency is compared with has yet to be made."""
    train = pipeline["steps"][0]
    pipeline["steps"] = [train, train, {"use": "prune.l1", "fraction": 0.5}]
    pipeline["measure"], pipeline["report"] = ["accuracy", "latency"], ["text", "html"]
    pipeline["measure_steps"] = "all"
    record = run(pipeline, allow_code=True, silent=True, host=host).record
    assert [sorted(step.measurements) for step in record.steps] == [
        ["accuracy"],
        ["accuracy", "latency_ms", "latency_ratio"],
        ["accuracy", "latency_ms", "latency_ratio"],
    ]
    assert record.baseline == record.steps[1].measurements


def test_the_baseline_of_a_pipeline_that_only_trains_is_the_untrained_network(folder, pipeline, host, capfd):
    pipeline["steps"] = [{"use": "train", "epochs": 3, "lr": 0.01}]
    pipeline["measure"] = ["accuracy", "latency"]
    pipeline["budget"] = [{"metric": "accuracy", "drop_at_most": 0}]
    pipeline["report"] = ["text", "html"]
    record = run(pipeline, allow_code=True, host=host).record
    assert record.baseline["accuracy"].value < 0.3
    assert record.final["accuracy"].value > 0.6
    assert record.baseline["latency_ratio"].value is not None
    assert record.budgets_met
    told = capfd.readouterr().err.splitlines()
    assert told.index("  measuring accuracy, latency on 500 test samples") < told.index(
        "step 1 of 1: train: not done yet"
    )


@pytest.fixture
def passes(monkeypatch):
    """What each pass over the test split observed."""
    from snncompress.measure import bench

    found, observe = [], bench.observe

    def seen(network, one, needs, *rest):
        found.append(set(needs))
        return observe(network, one, needs, *rest)

    monkeypatch.setattr(bench, "observe", seen)
    return found


COUNTING = {"counts", "activity"}


def test_between_baseline_and_result_one_plain_pass_measures(folder, pipeline, host, passes):
    pipeline["steps"].append({"use": "prune.l1", "fraction": 0.5})
    pipeline["measure"] = ["accuracy", "sparsity", "spikes", "synops", "energy"]
    record = run(pipeline, allow_code=True, silent=True, host=host).record
    assert passes == [COUNTING, set(), set(), COUNTING]  # after train, lottery, and twice prune.l1
    assert [sorted(step.measurements)[:2] for step in record.steps] == [
        ["accuracy", "attention_ops"],
        ["accuracy", "sparsity"],
        ["accuracy", "sparsity"],
        ["accuracy", "attention_ops"],
    ]
    pipeline["measure_steps"] = "all"
    every = run(pipeline, allow_code=True, silent=True, host=host).record
    assert passes[4:] == [COUNTING, COUNTING]  # of the two in between; no step is done again
    assert [step.reused for step in every.steps] == [True] * 4
    assert (every.baseline, every.final) == (record.baseline, record.final)
    assert {"synops", "energy", "firing_rate"} <= set(every.steps[1].measurements)
    assert all(
        every.steps[index].measurements.items() >= step.measurements.items() for index, step in enumerate(record.steps)
    )


def test_a_report_says_why_a_value_is_missing_behind_a_step(folder, pipeline, host):
    pipeline["measure"], pipeline["report"] = ["accuracy", "spikes"], ["text", "html"]
    result = run(pipeline, allow_code=True, silent=True, host=host)
    lines = (result.folder / "report.txt").read_text().splitlines()
    start = next(index for index, line in enumerate(lines) if line.startswith("step  use"))
    rates = [line.split()[-1] for line in lines[start + 2 : start + 5]]
    assert rates[1] == "-"
    assert all(float(rate) > 0 for rate in (rates[0], rates[2]))
    assert any("`measure_steps: all` takes them after every step" in line for line in lines)
    assert "measure_steps: all" in (result.folder / "report.html").read_text()


def test_running_again_reuses_every_step(folder, pipeline, host):
    first = run(pipeline, allow_code=True, silent=True, host=host)
    kept = weights(first.folder)
    started = time.monotonic()
    again = run(pipeline, allow_code=True, silent=True, host=host)
    assert time.monotonic() - started < 5
    assert [step.reused for step in again.record.steps] == [True, True, True]
    assert same(weights(again.folder), kept)
    assert again.record.final == first.record.final


COMPUTING = {"spikingjelly", "snntorch", "timm", "torch", "torchvision", "accelerate", "sklearn", "scipy", "pyarrow"}


@pytest.mark.parametrize(
    ("report", "drawing"), [("text", {"numpy", "matplotlib", "jinja2", "PIL"}), ("html", {"matplotlib.pyplot"})]
)
def test_a_finished_run_imports_nothing_that_computes(folder, pipeline, host, report, drawing):
    """Also not when everything but the process is the same; and nothing that draws where nothing is drawn."""
    pipeline["model"] = {"use": "spikingjelly.spikformer", "embed_dims": 32, "depths": 1, "num_heads": 2}
    pipeline["data"] = {"use": "digits", "size": 8}
    pipeline["steps"] = [{"use": "train", "epochs": 1}]
    pipeline["report"] = [report]
    (folder / "small.yaml").write_text(yaml.safe_dump(pipeline))
    program = (
        "import json, sys\n"
        "from snncompress.cli import main\n"
        "main(['run', 'small.yaml'], standalone_mode=False)\n"
        "print(json.dumps(sorted(sys.modules)))\n"
    )
    first, again = (
        set(json.loads(subprocess.run([sys.executable, "-c", program], check=True, **TOLD).stdout.splitlines()[-1]))
        for _ in range(2)
    )
    assert {"spikingjelly", "torch", "timm"} <= first
    assert not again & (COMPUTING | drawing)


def test_a_change_of_the_last_step_redoes_that_step_only(folder, pipeline, host):
    run(pipeline, allow_code=True, silent=True, host=host)
    pipeline["steps"][2]["fraction"] = 0.25
    source = pipeline_from(pipeline, host)
    plan = make_plan(source.pipeline, host, Store(Path("runs/.store")), allow_code=True)
    assert [step.reused for step in plan.steps] == [True, True, False]
    assert plan.steps[2].why == "changed: setting fraction"
    record = run(pipeline, allow_code=True, silent=True, host=host).record
    assert [step.reused for step in record.steps] == [True, True, False]


def test_pipelines_that_differ_in_a_late_step_share_the_early_ones(folder, pipeline, host):
    run(pipeline, allow_code=True, silent=True, host=host)
    pipeline["name"] = "other"
    pipeline["steps"][1]["rounds"] = 1
    record = run(pipeline, allow_code=True, silent=True, host=host).record
    assert [step.reused for step in record.steps] == [True, False, False]


def test_another_seed_changes_everything(folder, pipeline, host):
    first = run(pipeline, allow_code=True, silent=True, host=host)
    kept = weights(first.folder)
    second = run(pipeline | {"seed": 1}, allow_code=True, silent=True, host=host)
    assert [step.reused for step in second.record.steps] == [False, False, False]
    assert not same(weights(second.folder), kept)


def test_the_same_seed_in_another_store_gives_the_same_bits(folder, pipeline, host):
    first = weights(run(pipeline, allow_code=True, silent=True, host=host).folder)
    second = weights(run(pipeline, allow_code=True, silent=True, host=host, store="elsewhere", output="other").folder)
    assert same(first, second)


def test_nothing_that_happened_before_in_the_process_matters(folder, pipeline, host):
    first = weights(run(pipeline, allow_code=True, silent=True, host=host).folder)
    torch.rand(17)
    second = weights(run(pipeline, allow_code=True, silent=True, host=host, store="elsewhere", output="other").folder)
    assert same(first, second)


def test_the_artifact_gives_the_logits_of_the_network_that_was_measured(folder, pipeline, host):
    from snncompress import predict
    from snncompress.measure import DataBench

    result = run(pipeline, allow_code=True, silent=True, host=host)
    network = load(result.folder / "final", allow_code=True, host=host)
    source = pipeline_from(pipeline, host).pipeline
    found = predict(network, DataBench(source.data.load(0), source.encode, 0))
    assert found.accuracy == result.record.final["accuracy"].value


def test_a_failing_step_keeps_what_was_finished(folder, pipeline, host):
    pipeline["steps"][1] = {
        "use": "prune.lottery",
        "rounds": 1,
        "rewind_to": "epoch-1",
        "retrain": {"epochs": 1, "lr": 1e30},
    }
    with pytest.raises(StepError, match="the loss is"):
        run(pipeline, allow_code=True, silent=True, host=host)
    pipeline["steps"][1]["retrain"]["lr"] = 1e-3
    record = run(pipeline, allow_code=True, silent=True, host=host).record
    assert [step.reused for step in record.steps] == [True, False, False]


def test_a_users_code_runs_only_where_allowed(folder, pipeline, host):
    with pytest.raises(PipelineError, match="model: 'python' runs your own code; allow it with --allow-code"):
        run(pipeline, silent=True, host=host)


def test_budgets_are_judged_against_the_baseline(folder, pipeline, host):
    pipeline["budget"] = [
        {"metric": "parameters_nonzero", "at_most_of_baseline": 0.5},
        {"metric": "accuracy", "at_least": 1.0},
    ]
    record = run(pipeline, allow_code=True, silent=True, host=host).record
    met = {entry.metric: entry.met for entry in record.budget}
    assert met["parameters_nonzero"] == (
        record.final["parameters_nonzero"].value <= 0.5 * record.baseline["parameters_nonzero"].value
    )
    assert met["accuracy"] == (record.final["accuracy"].value >= 1.0)


def test_a_measurement_added_later_is_made_without_redoing_steps(folder, pipeline, host):
    run(pipeline, allow_code=True, silent=True, host=host)
    pipeline["measure"].append("spikes")
    record = run(pipeline, allow_code=True, silent=True, host=host).record
    assert all(step.reused for step in record.steps)
    assert 0 < record.final["firing_rate"].value < 1


@pytest.mark.parametrize("encode", ["poisson", "latency"])
def test_spike_coding_is_repeatable(folder, pipeline, host, encode):
    pipeline |= {"encode": encode, "timesteps": 4}
    pipeline["steps"] = pipeline["steps"][:1]
    first = run(pipeline, allow_code=True, silent=True, host=host)
    second = run(pipeline, allow_code=True, silent=True, host=host, store="elsewhere", output="other")
    assert first.record.final["accuracy"] == second.record.final["accuracy"]
    assert same(weights(first.folder), weights(second.folder))
    assert first.record.final["accuracy"].value > 0.3


def test_a_plugin_can_wrap_a_step(folder, pipeline, host):
    import pluggy

    seen = []

    class Timing:
        @pluggy.HookimplMarker("snncompress")(wrapper=True)
        def snncompress_run_step(self, step):
            seen.append(step.use)
            return (yield)

    plugin = Timing()
    host.manager.register(plugin)
    try:
        run(pipeline, allow_code=True, silent=True, host=host)
    finally:
        host.manager.unregister(plugin)
    assert seen == ["train", "prune.lottery", "prune.l1"]


def test_the_command_line_gives_the_same_and_its_exit_codes(folder, pipeline):
    environment = os.environ | {"PYTHONPATH": str(TESTS)}
    pipeline["budget"] = [{"metric": "accuracy", "at_least": 1.0}]
    (folder / "small.yaml").write_text(yaml.safe_dump(pipeline))

    def call(*arguments):
        return subprocess.run(["snncompress", *arguments], capture_output=True, text=True, check=False, env=environment)

    missed = call("run", "small.yaml", "--allow-code", "--json")
    assert missed.returncode == 3
    assert json.loads(missed.stdout)["name"] == "small"
    assert "step 1 of 3: train" in missed.stderr
    assert call("run", "small.yaml").returncode == 2
    failed = call("run", "small.yaml", "--allow-code", "--set", "steps.0.lr=1e30")
    assert failed.returncode == 1
    assert "the loss is" in failed.stderr
    assert "Traceback" not in failed.stderr


@pytest.mark.parametrize("name", ["output", "store"])
def test_a_file_in_the_place_of_a_folder_is_told_before_anything_runs(folder, pipeline, host, name):
    (folder / "file").touch()
    with pytest.raises(InputError, match=f"{name} 'file' cannot be a folder: file exists"):
        run(pipeline, allow_code=True, silent=True, host=host, **{name: "file"})
