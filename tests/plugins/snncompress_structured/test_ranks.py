from itertools import product
from math import sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from snncompress_structured.matrices import Matrix
from snncompress_structured.ranks import energy_kept, num_least, rank_keeping, rank_without, ranks_within

SQUARE = Matrix("square", 8, 8)  # whole 64 parameters, 16 for each rank


@pytest.mark.parametrize(
    ("fraction", "full", "rank"),
    [
        (0.0, 10, 10),
        (0.5, 10, 5),
        (0.25, 10, 8),  # 2.5 go, and halves go to the even number
        (0.5, 5, 3),  # 2.5 go
        (0.3, 5, 3),  # 1.5 go
        (0.9, 10, 1),
        (1.0, 10, 1),  # nothing is no layer
        (0.5, 1, 1),
    ],
)
def test_a_part_of_the_full_rank_goes(fraction, full, rank):
    assert rank_without(fraction, full) == rank


@pytest.mark.parametrize(
    ("energy", "values", "rank"),
    [
        (9 / 14, (3, 2, 1), 1),  # squares 9, 4, 1 of 14
        (0.65, (3, 2, 1), 2),
        (13 / 14, (3, 2, 1), 2),
        (0.93, (3, 2, 1), 3),
        (1.0, (3, 2, 1), 3),
        (0.001, (3, 2, 1), 1),
        (0.25, (7, 7, 7, 7), 1),
        (0.26, (7, 7, 7, 7), 2),
        (0.5, (7, 7, 7, 7), 2),
        (1.0, (7, 7, 7, 7), 4),
        (1.0, (5, 0, 0), 1),
        (0.9, (0, 0, 0), 1),
        (0.9, (2,), 1),
    ],
)
def test_the_smallest_rank_that_keeps_the_energy(energy, values, rank):
    assert rank_keeping(energy, values) == rank


@pytest.mark.parametrize("size", [16, 64])
def test_singular_values_that_are_equal_but_for_rounding_count_as_equal(size):
    orthogonal, _ = np.linalg.qr(np.random.default_rng(0).standard_normal((size, size)))
    values = np.linalg.svd(orthogonal, compute_uv=False)
    assert [rank_keeping(part, values.tolist()) for part in (0.25, 0.5, 0.75, 1.0)] == [
        size // 4,
        size // 2,
        3 * size // 4,
        size,
    ]


@given(st.lists(st.floats(0.01, 100), min_size=1, max_size=12), st.floats(0.01, 1))
def test_one_rank_less_keeps_too_little(values, energy):
    values = sorted(values, reverse=True)
    kept = np.cumsum(np.square(values)) / np.sum(np.square(values))
    rank = rank_keeping(energy, values)
    assert kept[rank - 1] >= energy - 1e-9
    assert rank == 1 or kept[rank - 2] < energy
    assert energy_kept(rank, values) == pytest.approx(kept[rank - 1])


def test_the_energy_of_a_zero_matrix_is_kept_by_any_rank():
    assert energy_kept(1, (0, 0)) == 1.0


@pytest.mark.parametrize(
    ("budget", "ranks"),
    [
        (32, [1, 1]),  # 16 for each at rank 1
        (47, [1, 1]),
        (48, [1, 2]),  # the second value of b is half of its energy, that of a 16 / 50
        (64, [2, 2]),
        (80, [3, 2]),
        (95, [3, 2]),
        (96, [8, 2]),  # rank 4 takes 64 parameters, as the whole layer does
        (128, [8, 8]),
        (1000, [8, 8]),
    ],
)
def test_a_budget_goes_where_a_parameter_keeps_most(budget, ranks):
    spectra = [[5, 4, 3, 0, 0, 0, 0, 0], [5, 5, 0, 0, 0, 0, 0, 0]]
    assert num_least([SQUARE, SQUARE]) == 32
    assert ranks_within(budget, [SQUARE, SQUARE], spectra) == ranks


def test_the_earlier_layer_comes_first_among_equals():
    flat = [1.0] * 8
    assert ranks_within(64, [SQUARE] * 3, [flat] * 3) == [2, 1, 1]


def test_a_rank_that_does_not_fit_leaves_room_for_a_cheaper_layer():
    large, small = Matrix("large", 100, 10, num_biases=100), Matrix("small", 8, 8)
    # at rank 1: 110 + 100 biases, and 16; 40 are left, less than one more rank of the large layer
    assert ranks_within(266, [large, small], [[1.0] * 10, [9.0] + [0.1] * 7]) == [1, 3]


def test_a_layer_that_is_thinner_than_its_factors_is_whole_from_the_start():
    column = Matrix("column", 10, 1)  # 10 parameters, 11 in two factors
    assert num_least([column]) == 10
    assert not column.saves(1)
    assert ranks_within(10, [column], [[3.0]]) == [1]


def test_no_other_distribution_over_equal_layers_keeps_more():
    draws = np.sort(np.random.default_rng(3).random((3, 8)) ** 2, axis=1)[:, ::-1]
    parts = np.square(draws) / np.square(draws).sum(1, keepdims=True)
    for budget in (48, 64, 80, 96, 112):
        allowed = [ranks for ranks in product((1, 2, 3), repeat=3) if 16 * sum(ranks) <= budget]
        best = max(allowed, key=lambda ranks: sum(parts[index, :rank].sum() for index, rank in enumerate(ranks)))
        assert ranks_within(budget, [SQUARE] * 3, draws.tolist()) == list(best)


def test_scaling_a_layer_changes_nothing():
    spectrum = [sqrt(value) for value in (8, 4, 2, 1, 1, 1, 1, 1)]
    louder = [1000 * value for value in spectrum]
    assert ranks_within(64, [SQUARE, SQUARE], [spectrum, louder]) == [2, 2]
