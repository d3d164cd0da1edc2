import shutil
from pathlib import Path

import pytest
from own_networks import JellyNet

from snncompress import ArtifactError, Host, Time, declare, load, run, save

PIPELINE = {
    "version": 1,
    "name": "small",
    "model": {"use": "snntorch.convnet", "channels": [4]},
    "data": {"use": "digits", "size": 8},
    "timesteps": 2,
    "steps": [{"use": "train", "epochs": 1, "batch_size": 500}],
    "speed": "reference",
}


@pytest.fixture
def host(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return Host.from_environment()


def artifact(folder):
    save(declare(JellyNet(), Time("multi_step", 4)), folder)


def told(place):
    with pytest.raises(ArtifactError) as caught:
        load(place, allow_code=True)
    return str(caught.value)


def test_a_network_is_loaded_from_the_artifact_or_the_run(host):
    folder = run(PIPELINE, silent=True, host=host).folder
    for place in (folder, folder / "final", str(folder), "runs/small/"):
        assert load(place, host=host).time.T == 2
    further = PIPELINE | {"name": "further", "model": "file:runs/small"}
    assert run(further, silent=True, host=host).network.time.T == 2


@pytest.mark.parametrize("around", [("seed-0", "seed-1"), ("fraction=0.5", "fraction=0.75"), ("a/seed-0", "a/seed-1")])
def test_several_runs_are_listed(host, around):
    for name in around:
        artifact(f"runs/x/{name}/final")
    expected = ", ".join(f"runs/x/{name}" for name in around)
    assert told("runs/x") == f"'runs/x' holds several runs; give one of them: {expected}"
    assert load(f"runs/x/{around[0]}", allow_code=True).time.T == 4


def test_what_leads_to_no_artifact(host):
    artifact("runs/small/final")
    assert told("runs/smal") == "'runs/smal' does not exist; near: 'runs/small'"
    assert told("nowhere/x") == "'nowhere/x' does not exist; there is no folder 'nowhere'"
    assert told("runs/small/final/network.json") == (
        "'runs/small/final/network.json' is a file, and an artifact is a folder; give its folder, 'runs/small/final'"
    )
    Path("empty").mkdir()
    assert told("empty") == "'empty' is no artifact: it holds no network.json, and no finished run"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "damaged: Expecting value"),
        ("[" * 100_000, "damaged: "),
        ("[]", "is no description of an artifact"),
        ('{"version": 1, "architecture": {}, "time": {}, "edits": [], "snapshots": []}', "architecture has no 'use'"),
        ('{"version": 1, "architecture": {}, "time": 3, "edits": [], "snapshots": []}', "'time' is 'int'"),
        ('{"version": 1, "architecture": {}, "time": {}, "edits": 3, "snapshots": []}', "'edits' is 'int'"),
    ],
)
def test_a_damaged_description_is_one_line(host, text, said):
    artifact("x")
    Path("x/network.json").write_text(text, encoding="utf-8")
    assert said in told("x")


def test_an_edit_that_cannot_be_read_is_one_line(host):
    artifact("x")
    description = Path("x/network.json").read_text(encoding="utf-8")
    Path("x/network.json").write_text(description.replace('"edits": []', '"edits": [{"cut": 1}]'), encoding="utf-8")
    assert told("x") == "network.json is damaged: what it says of an edit cannot be read: 'edit'"
    shutil.rmtree("x")
