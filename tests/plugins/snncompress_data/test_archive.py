from __future__ import annotations

import numpy as np
import pytest
import torch

from snncompress import DataError, Inputs
from snncompress_data import NumpyArchive

X_TRAIN = np.arange(5 * 1 * 2 * 3, dtype=np.float32).reshape(5, 1, 2, 3)


def arrays(**changes):
    """Return a sound archive with changes; None takes an array away."""
    sound = {
        "x_train": X_TRAIN,
        "y_train": np.array([0, 1, 2, 0, 1]),
        "x_validation": X_TRAIN[:2] + 100,
        "y_validation": np.array([1, 0]),
        "x_test": X_TRAIN[:3] + 200,
        "y_test": np.array([2, 1, 0], dtype=np.uint8),
    }
    return {key: value for key, value in {**sound, **changes}.items() if value is not None}


@pytest.fixture
def archive(tmp_path):
    """Return a function that writes an archive and returns its settings."""

    def write(changes=None, **settings):
        file = tmp_path / "data.npz"
        np.savez_compressed(file, **arrays(**(changes or {})))
        return NumpyArchive(file=str(file), **{"num_classes": 3, **settings})

    return write


def test_the_splits_hold_the_arrays(archive):
    data = archive().load(0)
    assert [len(split) for split in (data.train, data.validation, data.test)] == [5, 2, 3]
    x_BCHW, labels_B = data.train.__getitems__([4, 0])
    assert torch.equal(x_BCHW, torch.from_numpy(X_TRAIN[[4, 0]]))
    assert labels_B.tolist() == [1, 0]
    assert data.validation[1][0].flatten().tolist() == [106, 107, 108, 109, 110, 111]
    assert data.test[2][1] == 0


def test_bytes_are_scaled(archive):
    x_train = np.array([0, 51, 255], dtype=np.uint8).reshape(1, 1, 1, 3).repeat(5, axis=0)
    data = archive({"x_train": x_train, "x_validation": x_train[:2], "x_test": x_train[:3]}).load(0)
    assert data.train[0][0].flatten().tolist() == [0.0, np.float32(0.2), 1.0]


@pytest.mark.parametrize("dtype", [np.float16, np.float64, ">f4", np.bool_])
def test_other_numbers_become_float32(archive, dtype):
    ones = np.ones((5, 1, 2, 3), dtype=dtype)
    data = archive({"x_train": ones, "x_validation": ones[:2], "x_test": ones[:3]}).load(0)
    assert data.train[0][0].dtype == torch.float32
    assert data.train[0][0].sum() == 6


@pytest.mark.parametrize(
    ("shape", "inputs"),
    [
        ((5, 2, 3), Inputs((1, 2, 3), 3, "static", 5)),
        ((5, 4, 2, 3), Inputs((4, 2, 3), 3, "static", 5)),
        ((5, 6, 2, 4, 3), Inputs((6, 2, 4, 3), 3, "frames", 5)),
    ],
)
def test_the_number_of_axes_says_what_the_samples_are(archive, shape, inputs):
    zeros = np.zeros(shape, dtype=np.float32)
    dataset = archive({"x_train": zeros, "x_validation": zeros[:2], "x_test": zeros[:3]})
    assert dataset.inputs() == inputs
    data = dataset.load(0)
    assert data.inputs == inputs
    assert data.train.__getitems__([0, 1])[0].shape == (2, *inputs.shape)


def test_fortran_order_keeps_its_places(archive):
    x_test = np.asfortranarray(X_TRAIN[:3])
    assert torch.equal(archive({"x_test": x_test}).load(0).test[1][0], torch.from_numpy(X_TRAIN[1]))


@pytest.mark.parametrize("validation", [2, 0.4])
def test_the_last_training_rows_validate_where_the_archive_holds_none(archive, validation):
    dataset = archive({"x_validation": None, "y_validation": None}, validation=validation)
    data = dataset.load(0)
    assert [len(data.train), len(data.validation)] == [3, 2]
    assert dataset.inputs().num_train == 3
    assert torch.equal(data.validation[0][0], torch.from_numpy(X_TRAIN[3]))
    assert [label for _, label in data.validation] == [0, 1]


def test_inputs_read_the_header_alone(archive):
    dataset = archive()
    with open(dataset.file, "r+b") as stream:  # noqa: PTH123 - the values of x_train end up unreadable
        start = stream.read().index(b"x_train.npy")
        stream.seek(start + 110)
        stream.write(b"\xff" * 20)
    with pytest.raises(DataError, match=r"'x_train', cannot be read as \.npz"):
        dataset.load(0)


def test_inputs_need_no_other_array(tmp_path):
    np.savez(tmp_path / "data.npz", x_train=X_TRAIN)
    assert NumpyArchive(file=str(tmp_path / "data.npz"), num_classes=3).inputs() == Inputs((1, 2, 3), 3, num_train=5)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"x_test": None}, "holds no array 'x_test'; did you mean 'y_test'"),
        ({"y_train": None}, "holds no array 'y_train'"),
        ({"x_train": None, "x_tran": X_TRAIN}, "no array 'x_train'; did you mean 'x_tran'"),
        ({"x_train": X_TRAIN.astype(int)}, "'x_train' has dtype 'int64'; store floating point, boolean or uint8"),
        ({"x_train": X_TRAIN.astype(object)}, "'x_train' has dtype 'object'"),
        ({"x_train": X_TRAIN[0, 0]}, r"'x_train' has shape \[2, 3\]; it should be \[N, H, W\], "),
        ({"x_train": X_TRAIN[:0]}, "'x_train' is empty"),
        ({"x_validation": X_TRAIN[:0]}, "'x_validation' is empty"),
        (
            {"x_test": X_TRAIN[:3, :, :, :2]},
            r"'x_test' has samples of shape \[1, 2, 2\], those of 'x_train' have \[1, 2, 3\]",
        ),
        ({"x_test": X_TRAIN[:3] * np.nan}, "'x_test' holds values that are not finite"),
        ({"x_test": X_TRAIN[:3].astype(np.float64) + 1e300}, "'x_test' holds values that are not finite"),
        ({"y_test": np.array([0, 1])}, r"'y_test' has shape \[2\]; 3 samples need labels of shape \[3\]"),
        ({"y_test": np.zeros((3, 1), dtype=int)}, r"'y_test' has shape \[3, 1\]"),
        ({"y_test": np.array([0.0, 1.0, 2.0])}, "'y_test' has dtype 'float64'; labels are integers"),
        ({"y_test": np.array([0, 1, 3])}, r"'y_test': 1 of 3 labels lie outside 0\.\.2, the first is 3 in row 2"),
        ({"y_test": np.array([0, 1, None])}, "'y_test' has dtype 'object'"),
        ({"x_validation": None, "y_validation": None}, "holds no x_validation; set 'validation'"),
    ],
)
def test_malformed_archives_are_refused(archive, changes, why):
    dataset = archive(changes)
    with pytest.raises(DataError, match=why) as caught:
        dataset.load(0)
    assert "data.npz" in str(caught.value)


def test_two_sources_of_validation_are_refused(archive):
    with pytest.raises(DataError, match=r"holds x_validation; remove 'validation: 0\.2'"):
        archive(validation=0.2).load(0)


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x03\x04 cut short"])
def test_what_is_no_archive_is_refused(tmp_path, content):
    (tmp_path / "data.npz").write_bytes(content)
    with pytest.raises(DataError, match=r"data\.npz' cannot be read as \.npz: "):
        NumpyArchive(file=str(tmp_path / "data.npz"), num_classes=3).inputs()


def test_a_missing_archive_is_named_with_its_neighbour(archive):
    dataset = archive()
    missing = dataset.model_copy(update={"file": dataset.file.replace("data", "dta")})
    for method in (missing.inputs, missing.fingerprint, lambda: missing.load(0)):
        with pytest.raises(DataError, match=r"file: '.*dta\.npz' does not exist; near: 'data\.npz'"):
            method()


def test_the_fingerprint_follows_the_content(archive):
    first = archive().fingerprint()
    assert archive().fingerprint() == first
    assert archive({"y_test": np.array([0, 0, 0])}).fingerprint() != first
