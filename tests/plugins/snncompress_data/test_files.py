from __future__ import annotations

import pytest

from snncompress import DataError
from snncompress_data.fields import num_held_out
from snncompress_data.files import content_hash, existing, matching


@pytest.fixture
def folder(tmp_path):
    for name in ("train-0.bin", "train-1.bin", "test.bin"):
        (tmp_path / name).write_bytes(name.encode())
    return tmp_path


def test_a_missing_file_names_its_neighbour(folder):
    with pytest.raises(DataError, match=r"^train: '.*tset\.bin' does not exist; near: 'test\.bin'$"):
        existing(folder / "tset.bin", "train")


def test_a_missing_folder_says_how_far_the_path_is_right(folder):
    with pytest.raises(DataError) as caught:
        existing(folder / "a" / "b" / "c.bin", "train")
    assert f"there is no folder '{folder}/a/b'" in str(caught.value)
    assert str(caught.value).endswith(f"right up to '{folder}'")


def test_nothing_near_is_said_too(folder):
    with pytest.raises(DataError, match="no file of a similar name"):
        existing(folder / "zzz", "train")


def test_globs_give_files_in_name_order(folder):
    (folder / "train-folder").mkdir()
    assert [file.name for file in matching([f"{folder}/train-*"], "train")] == ["train-0.bin", "train-1.bin"]


def test_a_list_keeps_its_order(folder):
    names = ["train-1.bin", "train-0.bin"]
    assert [file.name for file in matching([f"{folder}/{name}" for name in names], "train")] == names


@pytest.mark.parametrize(
    ("patterns", "why"),
    [
        (["train-*", "train-0.bin"], "names the file '.*train-0.bin' twice"),
        (["valid-*"], "no file matches '.*valid-"),
        (["."], "is no file; name the files in it"),
    ],
)
def test_patterns_that_cannot_be_right_are_refused(folder, patterns, why):
    with pytest.raises(DataError, match=why):
        matching([f"{folder}/{pattern}" for pattern in patterns], "train")


def test_a_file_whose_name_holds_brackets_is_found_as_it_is(tmp_path):
    (tmp_path / "a[1].bin").write_bytes(b"")
    assert [file.name for file in matching([f"{tmp_path}/a[1].bin"], "train")] == ["a[1].bin"]


def test_the_hash_follows_content_and_order_alone(folder, tmp_path):
    copy = tmp_path / "copy"
    copy.write_bytes(b"train-0.bin")
    first, second = folder / "train-0.bin", folder / "train-1.bin"
    assert content_hash([first]) == content_hash([copy])
    assert content_hash([first]) != content_hash([second])
    assert content_hash([first, second]) != content_hash([second, first])


@pytest.mark.parametrize(
    ("held_out", "num_rows", "count"), [(1000, 10_000, 1000), (0.1, 10_000, 1000), (0.25, 10, 2), (1, 2, 1)]
)
def test_held_out_counts_are_exact(held_out, num_rows, count):
    assert num_held_out(held_out, num_rows, "here") == count


@pytest.mark.parametrize(("held_out", "num_rows"), [(10, 10), (0.1, 4), (0.9, 1), (1, 0)])
def test_both_parts_need_a_row(held_out, num_rows):
    with pytest.raises(DataError, match=rf"^here: 'validation: {held_out}' takes \d+ of {num_rows} training rows"):
        num_held_out(held_out, num_rows, "here")
