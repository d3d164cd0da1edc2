import math

import pytest
from hypothesis import assume, given
from hypothesis import strategies as some
from scipy import stats

from snncompress.report.statistics import is_at_chance, paired, shown_p, spread


def test_the_spread_of_three_runs_is_that_of_a_sample():
    """1, 2, 6: mean 3, squares of the distances 4 + 1 + 9 = 14, divided by two runs less than three: 7."""
    found = spread([1, 2, 6])
    assert (found.mean, found.n, found.values) == (3.0, 3, (1, 2, 6))
    assert found.std == pytest.approx(math.sqrt(7))


def test_one_run_has_no_spread():
    found = spread([0.5])
    assert (found.mean, found.std, found.n) == (0.5, None, 1)


@pytest.mark.parametrize("lost", [None, float("nan"), float("inf")])
def test_a_run_without_a_finite_value_is_left_out_of_mean_and_spread(lost):
    found = spread([1.0, lost, 3.0])
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


# With two degrees of freedom the distribution of t is known in full: the two-sided p is 1 - t / sqrt(t^2 + 2),
# and 97.5 % lie below 4.30265 (Student's table). With three degrees 97.5 % lie below 3.18245.


def test_three_seeds_that_differ_alike_are_a_difference():
    """Differences 10, 11, 12: mean 11, standard error 1 / sqrt 3, t = sqrt 363, p = 1 - sqrt(363 / 365)."""
    found = paired([460, 461, 462], [450, 450, 450])
    assert (found.pairs, found.mean) == (3, 11.0)
    assert found.standard_error == pytest.approx(1 / math.sqrt(3))
    assert found.p == pytest.approx(1 - math.sqrt(363 / 365))
    assert found.interval == pytest.approx((11 - 4.30265 / math.sqrt(3), 11 + 4.30265 / math.sqrt(3)), abs=1e-4)
    assert found.differs
    assert found.reason == "p = 0.00274, 3 pairs"


def test_signs_that_agree_are_not_enough():
    """Differences 0.02, 0.04, 0.06: mean 0.04, standard error 0.02 / sqrt 3, t = sqrt 12, p = 1 - sqrt(12 / 14) = 0.074."""
    found = paired([0.92, 0.94, 0.96], [0.90, 0.90, 0.90])
    assert found.p == pytest.approx(1 - math.sqrt(12 / 14))
    assert found.interval == pytest.approx((0.04 - 4.30265 * 0.0115470, 0.04 + 4.30265 * 0.0115470), abs=1e-6)
    assert not found.differs
    assert found.reason == "p = 0.0742, 3 pairs"


def test_signs_that_disagree_may_be_a_difference():
    """A fourth seed that disagrees by little: 10, 10, 10 and -1 more: mean 7.25, standard error 2.75, t = 2.636 below 3.182.

    Of 19 more pairs of 10 the interval no longer holds zero, whatever the sign of one.
    """
    assert not paired([10, 10, 10, -1], [0, 0, 0, 0]).differs
    assert paired([10] * 19 + [-1], [0] * 20).differs


def test_four_seeds_at_the_edge():
    """Differences m - 1, m - 1, m + 1, m + 1: standard error sqrt(4 / 3) / 2 = 1 / sqrt 3; t = 3.18245 at m = 1.83739."""
    for mean, differs in ((1.83, False), (1.84, True)):
        assert paired([mean - 1, mean - 1, mean + 1, mean + 1], [0, 0, 0, 0]).differs is differs


@pytest.mark.parametrize("values", [(1.0,), (1.0, 1.1), (5.0, 5.0)])
def test_below_three_pairs_nothing_is_tested(values):
    found = paired(values, [0.0] * len(values))
    assert (found.p, found.interval, found.differs) == (None, None, False)
    assert found.mean == pytest.approx(sum(values) / len(values))


def test_two_pairs_have_a_standard_error_and_one_has_none():
    assert paired([1.0, 3.0], [0.0, 0.0]).standard_error == 1.0
    assert paired([1.0], [0.0]).standard_error is None
    assert paired([], []) is None


def test_a_difference_that_does_not_vary_is_certain():
    """Parameters of networks that were cut alike: there is no error to divide by."""
    found = paired([10, 20, 30], [11, 21, 31])
    assert (found.mean, found.standard_error, found.interval, found.p) == (-1.0, 0.0, (-1.0, -1.0), 0.0)
    assert (found.differs, found.reason) == (True, "the same in all 3 seeds")


def test_no_difference_at_all_is_none():
    found = paired([10, 20, 30], [10, 20, 30])
    assert (found.mean, found.interval, found.p) == (0.0, (0.0, 0.0), 1.0)
    assert (found.differs, found.reason) == (False, "equal in all 3 seeds")


def test_rounding_is_no_difference():
    """0.1 + 0.2 is 0.30000000000000004 in binary; the same is true of differences that are equal but for that."""
    found = paired([0.1 + 0.2, 0.7 + 0.1, 1.1 + 2.2], [0.3, 0.8, 3.3])
    assert (found.mean, found.differs) == (0.0, False)
    found = paired([0.92, 0.93, 0.94], [0.91, 0.92, 0.93])
    assert found.constant
    assert found.mean == pytest.approx(0.01)


@given(some.lists(some.tuples(some.floats(-9, 9), some.floats(-9, 9)), min_size=3, max_size=8))
def test_it_is_the_paired_t_test_of_scipy(pairs):
    ours, theirs = [one for one, _ in pairs], [other for _, other in pairs]
    differences = [one - other for one, other in pairs]
    assume(max(differences) - min(differences) > 1e-6)
    found, known = paired(ours, theirs), stats.ttest_rel(ours, theirs)
    low, high = known.confidence_interval(0.95)
    assert found.standard_error == pytest.approx(float(stats.sem(differences)), abs=1e-12)
    assert found.p == pytest.approx(float(known.pvalue), rel=1e-6, abs=1e-12)
    assert found.interval == pytest.approx((float(low), float(high)), rel=1e-6, abs=1e-9)


@pytest.mark.parametrize(
    ("right", "samples", "chance", "guessed"),
    [
        (4, 4, 0.5, True),  # 1 / 16 of all guesses are so good
        (5, 5, 0.5, False),  # 1 / 32
        (4, 5, 0.5, True),  # 6 / 32
        (1, 1, 0.1, True),  # 1 / 10
        (2, 2, 0.1, False),  # 1 / 100
        (50, 500, 0.1, True),
        (0, 500, 0.1, True),
        (55, 500, 0.1, True),
        (75, 500, 0.1, False),  # 25 above the mean of 50, and one standard deviation is sqrt(500 * 0.1 * 0.9) = 6.7
        (5, 5, 1.0, True),
    ],
)
def test_guessing_by_hand(right, samples, chance, guessed):
    assert is_at_chance(right, samples, chance) is guessed


@pytest.mark.parametrize(("p", "text"), [(0.04996, "p = 0.05"), (0.0276446, "p = 0.0276"), (1e-9, "p < 0.001")])
def test_p_in_words(p, text):
    assert shown_p(p) == text
