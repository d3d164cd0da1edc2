from hypothesis import given
from hypothesis import strategies as some

from snncompress.report.pareto import front

POINTS = some.lists(some.tuples(some.integers(0, 6), some.integers(0, 6)), max_size=12)


def beats(one, other):
    return one[0] >= other[0] and one[1] <= other[1] and one != other


def test_a_front_by_hand():
    """(quality, cost): the third costs more than the second for less quality."""
    assert front([(0.99, 100.0), (0.98, 50.0), (0.97, 60.0), (0.90, 10.0)]) == (0, 1, 3)


def test_exact_ties_stay_on_the_front_together():
    assert front([(0.9, 5.0), (0.9, 5.0), (0.9, 6.0), (0.8, 5.0)]) == (0, 1)


def test_no_point_has_no_front_and_one_is_its_own():
    assert front([]) == ()
    assert front([(0.0, 0.0)]) == (0,)


@given(POINTS)
def test_the_front_is_what_no_point_beats(points):
    wanted = tuple(index for index, point in enumerate(points) if not any(beats(other, point) for other in points))
    assert front(points) == wanted
