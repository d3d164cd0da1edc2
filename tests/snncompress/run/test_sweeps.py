import json
import os
import random
import signal
import subprocess
import sys
from pathlib import Path
from typing import Literal

import pytest
import yaml
from click.testing import CliRunner

from snncompress import Host, InputError, PipelineError, Record, StepError, Strategy, hookimpl, sweep
from snncompress.cli import main
from snncompress.report import compare, read_entries

FRACTIONS = [0.0, 0.75, 0.85, 0.94]
NUM_KILLS = 6


@pytest.fixture
def swept(pipeline):
    """One epoch of training and a pruning, with three seeds."""
    steps = [{"use": "train", "epochs": 1, "lr": 0.01}, {"use": "prune.l1", "fraction": 0.5}]
    return pipeline | {"seeds": [0, 1, 2], "steps": steps, "measure": ["accuracy", "parameters"]}


def records(folder):
    return [Record.read(file) for file in sorted(Path(folder).glob("*/seed-*/record.json"))]


def test_four_settings_and_three_seeds_train_the_prefix_once_per_seed(folder, swept, host):
    found = sweep(swept, {"steps.1.fraction": FRACTIONS}, allow_code=True, silent=True, host=host)
    assert found.folder == Path("runs/small-sweep")
    assert list(found.results) == [f"fraction={fraction}" for fraction in FRACTIONS]
    done = records(found.folder)
    assert len(done) == 12
    trained = [record.seed for record in done if not record.steps[0].reused]
    assert sorted(trained) == [0, 1, 2]
    assert sum(not record.steps[1].reused for record in done) == 12
    dense, *pruned = found.comparison.entries
    assert [entry.seeds for entry in pruned] == [(0, 1, 2)] * 4
    assert [entry.settings for entry in pruned] == [{"steps.1.fraction": one} for one in FRACTIONS]
    assert (dense.name, dense.seeds, found.comparison.baseline) == ("dense", (0, 1, 2), "dense")
    trained = {record.seed: record.steps[0].measurements["accuracy"].value for record in done}
    assert dense.values["accuracy"].spread.values == tuple(trained[seed] for seed in (0, 1, 2))
    assert dense.values["parameters_nonzero"].spread.mean > pruned[1].values["parameters_nonzero"].spread.mean
    assert (dense.masked, {entry.masked for entry in pruned}) == (None, {True})
    for entry in pruned:
        kept = [
            record.final["accuracy"].value
            for record in done
            if record.pipeline["steps"][1]["fraction"] == entry.settings["steps.1.fraction"]
        ]
        assert sorted(entry.values["accuracy"].spread.values) == sorted(kept)
        assert entry.values["accuracy"].spread.n == 3
    assert found.comparison.cost == "parameters_nonzero"
    assert compare(read_entries([found.folder])) == found.comparison
    page = (found.folder / "report.html").read_text(encoding="utf-8")
    assert 'aria-label="Scatter plot. dense: accuracy ' in page
    kept = json.loads((found.folder / "sweep.json").read_text())
    assert kept["over"] == {"steps.1.fraction": FRACTIONS}
    assert not found.failed


def test_a_sweep_over_two_settings_of_one_seed_runs_the_product(folder, swept, host):
    del swept["seeds"]
    over = ["steps.1.fraction=0.5,0.9", "steps.1.scope=matrix,global"]
    found = sweep(swept, over, overrides=["seed=3"], output="out", allow_code=True, silent=True, host=host)
    first, *names = [entry.name for entry in found.comparison.entries]
    assert first == "dense"
    assert names == [
        "fraction=0.5,scope=matrix",
        "fraction=0.5,scope=global",
        "fraction=0.9,scope=matrix",
        "fraction=0.9,scope=global",
    ]
    assert {one.record.seed for one in found.results.values()} == {3}
    assert [step.reused for step in found.results[names[1]].record.steps] == [True, False]
    assert {verdict.why for verdict in found.comparison.verdicts} == {
        "too few seeds: one run each, and a verdict needs 3"
    }


def test_networks_that_fell_silent_are_better_in_nothing(folder, swept, host):
    """Without any weight every neuron is silent, and every answer the first class; and nothing is smaller."""
    swept |= {"measure": ["accuracy", "parameters", "sparsity"]}
    found = sweep(swept, {"steps.1.fraction": [0.5, 1.0]}, allow_code=True, silent=True, host=host).comparison
    assert found.at_chance == {"fraction=1.0": (0, 1, 2)}
    outcomes = {one.metric: one.outcome for one in found.verdicts if one.entry == "fraction=1.0"}
    assert outcomes == {
        "accuracy": "worse",
        "parameters": "no difference seen",
        "parameters_nonzero": "no verdict",
        "sparsity": "no verdict",
        "sparsity_all": "no verdict",
    }
    assert found.verdict("parameters_nonzero", "fraction=0.5").outcome == "better"
    assert "fraction=1.0" not in found.front
    text = Path("runs/small-sweep/report.txt").read_text()
    assert "fraction=1.0 is at chance in seeds 0, 1, 2" in text


def test_a_sweep_over_training_names_the_dense_network_of_each(folder, swept, host):
    del swept["seeds"]
    over = {"steps.0.lr": [0.01, 0.02], "steps.1.fraction": [0.5, 0.9]}
    found = sweep(swept, over, allow_code=True, silent=True, host=host).comparison
    assert [entry.name for entry in found.entries[:2]] == ["dense (lr=0.01)", "dense (lr=0.02)"]
    assert [entry.settings for entry in found.entries[:2]] == [{"steps.0.lr": 0.01}, {"steps.0.lr": 0.02}]
    assert len(found.entries) == 6
    assert found.baseline == "lr=0.01,fraction=0.5"


def test_a_sweep_that_only_trains_has_no_dense_network(folder, swept, host):
    swept |= {"seeds": [0], "steps": swept["steps"][:1]}
    found = sweep(swept, {"steps.0.lr": [0.01, 0.02]}, allow_code=True, silent=True, host=host)
    assert [entry.name for entry in found.comparison.entries] == ["lr=0.01", "lr=0.02"]
    assert [one.compresses for one in found.sweep.combinations] == [False, False]


def test_wrong_paths_and_values_of_all_combinations_are_told_before_anything_runs(folder, swept, host):
    over = ["steps.1.fraction=0.5,2,-1", "steps.0.epoch=1,2", "steps.1.select=synapse,nowhere"]
    with pytest.raises(PipelineError) as caught:
        sweep(swept, over, allow_code=True, silent=True, host=host)
    assert list(caught.value.lines) == [
        "--over steps.0.epoch=1,2: steps.0.epoch: unknown setting; did you mean 'epochs'?",
        "--over steps.1.fraction=0.5,2,-1: steps.1.fraction: should be at most 1, not 2",
        "--over steps.1.fraction=0.5,2,-1: steps.1.fraction: should be at least 0, not -1",
    ]
    with pytest.raises(PipelineError) as caught:
        sweep(swept, ["steps.1.select=synapse,nowhere,nothing"], allow_code=True, silent=True, host=host)
    assert [line.split("; ")[0] for line in caught.value.lines] == [
        "--over steps.1.select=synapse,nowhere,nothing: steps.1.select: selector 'nowhere' matches nothing",
        "--over steps.1.select=synapse,nowhere,nothing: steps.1.select: selector 'nothing' matches nothing",
    ]
    assert not Path("runs").exists()


@pytest.mark.parametrize(
    ("over", "said"),
    [
        ({}, "no setting is varied"),
        ({"seed": 3}, "should have a list of values, not 3"),
        ({"seed": [{1}]}, "no plain data"),
    ],
)
def test_values_in_python_are_lists_of_plain_data(folder, swept, host, over, said):
    with pytest.raises(InputError, match=said):
        sweep(swept, over, allow_code=True, silent=True, host=host)


class Choosy(Strategy):
    """Fail where told."""

    use: Literal["test.choosy"] = "test.choosy"
    fails: bool = False

    def apply(self, network, run):
        del run
        if self.fails:
            raise StepError("it does not work with this value")
        return network


@pytest.fixture
def choosy():
    plugin = type("Plugin", (), {"snncompress_strategies": staticmethod(hookimpl(lambda: [Choosy]))})
    known = Host.from_environment()
    known.register(plugin, name="choosy")
    return known


def test_a_combination_that_fails_does_not_stop_the_others(folder, swept, choosy, capsys):
    swept |= {"steps": [{"use": "test.choosy"}], "seeds": [0, 1]}
    found = sweep(swept, {"steps.0.fails": [True, False]}, allow_code=True, host=choosy)
    assert "fails=true failed: " in capsys.readouterr().err
    assert [(one.name, one.failed is None) for one in found.sweep.combinations] == [
        ("fails=true", False),
        ("fails=false", True),
    ]
    assert "it does not work with this value" in found.failed[0].failed
    assert list(found.results) == ["fails=false"]
    first, second = found.comparison.notes
    assert first.startswith("fails=true failed: ")
    assert second.startswith("fails=false is at chance in seeds 0, 1: "), "nothing was trained"
    assert "it does not work with this value" in Path("runs/small-sweep/report.txt").read_text()


def test_where_every_combination_fails_there_is_nothing_to_compare(folder, swept, choosy):
    swept |= {"steps": [{"use": "test.choosy", "fails": True}]}
    with pytest.raises(StepError, match="seed=0: .*it does not work with this value"):
        sweep(swept, {"seed": [0, 1]}, allow_code=True, silent=True, host=choosy)
    assert len(json.loads(Path("runs/small-sweep/sweep.json").read_text())["combinations"]) == 2


SHIPPED = """\
version: 1
name: small
model: snntorch.convnet
timesteps: 2
data: {use: digits, size: 8}
seeds: [0, 1, 2]
steps: [{use: train, epochs: 3, lr: 0.01}, {use: prune.l1, fraction: 0.5}]
measure: [accuracy, parameters]
"""


def start(name, *more):
    over = "steps.1.fraction=0.0,0.75,0.85,0.94"
    command = [
        sys.executable,
        "-m",
        "snncompress",
        "sweep",
        "p.yaml",
        "--over",
        over,
        "--output",
        name,
        "--store",
        f"{name}.store",
        *more,
    ]
    return subprocess.Popen(
        command, env=os.environ | {"OMP_NUM_THREADS": "1"}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


@pytest.mark.slow
def test_a_sweep_killed_at_random_moments_ends_with_the_same_table(folder):
    Path("p.yaml").write_text(SHIPPED)
    with start("straight") as straight:
        table, told = straight.communicate()
    assert straight.returncode == 0, told
    draw = random.Random(0)  # noqa: S311 - moments, not secrets
    for _ in range(NUM_KILLS):
        with start("killed") as process:
            seen = [process.stderr.readline() for _ in range(draw.randint(2, 12))]
            assert all(seen), "the program ended before it was killed"
            try:
                process.wait(draw.uniform(0, 0.4))
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGKILL)
    with start("killed") as process:
        again, told = process.communicate()
    assert process.returncode == 0, told
    assert again == table.replace("straight", "killed")
    assert len(records("killed")) == 12
    for straight_one, killed_one in zip(records("straight"), records("killed"), strict=True):
        assert straight_one.final == killed_one.final


def test_the_verbs_sweep_and_compare_agree(folder, swept):
    swept |= {"seeds": [0, 1], "model": "snntorch.convnet", "data": {"use": "digits", "size": 8}}
    Path("p.yaml").write_text(yaml.safe_dump(swept))

    def call(*arguments):
        done = CliRunner().invoke(main, arguments)
        return done.exit_code, done.stdout, done.stderr

    over = ["--over", "steps.1.fraction=0.0,0.75,0.94"]
    code, shown, told = call("sweep", "p.yaml", *over, "--json")
    assert code == 0, told
    whole = json.loads(shown)
    assert [one["name"] for one in whole["sweep"]["combinations"]] == ["fraction=0.0", "fraction=0.75", "fraction=0.94"]
    code, shown, _ = call("compare", "runs/small-sweep", "--json")
    assert (code, json.loads(shown)) == (0, whole["comparison"])
    runs = [f"runs/small-sweep/fraction={fraction}" for fraction in ("0.0", "0.75", "0.94")]
    code, shown, _ = call(
        "compare", *runs, "--baseline", runs[2], "--cost", "parameters_nonzero", "--output", "page.html"
    )
    assert code == 0
    assert "±" in shown
    assert Path("page.html").read_text().lstrip().lower().startswith("<!doctype html>")
    assert call("compare", runs[0])[0] == 2
    code, shown, told = call("compare", runs[0], "nowhere")
    assert (code, shown, told) == (2, "", "'nowhere' holds no record.json; give the folder of a finished run\n")
    assert call("sweep", "p.yaml")[0] == 2
