import pytest

from snncompress_prune.amounts import num_left, num_rounds, removed_at_most, removed_evenly


@pytest.mark.parametrize(
    ("sparsity", "total", "left"),
    [(0.9, 160_072, 16_007), (0.5, 5, 2), (0.5, 7, 4), (0.75, 8, 2), (0.99, 10, 0), (0.9, 0, 0)],
)
def test_what_a_sparsity_leaves_is_rounded_halves_to_even(sparsity, total, left):
    assert num_left(sparsity, total) == left


def walked(rounds, start, total, removed):
    """Return how many are left after each round."""
    left = [start]
    for number in range(rounds):
        left.append(left[-1] - removed(rounds - number)(left[-1], total))
    return left[1:]


def test_even_rounds_remove_the_same_part_of_what_is_left():
    """A third root of 1/8 is a half; a square root of 1/10 is 0.3162."""
    assert walked(3, 800, 800, lambda left: removed_evenly(0.875, left)) == [400, 200, 100]
    assert walked(2, 1000, 1000, lambda left: removed_evenly(0.9, left)) == [316, 100]
    assert walked(1, 1000, 1000, lambda left: removed_evenly(0.9, left)) == [100]


def test_masks_that_are_there_count_as_gone():
    """Of 1,000 weights 400 are left, and 100 shall be: half goes, twice."""
    assert walked(2, 400, 1000, lambda left: removed_evenly(0.9, left)) == [200, 100]
    assert walked(2, 400, 1000, lambda left: removed_at_most(0.5, 0.9, left)) == [200, 100]


def test_a_stated_part_goes_each_round_and_the_last_takes_what_is_missing():
    """0.5 a round reaches 0.9 in four rounds: 50, 25, 12.5 and 10 %."""
    assert walked(4, 1000, 1000, lambda left: removed_at_most(0.5, 0.9, left)) == [500, 250, 125, 100]
    assert walked(2, 100, 100, lambda left: removed_at_most(0.9, 0.5, left)) == [50, 50]


@pytest.mark.parametrize("removed", [removed_evenly(0.9, 2), removed_evenly(0.9, 1), removed_at_most(0.5, 0.9, 1)])
def test_what_is_sparser_already_loses_nothing(removed):
    assert removed(50, 1000) == 0


@pytest.mark.parametrize(
    ("remaining", "fraction", "rounds"),
    [
        (0.25, 0.5, 2),
        (0.1, 0.5, 4),
        (0.1, 0.25, 9),
        (0.1, 0.37, 5),
        (0.75**9, 0.25, 9),
        (0.5, 0.9, 1),
        (1.0, 0.5, 0),
        (2.0, 0.5, 0),
    ],
)
def test_the_rounds_follow_from_the_part_of_each(remaining, fraction, rounds):
    assert num_rounds(remaining, fraction) == rounds
