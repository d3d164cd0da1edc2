import json
from pathlib import Path

import pytest

from snncompress import InputError
from snncompress.record import Combination, Sweep
from snncompress.report import compare, read_entries, read_result, summarise


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
        dense, done, failed = read_entries([given])
        assert (dense.name, dense.settings, dense.values["accuracy"].spread.values) == ("dense", {}, (0.99,))
        assert (done.name, done.settings, done.values["accuracy"].spread.n) == (
            "fraction=0.5",
            {"steps.1.fraction": 0.5},
            1,
        )
        assert (failed.name, failed.failed, failed.values) == ("fraction=2", "why", {})
    with pytest.raises(InputError, match="'sweep' holds no record.json; compare shows a sweep"):
        read_result(folder)


def swept(folder, written, records, **more):
    """Write a sweep whose combinations left these records, by name; ``lr=0.1,fraction=0.5`` has these two settings."""
    combinations = [
        Combination(name=name, settings=dict(part.split("=") for part in name.split(",")), folder=name, **more)
        for name in records
    ]
    for name, one in records.items():
        written(f"{folder}/{name}", one)
    return written(folder, Sweep(name="tiny", over={}, combinations=combinations), "sweep.json")


def test_the_dense_network_of_a_sweep_stands_in_it_once(written, record, measured):
    """Three combinations of one seed compress the same network, which has 495 of 500 right and 4 mJ."""
    baseline = record().baseline | energy(measured, 4.0) | {"ms": measured(1.0, "ms", comparable=False)}
    records = {
        f"fraction={fraction}": record(
            right=right, baseline=495, final=record(right=right).final | energy(measured, 1.0)
        ).model_copy(update={"baseline": baseline | {"ms": measured(float(right), "ms", comparable=False)}})
        for fraction, right in ((0.5, 490), (0.75, 480), (0.9, 470))
    }
    entries = read_entries([swept("sweep", written, records)])
    assert [one.name for one in entries] == ["dense", "fraction=0.5", "fraction=0.75", "fraction=0.9"]
    assert [one.dense for one in entries] == [True, False, False, False]
    assert entries[0].values["accuracy"].spread.values == (0.99,)
    assert entries[0].energies["45nm"].values == (4.0,)
    assert (entries[0].seeds, entries[0].data) == ((0,), {"use": "digits", "size": 8})
    found = compare(entries)
    assert (found.baseline, found.verdict("accuracy", "fraction=0.9").images) == ("dense", pytest.approx(-25))
    assert compare(entries, baseline="fraction=0.5").baseline == "fraction=0.5"


def test_where_a_sweep_varies_how_networks_are_made_each_dense_one_is_named(written, record):
    records = {
        f"lr={lr},fraction={fraction}": record(right=right - 5, baseline=right)
        for lr, right in ((0.1, 480), (0.2, 490))
        for fraction in (0.5, 0.75)
    }
    first, second, *_ = read_entries([swept("sweep", written, records)])
    assert [(one.name, one.settings) for one in (first, second)] == [
        ("dense (lr=0.1)", {"lr": "0.1"}),
        ("dense (lr=0.2)", {"lr": "0.2"}),
    ]
    assert [one.values["accuracy"].spread.mean for one in (first, second)] == [0.96, 0.98]
    assert compare(read_entries([Path("sweep")])).baseline == "lr=0.1,fraction=0.5", "neither is that of all"


def test_a_sweep_that_compresses_nothing_has_no_dense_network(written, record):
    """Its baseline is the network before the first training."""
    records = {f"lr={lr}": record(right=480, baseline=50) for lr in (0.1, 0.2)}
    folder = swept("new", written, records, compresses=False)
    assert [one.name for one in read_entries([folder])] == ["lr=0.1", "lr=0.2"]
    records = {f"lr={lr}": record(right=right, baseline=right) for lr, right in ((0.1, 480), (0.2, 490))}
    folder = swept("old", written, records)  # 0.1.0 took the last network of such a pipeline for its baseline
    assert [one.name for one in read_entries([folder])] == ["lr=0.1", "lr=0.2"]


def test_a_sweep_written_before_it_said_whether_it_compresses_is_read(written, record):
    folder = swept("sweep", written, {"fraction=0.5": record(), "fraction=0.9": record(right=470)})
    data = json.loads((folder / "sweep.json").read_text())
    for one in data["combinations"]:
        del one["compresses"]
    (folder / "sweep.json").write_text(json.dumps(data))
    assert [one.name for one in read_entries([folder])] == ["dense", "fraction=0.5", "fraction=0.9"]


def test_dense_networks_of_several_sweeps_are_told_apart(written, record):
    folders = [swept(name, written, {"fraction=0.5": record(right=right)}) for name, right in (("a", 490), ("b", 480))]
    names = [one.name for one in read_entries(folders)]
    assert names == ["dense of a", "a/fraction=0.5", "dense of b", "b/fraction=0.5"]
    with pytest.raises(InputError, match="the same run is given twice"):
        read_entries([folders[0], folders[0] / "fraction=0.5"])
    with pytest.raises(InputError, match="the same run is given twice"):
        read_entries([folders[0], folders[0]])


def test_a_record_of_before_knows_chance_from_its_number_of_classes(written, record, accuracy):
    plain = accuracy(50).model_copy(update={"samples": None, "chance": None})
    pipeline = record().pipeline | {"model": {"use": "snntorch.convnet", "num_classes": 10}}
    known = written("known", record(final={"accuracy": plain}, pipeline=pipeline))
    unknown = written("unknown", record(final={"accuracy": plain}))
    found = compare(read_entries([known, unknown]))
    assert found.at_chance == {"known": (0,)}


def test_an_entry_says_whether_its_network_has_masks(written, record):
    entries = read_entries([written(str(masked), record(masked=masked)) for masked in (True, False, None)])
    assert [one.masked for one in entries] == [True, False, None]


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
