"""Which indices stay, by hand and against plain loops."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from snncompress_structured.significance import num_left, num_left_together, significance, strongest


def test_significance_by_hand():
    rows = torch.tensor([[1.0, -2.0], [0.0, 0.5], [3.0, 0.0]])
    columns = torch.tensor([[0.5, -0.5, 1.0], [-4.0, 0.0, 0.0], [0.0, 0.25, 0.25]])
    assert significance([rows, columns], 3).tolist() == [3 + 2, 0.5 + 4, 3 + 0.5]
    assert significance([], 2).tolist() == [0, 0]


@pytest.mark.parametrize(
    ("per_head", "fraction", "least", "left"),
    [(8, 0.5, 1, 4), (8, 0.0, 1, 8), (8, 1.0, 1, 1), (8, 1.0, 3, 3), (2, 1.0, 5, 2), (10, 0.25, 1, 8), (5, 0.5, 1, 3)],
)
def test_how_many_stay(per_head, fraction, least, left):
    """0.25 of 10 is 2.5, of which round() makes 2; so it does of 0.5 of 5."""
    assert num_left(per_head, fraction, least) == left


def test_the_strongest_of_each_head_stay_and_of_equal_ones_the_later():
    scores = torch.tensor([3.0, 1.0, 2.0, 5.0, 5.0, 5.0])
    assert strongest(scores, 2, 2) == [0, 2, 4, 5]
    assert strongest(scores, 1, 3) == [3, 4, 5]
    assert strongest(scores, 3, 1) == [0, 3, 5]
    assert strongest(torch.zeros(4), 2, 1) == [1, 3]


def test_dimensions_are_compared_row_by_row():
    """Rows are means over heads of the sorted scores: of a 1.5 and 5.5, of b 2, 3 and 9; the three weakest are 1.5, 2, 3."""
    scores = {"a": torch.tensor([1.0, 4.0, 7.0, 2.0]), "b": torch.tensor([9.0, 2.0, 3.0])}
    heads = {"a": 2, "b": 1}
    assert num_left_together(scores, heads, 3, 1) == {"a": 1, "b": 1}
    assert num_left_together(scores, heads, 0, 1) == {"a": 2, "b": 3}
    assert num_left_together(scores, heads, 2, 2) == {"a": 2, "b": 2}, "b keeps two: one row less than asked for goes"
    assert num_left_together(scores, heads, 99, 1) == {"a": 1, "b": 1}


@settings(max_examples=50, deadline=None, derandomize=True)
@given(
    sizes=st.lists(st.tuples(st.integers(1, 4), st.integers(1, 6)), min_size=1, max_size=4),
    gone=st.integers(0, 30),
    least=st.integers(1, 3),
    seed=st.integers(0, 99),
)
def test_together_as_a_plain_loop_does_it(sizes, gone, least, seed):
    generator = torch.Generator().manual_seed(seed)
    scores = {
        str(number): torch.randint(0, 5, (heads * width,), generator=generator).double()
        for number, (heads, width) in enumerate(sizes)
    }
    heads = {str(number): heads for number, (heads, _) in enumerate(sizes)}
    left = {name: len(values) // heads[name] for name, values in scores.items()}
    for _ in range(gone):
        weakest = None
        for name, values in scores.items():
            if left[name] <= least:
                continue
            ranked = [sorted(row)[-left[name]] for row in values.reshape(heads[name], -1).tolist()]
            mean = sum(ranked) / len(ranked)
            if weakest is None or mean < weakest[0]:
                weakest = (mean, name)
        if weakest is None:
            break
        left[weakest[1]] -= 1
    assert num_left_together(scores, heads, gone, least) == left
