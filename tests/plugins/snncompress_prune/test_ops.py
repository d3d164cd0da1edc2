import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from snncompress_prune.amounts import num_removed, removed_fraction
from snncompress_prune.ops import prune, smallest


def prune_smallest(scores, masks, fraction, *, scope):
    """Masks in which a fraction of the survivors is gone, as the strategies ask for it."""
    return prune(scores, masks, removed_fraction(fraction), scope=scope)


def kept(masks):
    return {name: mask.int().tolist() for name, mask in masks.items()}


@pytest.mark.parametrize(
    ("fraction", "count", "expected"),
    [(0.2, 10, 2), (0.25, 10, 2), (0.35, 10, 4), (0.29, 100, 29), (0.0, 7, 0), (1.0, 7, 7), (0.5, 0, 0), (0.1, 4, 0)],
)
def test_the_number_removed_is_rounded(fraction, count, expected):
    assert num_removed(fraction, count) == expected


def test_the_smallest_go():
    assert smallest(torch.tensor([3.0, 1.0, 2.0, 0.5]), 2).tolist() == [False, True, False, True]


@pytest.mark.parametrize("count", range(6))
def test_among_equal_scores_the_earliest_go(count):
    assert smallest(torch.ones(5), count).tolist() == [True] * count + [False] * (5 - count)


def test_a_tie_at_the_threshold_goes_by_position():
    scores = torch.tensor([2.0, 1.0, 0.0, 1.0, 1.0])
    assert smallest(scores, 3).tolist() == [False, True, True, True, False]


def test_nothing_can_be_chosen_of_nothing():
    assert smallest(torch.zeros(0), 0).tolist() == []


@pytest.mark.parametrize("count", [-1, 4])
def test_a_count_that_does_not_fit_is_refused(count):
    with pytest.raises(ValueError, match=f"count must be between 0 and 3, not {count}"):
        smallest(torch.ones(3), count)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_scores_that_are_not_finite_are_refused(bad):
    with pytest.raises(ValueError, match="finite"):
        smallest(torch.tensor([1.0, bad]), 1)


SCORES = {"a": torch.tensor([[1.0, 2.0], [3.0, 4.0]]), "b": torch.tensor([[0.1, 0.2], [0.3, 9.0]])}


def test_each_matrix_loses_its_own_part():
    masks = prune_smallest(SCORES, {}, 0.5, scope="matrix")
    assert kept(masks) == {"a": [[0, 0], [1, 1]], "b": [[0, 0], [1, 1]]}


def test_all_matrices_together_lose_the_smallest_of_all():
    masks = prune_smallest(SCORES, {}, 0.5, scope="global")
    assert kept(masks) == {"a": [[0, 1], [1, 1]], "b": [[0, 0], [0, 1]]}


@pytest.mark.parametrize("scope", ["matrix", "global"])
def test_the_part_is_of_the_survivors_and_the_dead_stay_dead(scope):
    alive = {"a": torch.tensor([[True, True], [False, True]]), "b": torch.tensor([[True, True], [True, False]])}
    masks = prune_smallest(SCORES, alive, 1 / 3, scope=scope)
    expected = {
        "matrix": {"a": [[0, 1], [0, 1]], "b": [[0, 1], [1, 0]]},
        "global": {"a": [[1, 1], [0, 1]], "b": [[0, 0], [1, 0]]},
    }
    assert kept(masks) == expected[scope]
    assert alive["a"].tolist() == [[True, True], [False, True]]


@pytest.mark.parametrize("scope", ["matrix", "global"])
@pytest.mark.parametrize(("fraction", "left"), [(0.0, 8), (1.0, 0)])
def test_nothing_or_everything_goes(scope, fraction, left):
    masks = prune_smallest(SCORES, {}, fraction, scope=scope)
    assert sum(int(mask.sum()) for mask in masks.values()) == left


@pytest.mark.parametrize("scope", ["matrix", "global"])
def test_no_tensors_and_empty_tensors_have_masks_too(scope):
    assert prune_smallest({}, {}, 0.5, scope=scope) == {}
    assert prune_smallest({"a": torch.zeros(0, 3)}, {}, 0.5, scope=scope)["a"].shape == (0, 3)
    none_left = {"a": torch.zeros(2, dtype=torch.bool)}
    assert kept(prune_smallest({"a": torch.ones(2)}, none_left, 0.5, scope=scope)) == {"a": [0, 0]}


def brute_force(scores, masks, fraction, groups):
    """Sort all survivors of a group by score, then position, and strike out the first."""
    left = {name: list(mask) for name, mask in masks.items()}
    for group in groups:
        alive = [
            (value, order, place)
            for order, name in enumerate(group)
            for place, value in enumerate(scores[name])
            if masks[name][place]
        ]
        for _, order, place in sorted(alive)[: round(fraction * len(alive))]:
            left[group[order]][place] = False
    return left


entries = st.lists(st.tuples(st.integers(0, 5), st.booleans()), max_size=12)


@given(
    tensors=st.dictionaries(st.sampled_from("abc"), entries, min_size=1),
    fraction=st.floats(0, 1),
    scope=st.sampled_from(["matrix", "global"]),
)
def test_the_choice_is_that_of_sorting(tensors, fraction, scope):
    scores = {name: [float(value) for value, _ in pairs] for name, pairs in tensors.items()}
    masks = {name: [alive for _, alive in pairs] for name, pairs in tensors.items()}
    groups = [list(scores)] if scope == "global" else [[name] for name in scores]
    found = prune_smallest(
        {name: torch.tensor(values) for name, values in scores.items()},
        {name: torch.tensor(values, dtype=torch.bool) for name, values in masks.items()},
        fraction,
        scope=scope,
    )
    assert {name: mask.tolist() for name, mask in found.items()} == brute_force(scores, masks, fraction, groups)


def by_stable_sort(scores, masks, fraction):
    """Sort the survivors stably, in one row, and strike out the first."""
    alive = torch.cat([masks[name].flatten() for name in scores])
    row = torch.cat([value.flatten().double() for value in scores.values()])
    places = alive.nonzero().squeeze(1)
    gone = places[row[places].sort(stable=True).indices[: round(fraction * len(places))]]
    alive[gone] = False
    parts = alive.split([value.numel() for value in scores.values()])
    return {name: part.view(value.shape) for (name, value), part in zip(scores.items(), parts, strict=True)}


@pytest.mark.parametrize("fraction", [1e-6, 0.013, 0.3, 0.5, 0.77, 0.999])
@pytest.mark.parametrize("levels", [1, 2, 50, None])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_many_weights_are_chosen_as_a_stable_sort_would(dtype, levels, fraction):
    """Signed scores with few levels (ties everywhere, zeros of both signs) or none; more of them than are sampled."""
    drawn = torch.Generator().manual_seed(4)
    scores = {
        name: torch.randn(shape, generator=drawn, dtype=torch.float64)
        for name, shape in (("a", (300, 500)), ("b", (64, 32, 3, 3)), ("c", (7, 40_000)), ("d", (0, 3)), ("e", ()))
    }
    if levels is not None:
        scores = {name: (value * levels / 4).round() / levels for name, value in scores.items()}
    scores = {name: value.to(dtype) for name, value in scores.items()}
    scores["b"] = scores["b"].contiguous(memory_format=torch.channels_last)
    masks = {name: torch.rand(value.shape, generator=drawn) > 0.3 for name, value in scores.items()}
    found = prune_smallest(scores, masks, fraction, scope="global")
    expected = by_stable_sort(scores, masks, fraction)
    assert all(torch.equal(found[name], expected[name]) for name in scores)


def test_zeros_of_both_signs_are_equal_and_the_smallest_numbers_are_not():
    tiny = 2.0**-149
    scores = torch.tensor([0.0, -0.0, 2 * tiny, tiny, -0.0, -tiny])
    order = [smallest(scores, count).int().tolist() for count in (1, 2, 3, 5)]
    assert order == [[0, 0, 0, 0, 0, 1], [1, 0, 0, 0, 0, 1], [1, 1, 0, 0, 0, 1], [1, 1, 0, 1, 1, 1]]


def test_scores_of_different_precision_are_compared_without_rounding_them():
    """Between 1 and the next bfloat16, 1.0078125, lies what only float32 can hold."""
    scores = {
        "a": torch.tensor([1.0, 1.0078125], dtype=torch.bfloat16),
        "b": torch.tensor([1.001, 1.002, 1.009]),
    }
    assert kept(prune_smallest(scores, {}, 0.4, scope="global")) == {"a": [0, 1], "b": [0, 1, 1]}
    assert kept(prune_smallest(scores, {}, 0.8, scope="global")) == {"a": [0, 0], "b": [0, 0, 1]}


@pytest.mark.parametrize("scope", ["matrix", "global"])
def test_dead_weights_may_hold_anything(scope):
    scores = {"a": torch.tensor([float("nan"), 2.0, 1.0, float("inf")])}
    alive = {"a": torch.tensor([False, True, True, False])}
    assert kept(prune_smallest(scores, alive, 0.5, scope=scope)) == {"a": [0, 1, 0, 0]}


def test_masks_that_come_back_are_new_even_if_nothing_goes():
    alive = {"a": torch.ones(3, dtype=torch.bool)}
    masks = prune_smallest({"a": torch.ones(3)}, alive, 0.0, scope="global")
    masks["a"][0] = False
    assert alive["a"].tolist() == [True, True, True]


def test_nine_rounds_of_a_quarter_leave_what_arithmetic_says():
    masks = {}
    left = []
    for number in range(9):
        scores = {"w": torch.rand(40, 25, generator=torch.Generator().manual_seed(number))}
        masks = prune_smallest(scores, masks, 0.25, scope="global")
        left.append(int(masks["w"].sum()))
    assert left == [750, 562, 422, 316, 237, 178, 134, 100, 75]  # 750/4 = 187.5 -> 188; 562/4 = 140.5 -> 140; ...
