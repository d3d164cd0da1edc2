from hypothesis import given
from hypothesis import strategies as st

from snncompress_structured.ops import lowest


def gone(scores, sizes=None, **settings):
    sizes = sizes or [[1] * len(layer) for layer in scores]
    return [sorted(units) for units in lowest(scores, sizes, **settings)]


def test_the_lowest_scores_go_and_of_equal_ones_the_first():
    assert gone([[3.0, 1.0, 2.0, 1.0]], count=2) == [[1, 3]]
    assert gone([[1.0, 1.0, 1.0]], count=2) == [[0, 1]]
    assert gone([[1.0, 5.0], [1.0, 0.5]], count=2) == [[0], [1]]


def test_every_layer_keeps_what_it_must():
    assert gone([[0.1, 0.2, 0.3], [7.0, 8.0, 9.0]], count=3) == [[0, 1], [0]]
    assert gone([[0.1, 0.2, 0.3], [7.0, 8.0, 9.0]], count=6, keep_at_least=2) == [[0], [0]]
    assert gone([[0.1]], count=1) == [[]]


def test_a_unit_that_would_be_too_many_stays():
    assert gone([[0.1, 0.2, 0.3]], [[2, 2, 2]], count=3) == [[0]]
    assert gone([[0.1, 0.2], [0.3, 0.4]], [[3, 3], [1, 1]], count=2) == [[], [0]]


def test_layers_keep_multiples_by_giving_their_best_back():
    assert gone([[5.0, 4.0, 3.0, 2.0, 1.0, 0.0]], count=3, round_to=4) == [[4, 5]]
    assert gone([[5.0, 4.0, 3.0]], count=1, round_to=3) == [[]]
    assert gone([[5.0, 4.0, 3.0, 2.0]], count=2, round_to=2) == [[2, 3]]


def test_nothing_to_choose_from():
    assert gone([], count=0) == []
    assert gone([[]], count=1) == [[]]


@given(st.lists(st.lists(st.integers(0, 3).map(float), min_size=1, max_size=5), max_size=4), st.integers(0, 20))
def test_single_channels_go_as_a_sort_of_all_says(scores, count):
    left, expected = count, [[] for _ in scores]
    for score, layer, unit in sorted((s, i, j) for i, of in enumerate(scores) for j, s in enumerate(of)):
        del score
        if left and len(expected[layer]) < len(scores[layer]) - 1:
            expected[layer].append(unit)
            left -= 1
    assert gone(scores, count=count) == [sorted(units) for units in expected]
