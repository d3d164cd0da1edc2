from __future__ import annotations

import io
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

from snncompress import DataError, Inputs
from snncompress_data import Parquet

IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


@pytest.fixture
def write(tmp_path, png):
    """Return a function that writes a file of 2 x 2 images, each of one grey value, and returns its path."""

    def to_file(name, values, labels, *, metadata=None, images=None, columns=("image", "label")):
        rows = (
            [{"bytes": png(np.full((2, 2, 3), value)), "path": None} for value in values] if images is None else images
        )
        table = pa.table({columns[0]: pa.array(rows, IMAGE), columns[1]: pa.array(labels, pa.int64())})
        path = tmp_path / name
        pq.write_table(table.replace_schema_metadata(metadata), path)
        return str(path)

    return to_file


@pytest.fixture
def files(write):
    """Ten training rows of the values 0..9 and four test rows of the values 100..103, three classes."""
    return {
        "train": write("train.parquet", range(10), [0, 1, 2, 0, 1, 2, 0, 1, 2, 0]),
        "test": write("test.parquet", range(100, 104), [2, 1, 0, 2]),
    }


def dataset(files, **settings):
    return Parquet(**{**files, "size": 2, "num_classes": 3, **settings})


def values(split):
    return [round(float(x_CHW.mean() * 255)) for x_CHW, _ in split]


def labels(split):
    return [label for _, label in split]


def test_the_last_training_rows_validate(files):
    data = dataset(files, validation=3).load(0)
    assert values(data.train) == [0, 1, 2, 3, 4, 5, 6]
    assert values(data.validation) == [7, 8, 9]
    assert values(data.test) == [100, 101, 102, 103]
    assert labels(data.train) == [0, 1, 2, 0, 1, 2, 0]
    assert labels(data.validation) == [1, 2, 0]
    assert labels(data.test) == [2, 1, 0, 2]


def test_a_tenth_validates_by_default(files):
    data = dataset(files).load(0)
    assert [len(data.train), len(data.validation)] == [9, 1]


def test_limits_come_before_the_validation_rows(files):
    data = dataset(files, limit_train=5, limit_test=2, validation=0.4).load(0)
    assert values(data.train) == [0, 1, 2]
    assert data.inputs.num_train == 3
    assert values(data.validation) == [3, 4]
    assert values(data.test) == [100, 101]


def test_several_files_follow_one_another(files, write):
    more = write("train-2.parquet", range(20, 23), [0, 1, 2])
    for train in ([files["train"], more], [more, files["train"]]):
        data = dataset({**files, "train": train}, limit_train=12, validation=2).load(0)
        expected = [*range(10), 20, 21] if train[0] == files["train"] else [20, 21, 22, *range(9)]
        assert values(data.train) + values(data.validation) == expected


def test_a_limit_within_the_first_file_reads_no_second(files, write):
    broken = write("train-2.parquet", [], [0], images=[{"bytes": b"no image", "path": None}])
    data = dataset({**files, "train": [files["train"], broken]}, limit_train=10).load(0)
    assert values(data.train) == list(range(9))


def test_a_glob_names_files_in_order(tmp_path, files, write):
    write("part-1.parquet", [1], [1])
    write("part-0.parquet", [0], [0])
    data = dataset({**files, "train": f"{tmp_path}/part-*.parquet"}, validation=1).load(0)
    assert values(data.train) + values(data.validation) == [0, 1]


def test_many_row_groups_are_read_in_order(files, write):
    path = write("groups.parquet", range(200), [0] * 200)
    pq.write_table(pq.read_table(path), path, row_group_size=7)
    assert values(dataset({**files, "test": path}, limit_test=150).load(0).test) == list(range(150))


def test_colours_are_scaled_and_normalised(files, write, png):
    pixel = png(np.array([[[255, 51, 0]]]))
    path = write("colour.parquet", [], [0], images=[{"bytes": pixel, "path": None}])
    plain = dataset({**files, "test": path}, size=1).load(0).test[0][0]
    assert plain.flatten().tolist() == pytest.approx([1.0, 0.2, 0.0])
    normal = dataset({**files, "test": path}, size=1, mean=[0.5, 0.2, 0.1], std=[0.5, 1, 0.2]).load(0).test[0][0]
    assert normal.flatten().tolist() == pytest.approx([1.0, 0.0, -0.5], abs=1e-6)


def test_grey_is_one_channel_and_other_sizes_are_resized(files):
    settings = dataset(files, size=[3, 5], channels=1)
    assert settings.inputs() == Inputs((1, 3, 5), 3, num_train=9)
    x_BCHW, labels_B = settings.load(0).test.__getitems__([3, 0])
    assert (x_BCHW * 255).round().unique(dim=0).flatten(1).unique(dim=1).flatten().tolist() == [100, 103]
    assert x_BCHW.shape == (2, 1, 3, 5)
    assert labels_B.tolist() == [2, 2]


def test_the_class_names_give_the_number_of_classes(write):
    features = {"label": {"names": ["ant", "bee", "cow", "doe"], "_type": "ClassLabel"}}
    metadata = {"huggingface": json.dumps({"info": {"features": features}})}
    files = {"train": write("a.parquet", [1, 2], [0, 1], metadata=metadata), "test": write("b.parquet", [1], [0])}
    assert Parquet(**files, size=2, validation=1).inputs() == Inputs((3, 2, 2), 4, num_train=1)
    assert Parquet(**files, size=2, validation=1, num_classes=7).inputs().num_classes == 7


@pytest.mark.parametrize("metadata", [None, {"huggingface": "{"}, {"huggingface": '{"info": 3}'}])
def test_without_class_names_their_number_must_be_set(files, write, metadata):
    train = write("bare.parquet", [1, 2], [0, 1], metadata=metadata)
    with pytest.raises(DataError, match=r"bare\.parquet' does not list the names of its classes; set 'num_classes'"):
        dataset({**files, "train": train}, num_classes=None).inputs()


@pytest.fixture
def ambiguous(tmp_path):
    """A file with two image columns and two integer columns."""
    rows = pa.array([{"bytes": b"", "path": None}], IMAGE)
    number = pa.array([1], pa.int32())
    path = tmp_path / "ambiguous.parquet"
    pq.write_table(pa.table({"left": rows, "right": rows, "fine": number, "coarse": number, "name": ["a"]}), path)
    return str(path)


def test_ambiguous_columns_must_be_named(files, ambiguous):
    both = {**files, "train": ambiguous}
    with pytest.raises(
        DataError, match=r"several columns of a struct with a field 'bytes': 'left', 'right'; set 'image'"
    ):
        dataset(both).inputs()
    with pytest.raises(DataError, match="several columns of integers: 'fine', 'coarse'; set 'label'"):
        dataset(both, image="left").inputs()


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"image": "lft"}, "image: .* has no column 'lft'; did you mean 'left'"),
        ({"image": "name"}, "image: column 'name' of .* is string, not a struct with a field 'bytes'"),
        ({"image": "left", "label": "name"}, "label: column 'name' of .* is string, not integers"),
    ],
)
def test_named_columns_must_be_there_and_fit(ambiguous, files, settings, why):
    with pytest.raises(DataError, match=why):
        dataset({**files, "train": ambiguous}, **settings).inputs()


def test_columns_of_the_test_files_are_checked_too(tmp_path, files):
    pq.write_table(pa.table({"text": ["a"], "label": [1]}), tmp_path / "text.parquet")
    with pytest.raises(
        DataError, match=r"text\.parquet' has no column of a struct .*; set 'image' \(columns: 'text', 'label'\)"
    ):
        dataset({**files, "test": str(tmp_path / "text.parquet")}).inputs()


@pytest.mark.parametrize(
    ("rows", "why"),
    [
        ([0, 3, 1], r"2\.parquet': 1 of 3 labels lie outside 0\.\.2, the first is 3 in row 1"),
        ([0, -1, 1], r"outside 0\.\.2, the first is -1 in row 1"),
        ([0, 1, None], r"2\.parquet': row 2 has no label"),
        ([], r"2\.parquet': there are no rows"),
    ],
)
def test_wrong_labels_are_refused_before_any_image_is_decoded(files, write, rows, why):
    path = write("test-2.parquet", [], rows, images=[{"bytes": b"no image", "path": None}] * len(rows))
    with pytest.raises(DataError, match=why):
        dataset({**files, "test": path}).load(0)


@pytest.mark.parametrize(
    ("image", "why"),
    [
        ({"bytes": b"no image", "path": None}, r"2\.parquet', row 1, is no readable image"),
        ({"bytes": None, "path": "cat.png"}, r"row 1, holds no image bytes \(its path is 'cat\.png'\)"),
        (None, r"row 1, holds no image bytes \(its path is None\)"),
    ],
)
def test_a_row_that_is_no_image_is_named_at_its_first_use(files, write, png, image, why):
    sound = {"bytes": png(np.zeros((2, 2))), "path": None}
    data = dataset({**files, "test": write("test-2.parquet", [], [0, 1], images=[sound, image])}).load(0)
    assert len(data.train) == 9
    with pytest.raises(DataError, match=why):
        data.test[0]


@pytest.mark.parametrize("content", [b"", b"no parquet", b"PAR1 cut short"])
def test_a_file_that_is_no_parquet_is_refused(tmp_path, files, content):
    (tmp_path / "broken.parquet").write_bytes(content)
    with pytest.raises(DataError, match=r"broken\.parquet' cannot be read as parquet: "):
        dataset({**files, "train": str(tmp_path / "broken.parquet")}).inputs()


def test_damaged_pages_are_refused(tmp_path, files):
    content = bytearray((tmp_path / "train.parquet").read_bytes())
    content[4:200] = b"\xff" * 196
    (tmp_path / "damaged.parquet").write_bytes(content)
    settings = dataset({**files, "train": str(tmp_path / "damaged.parquet")})
    with pytest.raises(DataError, match=r"damaged\.parquet' cannot be read as parquet: "):
        settings.load(0).train[0]


def test_missing_files_are_named_with_their_neighbours(files):
    settings = dataset({**files, "test": files["test"].replace("test.", "tset.")})
    for method in (settings.inputs, settings.fingerprint, lambda: settings.load(0)):
        with pytest.raises(DataError, match=r"test: '.*tset\.parquet' does not exist; near: 'test\.parquet'"):
            method()


def test_testing_on_training_rows_is_refused(files):
    with pytest.raises(DataError, match="also a file of 'train'"):
        dataset({**files, "test": files["train"]}).inputs()


def test_the_fingerprint_follows_the_content(files, write):
    first = dataset(files).fingerprint()
    assert dataset(files, limit_test=1).fingerprint() == first
    write("test.parquet", range(100, 104), [2, 1, 0, 1])
    assert dataset(files).fingerprint() != first


def real(cifar, **settings):
    files = {"train": str(cifar / "train.parquet"), "test": str(cifar / "test.parquet")}
    return Parquet(**files, size=32, num_classes=10, **settings)


def test_cifar_10_s_trains_on_9000_rows_and_validates_on_1000(cifar):
    data = real(cifar, limit_train=10_000, validation=1000).load(0)
    assert [len(data.train), len(data.validation), len(data.test)] == [9000, 1000, 10_000]
    assert data.inputs.num_train == 9000
    expected = pq.read_table(cifar / "train.parquet", columns=["label"])["label"].to_pylist()[:10_000]
    found = [int(label) for split in (data.train, data.validation) for label in split.labels_N[split.rows]]
    assert found == expected


def test_cifar_images_are_those_that_pillow_decodes(cifar):
    data = real(cifar, limit_train=20, limit_test=20, validation=5).load(0)
    rows = next(pq.ParquetFile(cifar / "train.parquet").iter_batches(20)).to_pylist()
    for position, split, index in ((0, data.train, 0), (14, data.train, 14), (19, data.validation, 4)):
        with Image.open(io.BytesIO(rows[position]["img"]["bytes"])) as image:
            pixels_HWC = np.asarray(image.convert("RGB"))
        x_CHW, label = split[index]
        assert torch.equal((x_CHW * 255).round().byte(), torch.from_numpy(pixels_HWC.transpose(2, 0, 1).copy()))
        assert label == rows[position]["label"]


def test_cifar_needs_its_number_of_classes(cifar):
    assert real(cifar).inputs() == Inputs((3, 32, 32), 10, num_train=45_000)
    with pytest.raises(DataError, match="set 'num_classes'"):
        real(cifar).model_copy(update={"num_classes": None}).inputs()
