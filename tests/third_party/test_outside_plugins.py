import json
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent

FAULTS = [
    (
        "warning: plugin 'broken_argument' of snncompress-broken-argument: hook 'snncompress_run_step' has no argument "
        "'netwrk'; did you mean 'network'?"
    ),
    (
        "warning: plugin 'broken_duplicate' of snncompress-broken-duplicate: strategy 'train' is provided by 'train' and by "
        "'broken_duplicate'; the one of 'train' is used"
    ),
    (
        "warning: plugin 'broken_import' of snncompress-broken-import: ModuleNotFoundError: No module named "
        "'a_module_that_nobody_has'"
    ),
    (
        "warning: plugin 'broken_unknown_hook' of snncompress-broken-unknown-hook: unknown hook 'snncompress_strategy'; did "
        "you mean 'snncompress_strategies'?"
    ),
]


def test_each_fault_is_one_line_and_costs_only_its_plugin(program):
    done = program("strategies", "--json")
    assert done.stderr.splitlines() == FAULTS
    assert done.returncode == 0
    known = {entry["use"]: entry for entry in json.loads(done.stdout)}
    assert known["good.noise"]["plugin"] == "good"
    assert known["train"]["plugin"] == "train"
    assert known["duplicate.rest"]["plugin"] == "broken_duplicate"


def test_the_plugins_verb_shows_the_whole_fault(program):
    done = program("plugins")
    assert done.returncode == 0
    assert "Traceback (most recent call last)" in done.stdout
    assert "good (snncompress-good 0.1)" in done.stdout
    provided = json.loads(program("plugins", "--json").stdout)
    assert {"strategies": ["good.noise"], "metrics": ["good.timesteps"]} in [
        one["provides"] for one in provided["plugins"]
    ]
    assert [one["plugin"] for one in provided["faults"]] == [
        "broken_argument",
        "broken_duplicate",
        "broken_import",
        "broken_unknown_hook",
    ]


def test_strict_mode_makes_faults_fatal(program):
    done = program("strategies", SNNCOMPRESS_STRICT_PLUGINS="1")
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.splitlines() == [line.removeprefix("warning: ") for line in FAULTS]


def test_the_environment_limits_what_loads(program):
    done = program("strategies", "--json", SNNCOMPRESS_PLUGINS="good, train", SNNCOMPRESS_STRICT_PLUGINS="1")
    assert (done.returncode, done.stderr) == (0, "")
    assert [entry["use"] for entry in json.loads(done.stdout)] == ["good.noise", "train"]


def test_a_plugin_that_is_asked_for_and_not_installed_is_a_fault(program):
    done = program("strategies", SNNCOMPRESS_PLUGINS="good,god")
    assert done.stderr == "warning: plugin 'god' of SNNCOMPRESS_PLUGINS: no plugin of that name is installed\n"
    assert done.returncode == 0


def test_an_unknown_strategy_mentions_the_plugins_that_failed(program):
    done = program("strategies", "good.nois", SNNCOMPRESS_PLUGINS="good,broken_import")
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == (
        "unknown strategy 'good.nois'; did you mean 'good.noise'? (or a plugin that failed to load provides it: "
        "'broken_import', see `snncompress plugins`)"
    )


def test_an_outside_strategy_and_metric_work_in_a_run(program, tmp_path):
    (tmp_path / "p.yaml").write_text(
        """\
version: 1
name: outside
model: {use: snntorch.convnet}
data: {use: digits, size: 8}
timesteps: 2
steps: [{use: good.noise, scale: 0.5}]
measure: [good.timesteps]
budget: [{metric: timesteps, at_most: 2}]
""",
        encoding="utf-8",
    )
    done = program("run", "p.yaml", "--json")
    assert done.returncode == 0, done.stderr
    record = json.loads(done.stdout)
    assert record["final"]["timesteps"]["value"] == 2
    assert record["steps"][0]["notes"]["num_tensors"] > 0


@pytest.mark.slow
def test_pip_installs_the_good_one(program, tmp_path):
    options = ["--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--target", str(tmp_path / "site")]
    subprocess.run([sys.executable, "-m", "pip", "install", *options, str(HERE / "good")], check=True)
    done = program("strategies", "--json", site=tmp_path / "site")
    assert done.stderr == ""
    assert "good.noise" in [entry["use"] for entry in json.loads(done.stdout)]
