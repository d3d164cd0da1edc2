import json
from pathlib import Path

import pytest

from snncompress import InputError
from snncompress.record import Combination, Sweep
from snncompress.report import read_entries, read_result, summarise


@pytest.fixture
def written(tmp_path, monkeypatch):
    """Return a function that writes a record, a summary or a sweep into a folder."""
    monkeypatch.chdir(tmp_path)

    def write(folder, result, file="record.json"):
        Path(folder).mkdir(parents=True, exist_ok=True)
        result.write(Path(folder) / file)
        return Path(folder)

    return write


def energy(measured, mj):
    return {"energy": measured(mj, "mJ", detail={"models": [{"name": "45nm", "mj": mj, "parts": {}}]})}


def summary_in(folder, written, record, measured):
    records = [record(seed, final=energy(measured, mj)) for seed, mj in ((0, 1.0), (1, 3.0))]
    for one in records:
        written(f"{folder}/seed-{one.seed}", one)
    runs = [f"seed-{one.seed}" for one in records]
    pipeline = records[0].pipeline | {"seeds": [0, 1]}
    return written(folder, summarise(records, runs, pipeline=pipeline, met=lambda *_: True))


def test_a_record_and_a_summary_are_told_apart(written, record, measured):
    assert read_result(written("one", record(3))) == record(3)
    assert read_result(summary_in("both", written, record, measured)).seeds == (0, 1)


def test_an_entry_has_the_seeds_data_values_and_energies_of_its_runs(written, record, measured):
    single, both = read_entries([written("one", record(3, "other")), summary_in("both", written, record, measured)])
    assert (single.name, single.folder, single.seeds) == ("other", "one", (3,))
    assert single.values["accuracy"].spread.values == (0.98,)
    assert (both.name, both.seeds, both.data) == ("tiny", (0, 1), {"use": "digits", "size": 8})
    assert both.values["energy"].spread.mean == 2.0
    assert both.energies["45nm"].values == (1.0, 3.0)


def test_a_summary_whose_runs_are_gone_is_compared_without_energy_models(written, record, measured):
    folder = summary_in("both", written, record, measured)
    (folder / "seed-1" / "record.json").unlink()
    both, _ = read_entries([folder, written("one", record(3, "other"))])
    assert both.energies == {}


def test_a_sweep_stands_for_its_combinations(written, record):
    found = Sweep(
        name="tiny",
        over={"steps.1.fraction": (0.5, 2)},
        combinations=(
            Combination(name="fraction=0.5", settings={"steps.1.fraction": 0.5}, folder="fraction=0.5"),
            Combination(name="fraction=2", settings={"steps.1.fraction": 2}, folder="fraction=2", failed="why"),
        ),
    )
    folder = written("sweep", found, "sweep.json")
    written("sweep/fraction=0.5", record())
    for given in (folder, folder / "sweep.json"):
        done, failed = read_entries([given])
        assert (done.name, done.settings, done.values["accuracy"].spread.n) == (
            "fraction=0.5",
            {"steps.1.fraction": 0.5},
            1,
        )
        assert (failed.name, failed.failed, failed.values) == ("fraction=2", "why", {})
    with pytest.raises(InputError, match="'sweep' holds no record.json; compare shows a sweep"):
        read_result(folder)


def test_entries_of_one_name_are_told_apart_by_their_folders(written, record):
    places = ["a/x", "b/x", "b/y"]
    names = [entry.name for entry in read_entries([written(place, record()) for place in places])]
    assert names == ["a/x", "b/x", "b/y"]
    first, second, third = read_entries(
        [written("c/p", record()), written("c/q", record()), written("c/r", record(name="q"))]
    )
    assert len({first.name, second.name, third.name}) == 3
    assert third.name == "q"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "is no record that this snncompress reads: Expecting property name"),
        ("[]", "is no record that this snncompress reads: "),
        ('{"name": 3}', "is no record that this snncompress reads: name: "),
        ('{"version": 2, "new": 1}', "is of version 2, and this snncompress reads version 1"),
        ('{"version": "1", "seeds": [0]}', "is of version '1', and this snncompress reads version 1"),
    ],
)
def test_what_is_no_record_is_one_clear_line(tmp_path, text, said):
    (tmp_path / "record.json").write_text(text)
    with pytest.raises(InputError) as caught:
        read_result(tmp_path)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_folders_without_records_and_too_few_runs_are_refused(written, record):
    with pytest.raises(InputError, match="'nothing' holds no record.json; give the folder of a finished run"):
        read_entries([Path("nothing"), written("one", record())])
    with pytest.raises(InputError, match="needs two runs or more"):
        read_entries([written("one", record())])
    with pytest.raises(InputError, match="the same run is given twice"):
        read_entries([Path("one"), Path("one")])


def test_a_record_written_before_directions_were_known_is_still_read(written, record):
    folder = written("old", record())
    data = json.loads((folder / "record.json").read_text())
    for value in data["final"].values():
        value.pop("better", None)
    (folder / "record.json").write_text(json.dumps(data))
    assert read_result(folder).final["accuracy"].better is None
