from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from snncompress import DataError
from snncompress_data import Digits
from snncompress_data.digits import split_rows


def splits(data):
    return data.train, data.validation, data.test


def test_the_splits_hold_1000_297_and_500_samples():
    assert [len(split) for split in splits(Digits().load(0))] == [1000, 297, 500]


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_no_sample_is_in_two_splits_and_none_is_lost(seed):
    rows = np.concatenate(split_rows(load_digits().target, seed))
    assert sorted(rows.tolist()) == list(range(1797))


@pytest.mark.parametrize("seed", [0, 1])
def test_every_split_has_each_class_in_its_share(seed):
    target = load_digits().target
    share = np.bincount(target) / len(target)
    for rows in split_rows(target, seed):
        counts = np.bincount(target[rows], minlength=10)
        assert np.abs(counts - share * len(rows)).max() < 2


def test_each_seed_draws_its_own_split_and_always_the_same():
    target = load_digits().target
    first, again, other = (split_rows(target, seed) for seed in (0, 0, 1))
    assert all(np.array_equal(one, two) for one, two in zip(first, again, strict=True))
    assert set(first[2].tolist()) != set(other[2].tolist())


def test_samples_are_the_scans_divided_by_16():
    scans = load_digits()
    test = Digits().load(3).test
    for position in (0, 17, 499):
        x_CHW, label = test[position]
        row = int(test.rows[position])
        assert x_CHW.shape == (1, 8, 8)
        assert x_CHW.dtype == torch.float32
        assert np.array_equal(x_CHW[0].numpy(), scans.images[row] / 16)
        assert label == scans.target[row]


def test_16_pixels_are_bilinear_between_the_8():
    # at twice the size a pixel lies a quarter of the way to the neighbour: 0.75 and 0.25 along each axis
    large = Digits(size=16).load(0).test
    image = load_digits().images[int(large.rows[0])] / 16
    x_HW = large[0][0][0]
    assert x_HW.shape == (16, 16)
    expected = 0.75 * (0.75 * image[2, 3] + 0.25 * image[2, 4]) + 0.25 * (0.75 * image[3, 3] + 0.25 * image[3, 4])
    assert float(x_HW[5, 7]) == pytest.approx(expected, abs=1e-6)
    assert float(x_HW[0, 0]) == pytest.approx(image[0, 0], abs=1e-6)


@pytest.mark.parametrize("size", [8, 16, 32])
def test_inputs_say_what_load_returns(size):
    dataset = Digits(size=size)
    data = dataset.load(0)
    x_BCHW, labels_B = data.test.__getitems__(range(500))
    assert data.inputs == dataset.inputs()
    assert x_BCHW.shape == (500, *dataset.inputs().shape)
    assert x_BCHW.min() >= 0
    assert x_BCHW.max() <= 1
    assert set(labels_B.tolist()) == set(range(dataset.inputs().num_classes))


def test_a_seed_beyond_32_bits_is_refused():
    with pytest.raises(DataError, match=r"seed 4294967296 should lie in 0\.\.4294967295"):
        Digits().load(2**32)


def test_the_fingerprint_is_the_same_each_time():
    assert Digits().fingerprint() == Digits(size=16).fingerprint()
    assert "scikit-learn" in Digits().fingerprint()
