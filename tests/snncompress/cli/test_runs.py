import json
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner

from snncompress.cli import main
from snncompress.record import BudgetRecord, Combination, Measurement, Record, Spread, Summary, SummaryValue, Sweep

ONE = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)


def record(name, seed, accuracy, model="snntorch.convnet", data="digits", budget=()):
    measured = {} if accuracy is None else {"accuracy": Measurement(value=accuracy, unit="1", how="by hand")}
    pipeline = {"model": model, "data": {"use": data}, "seed": seed}
    return Record(
        name=name, pipeline=pipeline, environment={}, steps=(), baseline={}, final=measured, budget=budget, artifact=""
    )


def summary(name, accuracies):
    spread = Spread(mean=0.75, std=0.25, n=len(accuracies), values=accuracies)  # of 0.5, 0.75 and 1
    pipeline = {"model": {"use": "python", "function": "net:Net"}, "data": {"use": "python", "sizes": [3]}}
    values = {"accuracy": SummaryValue(spread=spread, unit="1", how="by hand")}
    seeds = tuple(range(len(accuracies)))
    return Summary(
        name=name, pipeline=pipeline, environment={}, seeds=seeds, runs=("seed-0",), baseline={}, final=values
    )


def write(what, folder, minutes):
    Path(folder).mkdir(parents=True)
    file = Path(folder) / what.file_name
    what.write(file)
    at = ONE.timestamp() + 60 * minutes
    os.utime(file, (at, at))


@pytest.fixture
def call(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TZ", "UTC")
    limits = [BudgetRecord(metric="accuracy", limit="at_least 0.5", value=0.9, met=met) for met in (True, False)]
    write(record("first", 3, 0.9, budget=tuple(limits)), "runs/first", 1)
    write(record("first", 3, None, model={"use": "file", "folder": "runs/first/final"}), "runs/deep/inside", 2)
    write(summary("many", (0.5, 0.75, 1.0)), "runs/many", 4)
    write(record("many", 0, 0.5), "runs/many/seed-0", 3)
    combinations = [Combination(name=f"a={value}", settings={"a": value}, folder=f"a={value}") for value in (1, 2)]
    write(Sweep(name="swept", over={"a": (1, 2)}, combinations=tuple(combinations)), "runs/swept", 7)
    write(record("swept", 0, 0.25), "runs/swept/a=1", 5)
    write(record("swept", 0, 0.5), "runs/swept/a=2", 6)
    write(record("hidden", 0, 1.0), "runs/.store/x", 0)
    (tmp_path / "runs" / "empty").mkdir()
    return lambda *arguments: CliRunner().invoke(main, ["runs", *arguments])


ROWS = [
    "first   2026-03-01 12:31  snntorch.convnet       digits   3        0.9000           1 of 2       runs/first",
    "first   2026-03-01 12:32  file:runs/first/final  digits   3        -                -            runs/deep/inside",
    "many    2026-03-01 12:34  net:Net                in hand  0, 1, 2  0.7500 ± 0.2500  -            runs/many",
    "swept   2026-03-01 12:37  sweep of 2                                                             runs/swept",
    "swept   2026-03-01 12:35  snntorch.convnet       digits   0        0.2500           -            runs/swept/a=1",
    "swept   2026-03-01 12:36  snntorch.convnet       digits   0        0.5000           -            runs/swept/a=2",
]


def test_every_finished_run_has_a_line_and_seeds_share_one(call):
    done = call()
    assert done.exit_code == 0
    head, rule, *rows = done.stdout.splitlines()
    assert head.split("  ")[0] == "name"
    assert set(rule) == {"-", " "}
    assert [" ".join(row.split()) for row in rows] == [" ".join(row.split()) for row in ROWS]


def test_damaged_folders_do_not_stop_the_list(call):
    Path("runs/first/record.json").write_text('{"version": 1, "na', encoding="utf-8")
    Path("runs/many/record.json").write_bytes(bytes(range(256)))
    Path("runs/swept/sweep.json").write_text("[]", encoding="utf-8")
    Path("runs/deep/inside/record.json").unlink()
    Path("runs/deep/inside/record.json").symlink_to("nowhere")
    done = call()
    assert done.exit_code == 0
    broken = [line.split()[-1] for line in done.stdout.splitlines() if line.startswith("cannot be read")]
    assert sorted(broken) == ["runs/deep/inside", "runs/first", "runs/many", "runs/swept"]
    assert "runs/swept/a=2" in done.stdout
    assert done.stderr.count("warning: ") == 4
    found = {one["folder"]: one for one in json.loads(call("--json").stdout)}
    assert found["runs/first"]["kind"] == "unreadable"
    assert "record.json' is no record that this snncompress reads" in found["runs/first"]["why"]


def test_the_list_as_json(call):
    found = {one["folder"]: one for one in json.loads(call("--json").stdout)}
    assert list(found) == [row.split()[-1] for row in ROWS]
    assert found["runs/many"]["accuracy"] == {"mean": 0.75, "std": 0.25, "n": 3, "values": [0.5, 0.75, 1.0]}
    assert (found["runs/many"]["kind"], found["runs/many"]["seeds"]) == ("seeds", [0, 1, 2])
    assert (found["runs/first"]["budgets"], found["runs/first"]["budgets_met"]) == (2, 1)
    assert datetime.fromisoformat(found["runs/first"]["when"]).timestamp() == ONE.timestamp() + 60
    assert (found["runs/swept"]["kind"], found["runs/swept"]["combinations"]) == ("sweep", 2)


def test_other_folders_and_none(call):
    assert call("runs/deep").stdout.count("runs/") == 2  # the folder, and that of its network
    assert call("runs/empty").stdout == "no finished run in 'runs/empty'\n"
    missing = call("nowhere")
    assert (missing.exit_code, missing.stderr) == (2, "'nowhere' does not exist; give a folder of runs\n")
    assert call("runs/first/record.json").stderr == "'runs/first/record.json' is a file; give a folder of runs\n"
    Path("runs").rename("others")
    assert call().stdout == "no finished run in 'runs'\n"
    assert json.loads(call("--json").stdout) == []
