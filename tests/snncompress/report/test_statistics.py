import math

import pytest
from hypothesis import given
from hypothesis import strategies as some
from scipy import stats

from snncompress.report.statistics import paired, spread


def test_the_spread_of_three_runs_is_that_of_a_sample():
    """1, 2, 6: mean 3, squares of the distances 4 + 1 + 9 = 14, divided by two runs less than three: 7."""
    found = spread([1, 2, 6])
    assert (found.mean, found.n, found.values) == (3.0, 3, (1, 2, 6))
    assert found.std == pytest.approx(math.sqrt(7))


def test_one_run_has_no_spread():
    found = spread([0.5])
    assert (found.mean, found.std, found.n) == (0.5, None, 1)


def test_a_run_without_a_value_is_left_out_of_mean_and_spread():
    found = spread([1.0, None, 3.0])
    assert (found.mean, found.n, found.values) == (2.0, 2, (1.0, None, 3.0))
    assert found.std == pytest.approx(math.sqrt(2))


@pytest.mark.parametrize("values", [[], [None, None]])
def test_without_any_value_there_is_no_mean(values):
    found = spread(values)
    assert (found.mean, found.std, found.n) == (None, None, 0)


def test_equal_values_have_exactly_no_spread():
    """0.1 + 0.1 + 0.1 is 0.30000000000000004 in binary; the mean is 0.1 all the same."""
    found = spread([0.1, 0.1, 0.1])
    assert (found.mean, found.std) == (0.1, 0.0)


def test_three_seeds_that_agree_differ():
    """Differences 0.02, 0.04, 0.06: mean 0.04, standard deviation 0.02, standard error 0.02 / sqrt 3 = 0.011547."""
    found = paired([0.92, 0.94, 0.96], [0.90, 0.90, 0.90])
    assert found.pairs == 3
    assert found.mean == pytest.approx(0.04)
    assert found.standard_error == pytest.approx(0.0115470, abs=1e-7)
    assert found.agree
    assert found.differs


def test_one_seed_that_disagrees_is_enough_to_see_no_difference():
    """Differences 0.06, 0.05, -0.01: the mean 0.033 exceeds its standard error 0.022, and the signs disagree."""
    found = paired([0.96, 0.95, 0.89], [0.90, 0.90, 0.90])
    assert found.mean > found.standard_error
    assert not found.agree
    assert not found.differs
    assert found.doubt == "the 3 seeds do not agree in sign"


def test_a_mean_below_its_standard_error_is_no_difference():
    """Differences 0.05, -0.03, 0.01: mean 0.01, standard deviation 0.04, standard error 0.0231."""
    found = paired([0.95, 0.87, 0.91], [0.90, 0.90, 0.90])
    assert found.mean == pytest.approx(0.01)
    assert found.standard_error == pytest.approx(0.04 / math.sqrt(3))
    assert not found.differs


@pytest.mark.parametrize(
    ("values", "doubt"),
    [((0.5, 0.6), "equal in all 2 seeds"), ((0.5, 0.7), "the 2 seeds do not agree in sign")],
)
def test_a_tie_agrees_with_nothing(values, doubt):
    found = paired(values, (0.5, 0.6))
    assert not found.differs
    assert found.doubt == doubt


def test_a_constant_difference_differs_with_no_error():
    found = paired([10, 20, 30], [11, 21, 31])
    assert (found.mean, found.standard_error, found.differs) == (-1.0, 0.0, True)


def test_one_pair_differs_in_nothing_and_none_is_none():
    found = paired([1.0], [0.0])
    assert (found.mean, found.standard_error, found.differs) == (1.0, None, False)
    assert paired([], []) is None


@given(some.lists(some.tuples(some.floats(-9, 9), some.floats(-9, 9)), min_size=2, max_size=8))
def test_the_standard_error_is_that_of_scipy(pairs):
    found = paired([one for one, _ in pairs], [other for _, other in pairs])
    differences = [one - other for one, other in pairs]
    assert found.standard_error == pytest.approx(float(stats.sem(differences)), abs=1e-12)
