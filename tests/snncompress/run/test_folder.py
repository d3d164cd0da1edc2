import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml
from click.testing import CliRunner
from own_networks import JellyNet

from snncompress import InputError, Record, Time, compress, declare, hookimpl, run, sweep
from snncompress.cli import main
from snncompress.run.folder import Results, run_folder
from snncompress.store import Store

MODEL = {"use": "snntorch.convnet", "channels": [4]}
PIPELINE = {
    "version": 1,
    "name": "small",
    "model": MODEL,
    "data": {"use": "digits", "size": 8},
    "timesteps": 2,
    "steps": [
        {"use": "train", "epochs": 1, "batch_size": 500},
        {"use": "prune.l1", "fraction": 0.5, "select": "synapse"},
    ],
    "measure": ["sparsity"],
    "speed": "reference",
}
"""A pipeline that takes a moment."""


def at(fraction, **more):
    train, prune = PIPELINE["steps"]
    return PIPELINE | {"steps": [train, prune | {"fraction": fraction}]} | more


@pytest.fixture
def do(folder, host):
    return lambda pipeline, **more: run(pipeline, silent=True, host=host, **more)


def sparsity(folder):
    return json.loads((Path(folder) / "record.json").read_text())["final"]["sparsity"]["value"]


def test_a_changed_pipeline_of_the_same_name_gets_a_number_and_says_so(do, capsys):
    assert do(at(0.5)).folder == Path("runs/small")
    assert capsys.readouterr().err == ""
    changed = do(at(0.75))
    assert changed.folder == Path("runs/small-2")
    assert changed.record.artifact == "runs/small-2/final"
    assert capsys.readouterr().err == (
        "'runs/small' holds the results of another pipeline (steps.1.fraction differs); "
        "this run goes to 'runs/small-2', --overwrite (overwrite=True) replaces them\n"
    )
    assert do(at(0.9)).folder == Path("runs/small-3")
    assert [sparsity(f"runs/{name}") for name in ("small", "small-2", "small-3")] == pytest.approx(
        [0.5, 0.75, 0.9], abs=0.01
    )


def test_the_same_pipeline_finds_its_own_folder_again(do, capsys):
    for fraction in (0.5, 0.75, 0.5, 0.75, 0.9, 0.75):
        do(at(fraction))
    assert sorted(place.name for place in Path("runs").iterdir()) == [".store", "small", "small-2", "small-3"]
    assert do(at(0.5)).folder == Path("runs/small")
    capsys.readouterr()
    assert do(at(0.75)).folder == Path("runs/small-2")
    assert "this run goes to 'runs/small-2'" in capsys.readouterr().err


def test_where_the_first_folder_has_been_removed_it_still_finds_its_own(do, capsys):
    for fraction in (0.5, 0.75):
        do(at(fraction))
    shutil.rmtree("runs/small")
    capsys.readouterr()
    assert do(at(0.75)).folder == Path("runs/small-2")
    assert capsys.readouterr().err == (
        "this run goes to 'runs/small-2', which holds earlier results of this pipeline\n"
    )
    assert do(at(0.9)).folder == Path("runs/small")


def test_defaults_written_out_are_the_same_pipeline(do):
    do(PIPELINE)
    assert do(PIPELINE | {"seed": 0, "encode": {"use": "direct"}}).folder == Path("runs/small")


@pytest.mark.parametrize(
    "change",
    [{"seed": 1}, {"timesteps": 3}, {"model": MODEL | {"channels": [5]}}, {"data": {"use": "digits", "size": 16}}],
    ids=lambda change: next(iter(change)),
)
def test_whatever_changes_the_network_makes_another_pipeline(do, change):
    do(PIPELINE)
    assert do(PIPELINE | change).folder == Path("runs/small-2")


def test_what_only_adds_to_the_results_stays_in_the_folder(do):
    do(PIPELINE)
    more = PIPELINE | {"measure": ["sparsity", "parameters"], "report": ["text", "html"]}
    more["budget"] = [{"metric": "sparsity", "at_least": 0.4}]
    result = do(more)
    assert result.folder == Path("runs/small")
    assert (result.folder / "report.html").is_file()
    fewer = do(PIPELINE)
    assert fewer.folder == Path("runs/small-2")


def test_overwriting_removes_what_the_other_pipeline_left_and_nothing_else(do):
    do(PIPELINE | {"seeds": [0, 1]})
    Path("runs/small/mine.txt").write_text("kept", encoding="utf-8")
    result = do(at(0.75, report=["text"]), overwrite=True)
    assert result.folder == Path("runs/small")
    assert sorted(place.name for place in Path("runs/small").iterdir()) == [
        "final",
        "mine.txt",
        "pipeline.yaml",
        "plan.json",
        "record.json",
        "report.txt",
    ]
    assert sparsity("runs/small") == pytest.approx(0.75, abs=0.01)
    assert not Path("runs/small-2").exists()


def test_a_folder_without_results_is_taken(do, folder):
    """An interrupted run leaves one, and so does a user who made it beforehand."""
    (folder / "runs" / "small").mkdir(parents=True)
    (folder / "runs" / "small" / "notes.txt").touch()
    assert do(PIPELINE).folder == Path("runs/small")


def test_results_that_cannot_be_read_are_not_overwritten(do, capsys):
    do(PIPELINE)
    Path("runs/small/record.json").write_text('{"version": 1, "na', encoding="utf-8")
    assert do(PIPELINE).folder == Path("runs/small-2")
    assert "another pipeline (its record.json cannot be read)" in capsys.readouterr().err
    assert do(PIPELINE, overwrite=True).folder == Path("runs/small")
    assert sparsity("runs/small") == pytest.approx(0.5, abs=0.01)


def test_a_record_of_an_earlier_version_is_compared_by_its_settings(do):
    do(PIPELINE)
    plan = json.loads(Path("runs/small/plan.json").read_text())
    del plan["content"]
    Path("runs/small/plan.json").write_text(json.dumps(plan), encoding="utf-8")
    assert do(PIPELINE).folder == Path("runs/small")
    assert do(at(0.75)).folder == Path("runs/small-2")


def test_an_output_that_is_given_gets_a_number_too(do, folder):
    assert do(PIPELINE, output="out").folder == Path("out")
    assert do(at(0.75), output="out").folder == Path("out-2")
    assert do(at(0.9), output=folder / "out").folder == folder / "out-3"
    assert do(PIPELINE, output=".").folder == Path()
    with pytest.raises(InputError, match="'.' holds the results of another pipeline and has no name"):
        do(at(0.75), output=".")


def test_numbers_that_another_name_has_taken_are_passed_over(do):
    do(at(0.9, name="small-2"))
    do(PIPELINE)
    assert do(at(0.75)).folder == Path("runs/small-3")


def test_other_content_behind_the_same_settings_is_another_pipeline(do, folder):
    network = do(at(0.5, name="first")).folder / "final"
    model = {"model": f"file:{network}", "name": "second"}  # the artifact of a run that will be replaced by another's
    do(at(0.75, **model))
    assert do(at(0.75, **model)).folder == Path("runs/second")
    do(at(0.5, name="first", seed=1), overwrite=True)
    assert do(at(0.75, **model)).folder == Path("runs/second-2")


def test_seeds_may_be_added_and_not_taken_away(do, capsys):
    assert do(PIPELINE | {"seeds": [0, 1]}).folder == Path("runs/small")
    more = do(PIPELINE | {"seeds": [0, 1, 2]})
    assert (more.folder, more.summary.seeds) == (Path("runs/small"), (0, 1, 2))
    assert do(PIPELINE | {"seeds": [0, 1]}).folder == Path("runs/small-2")
    assert "(only there: seed-2)" in capsys.readouterr().err
    assert do(PIPELINE).folder == Path("runs/small-3")
    assert "(several seeds, not one run)" in capsys.readouterr().err
    assert do(at(0.75, seeds=[0, 1])).folder == Path("runs/small-4")


def test_seeds_that_were_done_before_the_summary_count(do):
    do(PIPELINE | {"seeds": [0, 1]})
    Path("runs/small/record.json").unlink()
    assert do(at(0.75, seeds=[0, 1])).folder == Path("runs/small-2")
    assert do(PIPELINE | {"seeds": [0, 1]}).folder == Path("runs/small")


def test_a_sweep_may_be_extended_and_another_one_gets_a_number(folder, host):
    def swept(fractions, **more):
        return sweep(PIPELINE | more, {"steps.1.fraction": fractions}, silent=True, host=host).folder

    assert swept([0.5, 0.75]) == Path("runs/small-sweep")
    assert swept([0.5, 0.75, 0.9]) == Path("runs/small-sweep")
    assert swept([0.5, 0.75]) == Path("runs/small-sweep-2")
    assert swept([0.5, 0.75, 0.9], timesteps=3) == Path("runs/small-sweep-3")
    assert swept([0.5, 0.75, 0.9]) == Path("runs/small-sweep")
    again = sweep(PIPELINE | {"timesteps": 4}, {"seed": [0, 1]}, silent=True, host=host, overwrite=True)
    assert again.folder == Path("runs/small-sweep")
    assert sorted(place.name for place in again.folder.iterdir() if place.is_dir()) == ["seed=0", "seed=1"]


def test_another_network_in_hand_is_another_pipeline(folder, host, loaders):
    """The loop that people write: several networks, one call, the default name."""

    def compressed(seed, data=loaders):
        torch.manual_seed(seed)
        network = declare(JellyNet(), Time("multi_step", 4), host=host)
        steps = [{"use": "prune.l1", "fraction": 0.5}]
        return compress(network, steps=steps, data=data, measure=["sparsity"], silent=True).folder

    assert [compressed(seed) for seed in (0, 1, 0, 1)] == [
        Path("runs/compressed"),
        Path("runs/compressed-2"),
        Path("runs/compressed"),
        Path("runs/compressed-2"),
    ]
    assert compressed(0, loaders[::-1]) == Path("runs/compressed-3")


def test_the_command_line_overwrites_where_it_is_told(folder):
    for name, fraction in (("a", 0.5), ("b", 0.75)):
        Path(f"{name}.yaml").write_text(yaml.safe_dump(at(fraction)))
    call = CliRunner().invoke
    assert call(main, ["run", "a.yaml"]).exit_code == 0
    numbered = call(main, ["run", "b.yaml", "--json"])
    assert json.loads(numbered.stdout)["artifact"] == "runs/small-2/final"
    assert "this run goes to 'runs/small-2'" in numbered.stderr
    assert json.loads(call(main, ["run", "b.yaml", "--json", "--overwrite"]).stdout)["artifact"] == "runs/small/final"


class Interrupting:
    """A plugin that interrupts the program before a step."""

    @hookimpl(wrapper=True)
    def snncompress_run_step(self):
        raise KeyboardInterrupt
        yield


def test_an_interrupted_run_leaves_the_folder_free(do, host):
    plugin = Interrupting()
    host.manager.register(plugin)
    try:
        with pytest.raises(KeyboardInterrupt):
            do(PIPELINE)
    finally:
        host.manager.unregister(plugin)
    assert do(at(0.75)).folder == Path("runs/small")


def start(file):
    command = [sys.executable, "-m", "snncompress", "run", file, "--json"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_two_processes_at_once_never_share_a_folder_by_chance(folder):
    """One pipeline twice, and another of the same name: all three start before any has written anything."""
    for name, fraction in (("a", 0.5), ("b", 0.75)):
        Path(f"{name}.yaml").write_text(yaml.safe_dump(at(fraction)))
    processes = [start(file) for file in ("a.yaml", "b.yaml", "a.yaml")]
    artifacts = []
    for process in processes:
        shown, told = process.communicate()
        assert process.returncode == 0, told
        artifacts.append(json.loads(shown)["artifact"])
    assert artifacts[0] == artifacts[2] != artifacts[1]
    assert {*artifacts} == {"runs/small/final", "runs/small-2/final"}
    assert sparsity(Path(artifacts[0]).parent) == pytest.approx(0.5, abs=0.01)
    assert sparsity(Path(artifacts[1]).parent) == pytest.approx(0.75, abs=0.01)


def test_what_would_be_lost_is_said(host):
    """Of settings that change no network only what was measured counts, and after which steps."""

    def results(content=None, **changes):
        pipeline = {"name": "a", "seed": 0, "steps": [{"use": "train", "lr": 0.1}], "measure": [{"use": "accuracy"}]}
        return Results.of("one run", pipeline | changes, content)

    energy = [{"use": "accuracy"}, {"use": "energy"}]
    whole = {"weights": "w", "code": "c", "samples": "s"}
    for old, new, lost in (
        (results(), results(budget=[{"metric": "accuracy"}], report=["html"]), ""),
        (results(), results(measure=energy), ""),
        (results(measure=energy), results(), "measured there and not here: energy"),
        (results(measure_steps="cheap"), results(measure_steps="all"), ""),
        (
            results(measure_steps="all"),
            results(measure_steps="cheap"),
            "measured there and not here: values after every step",
        ),
        (results(steps=[{"use": "train", "lr": 0.2}]), results(), "steps.0.lr differs"),
        (results(steps=[]), results(seed=1), "seed, steps, steps.0.lr and 1 more differ"),
        (results(whole), results(whole | {"code": "d"}), "code differs"),
        (results(), results(whole), ""),
        (Results.of("several seeds", {"seed": 0}), results(), "several seeds, not one run"),
    ):
        assert old.lost_in(new) == lost


def layout(value):
    return {"": Results("one run", {"steps.1.fraction": value})}


def test_a_folder_that_a_process_is_writing_to_is_not_taken_by_another_pipeline(folder, host, capsys):
    store = Store(Path("store"))
    with run_folder(Path("out"), layout("0.5"), store, host, overwrite=False) as first:
        with run_folder(Path("out"), layout("0.75"), store, host, overwrite=False) as second:
            assert (first, second) == (Path("out"), Path("out-2"))
        assert "'out' is being written by another process; this run goes to 'out-2'" in capsys.readouterr().err
    with run_folder(Path("out"), layout("0.75"), store, host, overwrite=False) as third:
        assert third == Path("out")


def test_a_batch_size_that_a_loader_decided_makes_no_other_pipeline(folder, host, loaders):
    network = declare(JellyNet(), Time("multi_step", 4), host=host)
    folders = [
        compress(network, steps=[{"use": "train", "epochs": epochs}], data=loaders, silent=True).folder.name
        for epochs in (1, 1, 2)
    ]
    assert folders == ["compressed", "compressed", "compressed-2"]
    record = Record.read("runs/compressed/record.json")
    assert record.pipeline["steps"][0]["batch_size"] == loaders[0].batch_size
