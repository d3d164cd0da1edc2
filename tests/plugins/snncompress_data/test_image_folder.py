from __future__ import annotations

import os

import numpy as np
import pytest
import torch

from snncompress import DataError, Inputs
from snncompress_data import ImageFolder


def grey(value):
    return np.full((2, 2), value)


@pytest.fixture
def root(tmp_path, png):
    """Two classes of four training images and one test image each; image i of class c has the value 100 c + i."""
    for split, number in (("train", 4), ("test", 1)):
        for label, name in enumerate(("ant", "bee")):
            folder = tmp_path / split / name
            folder.mkdir(parents=True)
            for index in range(number):
                (folder / f"{index}.png").write_bytes(png(grey(100 * label + index)))
    return tmp_path


def dataset(root, **settings):
    return ImageFolder(root=str(root), **{"size": 2, "channels": 1, "validation": 0.25, **settings})


def values(split):
    return [round(float(split[index][0].mean() * 255)) for index in range(len(split))]


def test_classes_are_the_folders_in_name_order(root):
    data = dataset(root).load(0)
    assert dataset(root).classes() == ("ant", "bee")
    assert [(value, label) for value, (_, label) in zip(values(data.test), data.test, strict=True)] == [
        (0, 0),
        (100, 1),
    ]


@pytest.mark.parametrize("validation", [1, 0.25])
def test_the_last_images_of_each_class_validate(root, validation):
    data = dataset(root, validation=validation).load(0)
    assert values(data.train) == [0, 1, 2, 100, 101, 102]
    assert values(data.validation) == [3, 103]


def test_a_validation_folder_is_used(root, png):
    (root / "validation" / "bee").mkdir(parents=True)
    (root / "validation" / "bee" / "a.png").write_bytes(png(grey(77)))
    data = dataset(root, validation=None).load(0)
    assert values(data.train) == [0, 1, 2, 3, 100, 101, 102, 103]
    assert [(values(data.validation), data.validation[0][1])] == [([77], 1)]
    with pytest.raises(DataError, match=r"has a folder 'validation'; remove 'validation: 0\.25'"):
        dataset(root).load(0)


def test_the_limit_is_per_class_and_split(root):
    data = dataset(root, limit=2, validation=1).load(0)
    assert values(data.train) == [0, 100]
    assert values(data.validation) == [1, 101]


def test_inputs_say_what_load_returns(root):
    settings = dataset(root, size=[4, 6], channels=3)
    assert settings.inputs() == Inputs((3, 4, 6), 2, num_train=6)
    assert settings.load(0).inputs == settings.inputs()
    assert len(settings.load(0).train) == 6
    assert settings.load(0).train.__getitems__([0, 5])[0].shape == (2, 3, 4, 6)


def test_colours_keep_their_channels(root, png):
    (root / "test" / "ant" / "0.png").write_bytes(png([[[255, 51, 0]]]))
    x_CHW, _ = dataset(root, size=1, channels=3).load(0).test[0]
    assert torch.equal(x_CHW.flatten(), torch.tensor([1.0, 0.2, 0.0]))


def test_a_larger_image_is_averaged_down(root, png):
    # a bilinear reduction of [0, 0, 80, 80] by two weighs 3:3:1 around each half, so 80 / 7 = 11.4 and 480 / 7 = 68.6
    (root / "test" / "ant" / "0.png").write_bytes(png([[0, 0, 80, 80]]))
    x_CHW, _ = dataset(root, size=[1, 2]).load(0).test[0]
    assert (x_CHW.flatten() * 255).round().tolist() == [11, 69]


def test_images_are_decoded_at_the_first_use(root):
    (root / "train" / "ant" / "2.png").write_bytes(b"no image")
    data = dataset(root).load(0)
    assert values(data.validation) == [3, 103]
    with pytest.raises(DataError, match=r"2\.png' is no readable image: its format is not known"):
        data.train[0]


def test_an_image_cut_short_is_refused(root):
    file = root / "test" / "bee" / "0.png"
    file.write_bytes(file.read_bytes()[:45])
    with pytest.raises(DataError, match=r"bee.0\.png' is no readable image: .*truncated"):
        dataset(root).load(0).test[0]


def test_sixteen_bits_are_refused(root):
    from PIL import Image

    Image.fromarray(np.full((2, 2), 1000, dtype=np.uint16)).save(root / "test" / "ant" / "0.png")
    with pytest.raises(DataError, match="convert it to 8 bits a channel first"):
        dataset(root).load(0).test[0]


def test_other_files_are_left_out(root):
    (root / "train" / "ant" / "notes.txt").write_text("no image")
    (root / "train" / "README").write_text("no class")
    assert len(dataset(root).load(0).train) == 6


def test_a_missing_root_or_split_is_named(root):
    with pytest.raises(DataError, match=r"root: '.*' does not exist"):
        dataset(root / "elsewhere").inputs()
    (root / "train").rename(root / "tain")
    with pytest.raises(DataError, match=r"root: '.*train' does not exist; near: 'tain'"):
        dataset(root).inputs()


def test_a_folder_without_classes_is_refused(tmp_path):
    (tmp_path / "train").mkdir()
    with pytest.raises(DataError, match="holds no class folders"):
        dataset(tmp_path).inputs()


def test_an_unknown_class_is_refused(root):
    (root / "test" / "bees").mkdir()
    with pytest.raises(DataError, match="bees' is no class of 'train'; did you mean 'bee'"):
        dataset(root).load(0)


def test_an_empty_class_is_refused(root):
    (root / "train" / "cow").mkdir()
    with pytest.raises(DataError, match=r"cow' holds no \.jpeg or \.jpg or \.png file"):
        dataset(root).load(0)


def test_an_empty_test_split_is_refused(root):
    for file in root.glob("test/*/*.png"):
        file.unlink()
    with pytest.raises(DataError, match="test' holds no image of any class"):
        dataset(root).load(0)


def test_validation_must_come_from_somewhere(root):
    with pytest.raises(DataError, match="has no folder 'validation'; set 'validation'"):
        dataset(root, validation=None).load(0)
    with pytest.raises(DataError, match="class 'ant': 'validation: 4' takes 4 of 4 training rows"):
        dataset(root, validation=4).load(0)


def test_the_fingerprint_follows_names_sizes_and_times(root):
    first = dataset(root).fingerprint()
    assert dataset(root).fingerprint() == first
    file = root / "test" / "ant" / "0.png"
    os.utime(file, ns=(1, 1))
    touched = dataset(root).fingerprint()
    file.rename(file.with_name("1.png"))
    assert len({first, touched, dataset(root).fingerprint()}) == 3
