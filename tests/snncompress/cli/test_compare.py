import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from snncompress import Measurement, Record, Summary
from snncompress.cli import main


@pytest.fixture
def runs(tmp_path, monkeypatch):
    """Three folders with records written by hand: dense, 75 % and 94 % sparse, of one seed."""
    monkeypatch.chdir(tmp_path)
    for name, right, left in (("dense", 490, 1000), ("sparse75", 489, 250), ("sparse94", 464, 60)):
        how = f"{right} of 500 test samples, mean output over 4 step(s)"
        final = {
            "accuracy": Measurement(value=right / 500, unit="1", how=how, better="higher"),
            "parameters_nonzero": Measurement(value=left, unit="parameters", how="by hand", better="lower"),
        }
        pipeline = {"name": name, "seed": 0, "data": {"use": "digits"}}
        Path(name).mkdir()
        record = Record(
            name=name, pipeline=pipeline, environment={}, steps=(), baseline=final, final=final, artifact="final"
        )
        record.write(Path(name) / "record.json")
    return ["dense", "sparse75", "sparse94"]


def test_three_runs_are_shown_side_by_side_and_no_single_run_is_called_better(runs):
    done = CliRunner().invoke(main, ["compare", *runs])
    assert done.exit_code == 0
    for name in runs:
        assert name in done.stdout
    assert "0.9800" in done.stdout
    assert done.stdout.count("too few seeds") == 5
    assert "too few seeds: a verdict needs 3 or more; give seeds: [0, 1, 2]" in done.stdout
    assert "better" not in done.stdout


def test_the_page_is_written_where_it_is_wanted(runs):
    done = CliRunner().invoke(main, ["compare", *runs, "--output", "page.html"])
    assert done.exit_code == 0
    page = Path("page.html").read_text(encoding="utf-8")
    assert all(name in page for name in runs)


def test_the_table_is_written_where_it_is_wanted(runs):
    done = CliRunner().invoke(main, ["compare", *runs, "--csv", "table.csv", "--json"])
    assert done.exit_code == 0
    assert json.loads(done.stdout)["baseline"] == "dense"
    lines = Path("table.csv").read_text(encoding="utf-8").splitlines()
    assert lines[0] == "run,value,unit,mean,std,n,verdict,against,difference,low,high,p,pairs,failed"
    assert lines[1] == "dense,accuracy,1,0.98,,1,,,,,,,,"
    assert lines[6].startswith("sparse94,parameters_nonzero,parameters,60.0,,1,too few seeds,dense,-940.0,,,,1")


@pytest.mark.parametrize("option", ["--csv", "--output"])
def test_a_file_in_no_folder_is_refused(runs, option):
    done = CliRunner().invoke(main, ["compare", *runs, option, "tables/one"])
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr == f"{option} 'tables/one': there is no folder 'tables'; make it first\n"


def test_three_seeds_are_judged_without_torch(runs):
    """The t-test comes from scipy, and pandas is asked for nothing."""
    for name in runs[:2]:
        final = Record.read(Path(name)).final
        value = final["accuracy"].value
        entries = {"spread": {"mean": value, "std": 0.002, "n": 3, "values": [value - 0.002, value, value + 0.002]}}
        summary = Summary(
            name=name,
            pipeline={"name": name, "data": {"use": "digits"}},
            environment={},
            seeds=(0, 1, 2),
            runs=("a", "b", "c"),
            baseline={},
            final={"accuracy": {**entries, "unit": "1", "how": "by hand", "better": "higher"}},
        )
        summary.write(Path(name) / "record.json")
    program = (
        "import sys\nfrom snncompress.cli import main\n"
        "try: main(['compare', 'dense', 'sparse75', '--csv', 't.csv'])\nexcept SystemExit as end: assert not end.code\n"
        "heavy = {'torch', 'pandas', 'timm', 'spikingjelly', 'snntorch', 'sklearn'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, env=os.environ)
    assert done.returncode == 0, done.stderr
    assert "sparse75,accuracy,1,0.978," in Path("t.csv").read_text()


@pytest.mark.parametrize(
    "arguments", [["compare", "dense", "sparse94"], ["report", "dense"], ["report", "dense", "--json"]]
)
def test_it_imports_neither_torch_nor_an_snn_library(runs, arguments):
    program = (
        "import sys\nfrom snncompress.cli import main\n"
        f"try: main({arguments!r}, prog_name='snncompress')\nexcept SystemExit as end: assert end.code == 0, end.code\n"
        "heavy = {'torch', 'timm', 'spikingjelly', 'snntorch', 'sklearn'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, env=os.environ)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["dense"], "a comparison needs two runs or more; give two folders of finished runs, or that of a sweep"),
        (["dense", "dense/record.json"], "the same run is given twice; give each once"),
        (["dense", "old"], "'old/record.json' is of version 9, and this snncompress reads version 1; install another"),
        (["dense", "empty"], "'empty' holds no record.json; give the folder of a finished run"),
        (
            ["dense", "sparse94", "--cost", "energi"],
            "cost 'energi' is no value that all runs have; known: accuracy, parameters_nonzero",
        ),
        (
            ["dense", "sparse94", "--baseline", "sparse75"],
            "baseline 'sparse75' is none of the runs that have values; did you mean 'sparse94'?",
        ),
    ],
)
def test_what_cannot_be_compared_is_one_line_and_exit_code_2(runs, arguments, line):
    Path("empty").mkdir()
    Path("old").mkdir()
    Path("old/record.json").write_text('{"version": 9}')
    done = CliRunner().invoke(main, ["compare", *arguments])
    assert (done.exit_code, done.stdout, done.stderr) == (2, "", f"{line}\n")
