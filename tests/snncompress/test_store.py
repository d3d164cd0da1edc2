import json

import pytest
from filelock import FileLock, Timeout

from snncompress import Measurement
from snncompress.store import Store, write_aside

KEY = "ab" + "0" * 62
OTHER = "ab" + "1" * 62


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


def write(text):
    return lambda folder: (folder / "weights").write_text(text, encoding="utf-8")


def test_a_finished_step_is_there_with_its_notes(store):
    assert not store.has(KEY)
    store.finish(KEY, {"seconds": 1.5, "notes": {"a": [1]}}, write("one"))
    assert store.has(KEY)
    assert not store.has(OTHER)
    assert store.info(KEY) == {"seconds": 1.5, "notes": {"a": [1]}}
    assert (store.place(KEY) / "weights").read_text(encoding="utf-8") == "one"


def test_a_step_whose_files_were_deleted_or_cut_is_not_finished(store):
    store.finish(KEY, {}, write("one"))
    (store.place(KEY) / "weights").write_text("on", encoding="utf-8")
    assert not store.has(KEY)
    (store.place(KEY) / "weights").unlink()
    assert not store.has(KEY)


def test_finishing_again_replaces_the_whole_folder(store):
    store.finish(KEY, {}, lambda folder: (folder / "old").touch())
    store.finish(KEY, {}, write("two"))
    assert sorted(file.name for file in store.place(KEY).iterdir()) == ["step.json", "weights"]


def test_the_work_folder_goes_when_the_step_is_finished(store):
    store.work(KEY).mkdir(parents=True)
    (store.work(KEY) / "training.pt").touch()
    store.work(OTHER).mkdir()
    store.finish(KEY, {}, write("one"))
    assert not store.work(KEY).exists()
    assert store.work(OTHER).exists()


def fail_half_way(folder):
    (folder / "weights").write_text("half", encoding="utf-8")
    raise KeyboardInterrupt


def test_a_half_written_step_is_never_seen_as_finished(store):
    store.work(KEY).mkdir(parents=True)
    with pytest.raises(KeyboardInterrupt):
        store.finish(KEY, {}, fail_half_way)
    assert not store.has(KEY)
    assert not store.place(KEY).exists()
    assert store.work(KEY).exists()
    store.finish(KEY, {}, write("whole"))
    assert store.has(KEY)
    assert [file.name for file in store.place(KEY).parent.iterdir()] == [KEY]


def test_a_folder_without_its_last_file_is_not_finished(store):
    store.place(KEY).mkdir(parents=True)
    (store.place(KEY) / "weights").touch()
    assert not store.has(KEY)


def test_a_failed_replacement_leaves_the_old_step(store):
    store.finish(KEY, {}, write("one"))
    with pytest.raises(KeyboardInterrupt):
        store.finish(KEY, {}, fail_half_way)
    assert store.has(KEY)
    assert (store.place(KEY) / "weights").read_text(encoding="utf-8") == "one"


def test_writing_aside_shows_nothing_before_the_end(tmp_path):
    place = tmp_path / "deep" / "place"

    def fill(folder):
        (folder / "a").touch()
        assert folder != place
        assert not place.exists()

    write_aside(place, fill)
    assert [file.name for file in place.iterdir()] == ["a"]
    assert [file.name for file in place.parent.iterdir()] == ["place"]


def test_measurements_are_kept_under_keys_of_their_own(store):
    values = {
        "accuracy": Measurement(value=0.1 + 0.2, unit="1", how="3 of 10"),
        "parameters": Measurement(value=2**40, unit="parameters", how="all"),
        "firing_rate": Measurement(value=None, unit="1", how="no neurons"),
    }
    assert store.measurement(KEY) is None
    store.keep_measurement(KEY, values)
    assert store.measurement(KEY) == values
    assert type(store.measurement(KEY)["parameters"].value) is int
    assert store.measurement(OTHER) is None
    assert not store.has(KEY)


def test_what_was_last_run_at_a_place_is_remembered(store):
    assert store.last("name/step-0") is None
    store.remember("name/step-0", {"seed": "0"})
    store.remember("name/step-0", {"seed": "1"})
    store.remember("name/step-1", {"seed": "2"})
    assert (store.last("name/step-0"), store.last("name/step-1")) == ({"seed": "1"}, {"seed": "2"})


@pytest.mark.parametrize("what", ["last", "measurements"])
def test_who_reads_while_another_writes_sees_the_old_or_the_new_whole(store, what):
    """A file is replaced, never rewritten: one that was opened before still holds all of the old."""

    def write_both(number):
        store.remember("name/root", {"seed": str(number)})
        store.keep_measurement(KEY, {"a": Measurement(value=number, unit="1", how="")})

    write_both(1)
    (file,) = (store.folder / what).rglob("*.json")
    old = file.read_text(encoding="utf-8")
    with file.open(encoding="utf-8") as opened:
        write_both(2)
        assert opened.read() == old
    assert file.read_text(encoding="utf-8") != old
    assert store.last("name/root") == {"seed": "2"}
    assert store.measurement(KEY)["a"].value == 2
    assert [other.name for other in file.parent.iterdir()] == [file.name]


def test_files_can_be_read_by_people(store):
    store.finish(KEY, {"seconds": 1}, write("one"))
    text = (store.place(KEY) / "step.json").read_text(encoding="utf-8")
    assert json.loads(text) == {"seconds": 1, "files": {"weights": 3}}
    assert text == '{\n  "seconds": 1,\n  "files": {\n    "weights": 3\n  }\n}\n'


def test_one_holder_at_a_time_works_on_a_key(store):
    with store.lock(KEY), store.lock(OTHER), pytest.raises(Timeout):
        FileLock(store.place(KEY).with_suffix(".lock"), timeout=0).acquire()
    with store.lock(KEY):
        assert not store.has(KEY)


def test_what_a_power_cut_damaged_counts_as_not_there(store):
    store.finish(KEY, {"seconds": 1.0}, write("one"))
    store.keep_measurement(KEY, {"accuracy": Measurement(value=0.5, unit="1", how="")})
    store.remember("p/step-0", {"setting": "1"})
    for file in store.folder.rglob("*.json"):
        file.write_bytes(b"")
    assert not store.has(KEY)
    assert store.measurement(KEY) is None
    assert store.last("p/step-0") is None


def test_what_killed_processes_left_aside_goes_when_the_step_is_finished(store):
    left = store.place(KEY).with_name(f"{KEY}.aside-1")
    left.mkdir(parents=True)
    store.finish(KEY, {}, write("one"))
    assert not left.exists()


def test_waiting_for_another_process_is_said(store):
    said = []
    with store.lock(KEY, lambda: said.append("never")):
        pass
    assert said == []

    other = FileLock(store.place(KEY).with_suffix(".lock"))
    other.acquire()
    with store.lock(KEY, lambda: (said.append("waiting"), other.release())):
        assert said == ["waiting"]
