import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from snncompress_prune.threshold import are_finite, kth_smallest, num_alive

SUBNORMAL = 2.0**-140

numbers = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False, width=32),
    st.sampled_from([0.0, -0.0, 1.0, -1.0, SUBNORMAL, -SUBNORMAL, 2 * SUBNORMAL, 2.0**127, -(2.0**127)]),
)
tensors = st.lists(st.lists(st.tuples(numbers, st.booleans()), max_size=30), min_size=1, max_size=4)


def parts_of(drawn, dtype=torch.float32):
    return [
        (torch.tensor([value for value, _ in pairs], dtype=dtype), torch.tensor([alive for _, alive in pairs]).bool())
        for pairs in drawn
    ]


@given(drawn=tensors, sample_size=st.integers(1, 40), dtype=st.sampled_from([torch.float32, torch.float64]))
def test_every_rank_is_that_of_sorting_whatever_the_sample(drawn, sample_size, dtype):
    alive = sorted(value for pairs in drawn for value, alive in pairs if alive)
    found = [kth_smallest(parts_of(drawn, dtype), k + 1, sample_size=sample_size) for k in range(len(alive))]
    assert found == alive


@pytest.mark.parametrize("k", [1, 2, 499, 500, 501, 999, 1000])
@pytest.mark.parametrize("sample_size", [1, 3, 20, 100])
def test_a_sample_that_misleads_costs_nothing_but_time(k, sample_size):
    """What is looked at is large everywhere, or small everywhere; the rest is the other."""
    every = (1000 // sample_size) | 1
    for seen, unseen in ((10_000, 0), (-10_000, 0)):
        values = torch.arange(1000.0) + unseen
        values[::every] += seen
        assert kth_smallest([(values, None)], k, sample_size=sample_size) == sorted(values.tolist())[k - 1]


@pytest.mark.parametrize("k", [1, 30_000, 30_001, 50_000, 70_000, 70_001, 100_000])
def test_long_runs_of_equal_scores_hold_the_threshold(k):
    values = torch.cat([torch.zeros(30_000), torch.ones(40_000), torch.full((30_000,), 2.0)])
    values = values[torch.randperm(100_000, generator=torch.Generator().manual_seed(0))]
    expected = 0.0 if k <= 30_000 else 1.0 if k <= 70_000 else 2.0
    assert kth_smallest([(values[:10_000], None), (values[10_000:], None)], k, sample_size=1000) == expected


@pytest.mark.parametrize("k", [1, 123, 5_000, 9_876, 10_000])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_each_precision_keeps_its_own_order(dtype, k):
    values = torch.randn(10_000, generator=torch.Generator().manual_seed(1), dtype=torch.float64).to(dtype)
    assert kth_smallest([(values.view(100, 100), None)], k, sample_size=500) == sorted(values.tolist())[k - 1]


def test_whole_numbers_beyond_the_precision_of_floats_are_told_apart():
    values = 2**60 + torch.randperm(2000, generator=torch.Generator().manual_seed(2))
    assert kth_smallest([(values, None)], 1234, sample_size=10) == 2**60 + 1233


def test_the_layout_in_memory_does_not_matter():
    values = torch.randn(8, 6, 3, 3, generator=torch.Generator().manual_seed(3))
    laid_out = values.contiguous(memory_format=torch.channels_last)
    assert kth_smallest([(laid_out, values > 0)], 50, sample_size=20) == sorted(values[values > 0].tolist())[49]


def test_where_everything_is_dead_nothing_is_sampled():
    dead = (torch.ones(100), torch.zeros(100, dtype=torch.bool))
    alive = torch.zeros(100, dtype=torch.bool)
    alive[1] = True  # between the places that a sample of ten looks at
    assert kth_smallest([dead, (torch.arange(100.0), alive)], 1, sample_size=10) == 1.0


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_only_the_scores_that_take_part_have_to_be_finite(bad):
    scores = torch.tensor([1.0, bad, 2.0])
    assert not are_finite((scores, None))
    assert not are_finite((scores, torch.tensor([False, True, True])))
    assert are_finite((scores, torch.tensor([True, False, True])))
    assert are_finite((torch.zeros(0, 3), None))


def test_those_that_take_part_are_counted():
    assert num_alive((torch.zeros(2, 3), None)) == 6
    assert num_alive((torch.zeros(3), torch.tensor([True, False, True]))) == 2
