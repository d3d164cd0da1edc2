import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from snncompress import PipelineError, Record, Summary, hookimpl, run
from snncompress.cli import main
from snncompress.pipeline import pipeline_from
from snncompress.plan import make_plans
from snncompress.store import Store

TESTS = Path(__file__).parents[2]


@pytest.fixture
def replicated(pipeline):
    """The small pipeline, one epoch and one pruning, with three seeds."""
    steps = [{"use": "train", "epochs": 1, "lr": 0.01}, {"use": "prune.l1", "fraction": 0.5}]
    return pipeline | {"seeds": [0, 1, 2], "steps": steps}


def start(*arguments):
    paths = os.pathsep.join([str(TESTS), *filter(None, [os.environ.get("PYTHONPATH")])])
    command = [sys.executable, "-m", "snncompress", *arguments]
    environment = os.environ | {"PYTHONPATH": paths}
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def call(*arguments):
    done = CliRunner().invoke(main, arguments)
    return done.exit_code, done.stdout


def test_each_seed_has_a_run_folder_and_the_folder_around_them_the_summary(folder, replicated, host):
    result = run(replicated, allow_code=True, silent=True, host=host)
    assert result.folder == Path("runs/small")
    records = [Record.read(result.folder / name) for name in ("seed-0", "seed-1", "seed-2")]
    for record in records:
        assert sorted(place.name for place in (result.folder / f"seed-{record.seed}").iterdir()) == [
            "final",
            "pipeline.yaml",
            "plan.json",
            "record.json",
            "report.txt",
        ]
    assert [one.record for one in result.results] == records
    accuracies = [record.final["accuracy"].value for record in records]
    found = result.summary.final["accuracy"].spread
    assert len(set(accuracies)) > 1
    assert found.values == tuple(accuracies)
    assert found.mean == pytest.approx(statistics.mean(accuracies))
    assert found.std == pytest.approx(statistics.stdev(accuracies))
    assert (result.summary.seeds, result.summary.runs) == ((0, 1, 2), ("seed-0", "seed-1", "seed-2"))
    assert result.summary.pipeline["seeds"] == [0, 1, 2]
    assert "seed" not in result.summary.pipeline
    assert Summary.read(result.folder) == result.summary
    assert yaml.safe_load((result.folder / "pipeline.yaml").read_text())["seeds"] == [0, 1, 2]
    assert yaml.safe_load((result.folder / "seed-1" / "pipeline.yaml").read_text())["seed"] == 1


def test_one_of_the_seeds_alone_reuses_what_all_of_them_did(folder, replicated, host):
    both = run(replicated, allow_code=True, silent=True, host=host)
    del replicated["seeds"]
    alone = run(replicated | {"seed": 1}, allow_code=True, silent=True, host=host, output="alone")
    assert [step.reused for step in alone.record.steps] == [True, True]
    assert alone.record.final == both.results[1].record.final


def test_budgets_are_judged_on_the_mean(folder, replicated, host):
    replicated["budget"] = [
        {"metric": "sparsity", "at_least": 0.5},
        {"metric": "parameters_nonzero", "at_most": 0},
    ]
    summary = run(replicated, allow_code=True, silent=True, host=host).summary
    assert [(entry.met, entry.missed_by) for entry in summary.budget] == [(True, ()), (False, (0, 1, 2))]
    assert not summary.budgets_met


def test_a_plan_is_made_for_each_seed_and_remembered_by_seed(folder, replicated, host):
    kept = Store(Path("runs/.store"))
    before = make_plans(pipeline_from(replicated, host), host, kept, allow_code=True)
    assert [plan.pipeline.seed for plan in before] == [0, 1, 2]
    assert len({plan.keys for plan in before}) == 3
    run(replicated, allow_code=True, silent=True, host=host)
    replicated["steps"][1]["fraction"] = 0.75
    for plan in make_plans(pipeline_from(replicated, host), host, kept, allow_code=True):
        assert [step.why for step in plan.steps] == ["finished earlier with the same key", "changed: setting fraction"]


def test_what_the_built_model_shows_is_told_once_for_all_seeds(folder, replicated, host):
    replicated["steps"][1]["select"] = "nothing.like.it"
    with pytest.raises(PipelineError) as caught:
        run(replicated, allow_code=True, silent=True, host=host)
    assert len(caught.value.lines) == 1
    assert not Path("runs/small").exists()


def test_the_verbs_know_seeds(folder, replicated):
    replicated["budget"] = [{"metric": "sparsity", "at_least": 0.9}]
    Path("p.yaml").write_text(yaml.safe_dump(replicated))
    assert call("validate", "p.yaml") == (0, "p.yaml: valid, 2 steps, 3 seeds\n")
    code, shown = call("plan", "p.yaml", "--allow-code")
    assert (code, [line for line in shown.splitlines() if line.startswith("seed")]) == (
        0,
        ["seed 0", "seed 1", "seed 2"],
    )
    code, shown = call("run", "p.yaml", "--allow-code", "--json")
    assert (code, json.loads(shown)["seeds"]) == (3, [0, 1, 2])
    code, shown = call("plan", "p.yaml", "--allow-code", "--json")
    assert [plan["seed"] for plan in json.loads(shown)["plans"]] == [0, 1, 2]
    assert all(step["reused"] for plan in json.loads(shown)["plans"] for step in plan["steps"])
    code, shown = call("report", "runs/small", "--json")
    assert (code, json.loads(shown)) == (0, json.loads(Path("runs/small/record.json").read_text()))
    code, shown = call("report", "runs/small")
    assert code == 0
    assert "accuracy" in shown


class Interrupting:
    """A plugin that interrupts the program before a step, counted over all seeds."""

    def __init__(self, before):
        self.left = before

    @hookimpl(wrapper=True)
    def snncompress_run_step(self):
        self.left -= 1
        if self.left < 0:
            raise KeyboardInterrupt
        return (yield)


@pytest.mark.slow
@pytest.mark.parametrize("before", range(6))
def test_interrupted_before_any_step_of_any_seed_it_goes_on_there(folder, replicated, host, before):
    straight = run(replicated, allow_code=True, silent=True, host=host, store="straight", output="straight-run")
    plugin = Interrupting(before)
    host.manager.register(plugin)
    try:
        with pytest.raises(KeyboardInterrupt):
            run(replicated, allow_code=True, silent=True, host=host)
    finally:
        host.manager.unregister(plugin)
    again = run(replicated, allow_code=True, silent=True, host=host)
    reused = [step.reused for result in again.results for step in result.record.steps]
    assert reused == [True] * before + [False] * (6 - before)
    assert again.summary.final == straight.summary.final


@pytest.mark.slow
def test_killed_inside_the_second_seed_it_goes_on_there(folder, replicated):
    """The first seed is reused, the second goes on behind its last epoch; the summary is that of a straight run."""
    replicated["steps"][0] |= {"epochs": 25}
    Path("p.yaml").write_text(yaml.safe_dump(replicated))
    with start("run", "p.yaml", "--allow-code", "--output", "straight", "--store", "straight.store") as straight:
        _, told = straight.communicate()
    assert straight.returncode == 0, told
    with start("run", "p.yaml", "--allow-code", "--output", "killed", "--store", "killed.store") as killed:
        seen = []
        while not (any(line.startswith("seed-1") for line in seen) and "epoch 2 of 25" in seen[-1]):
            seen.append(killed.stderr.readline())
            assert seen[-1], "the program ended before it was killed"
        killed.kill()
    with start("run", "p.yaml", "--allow-code", "--output", "killed", "--store", "killed.store", "--json") as again:
        shown, told = again.communicate()
    assert again.returncode == 0, told
    first, _, rest = told.partition("seed-1 ")
    second = rest.partition("seed-2 ")[0]
    assert first.count("reused") == 2
    assert "epoch 25 of 25" in second
    assert "epoch 1 of 25" not in second
    assert json.loads(shown)["final"] == json.loads(Path("straight/record.json").read_text())["final"]
