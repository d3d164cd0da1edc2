from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from snncompress_data import ops

SEED_THAT_DRAWS_ZERO = 1
ROW = torch.tensor([[[[0.0, 0.25, 0.5, 0.75, 1.0]]]])


def test_direct_repeats_the_image_without_copying_it():
    x_BCHW = torch.rand(2, 3, 4, 5)
    x_TBCHW = ops.direct(x_BCHW, 3)
    assert x_TBCHW.shape == (3, 2, 3, 4, 5)
    assert all(torch.equal(x_TBCHW[step], x_BCHW) for step in range(3))
    assert x_TBCHW.data_ptr() == x_BCHW.data_ptr()
    assert x_TBCHW.stride(0) == 0


def test_latency_by_hand_over_five_steps():
    # (1 - x) * 4 = 4, 3, 2, 1, 0
    spikes_TBCHW = ops.latency(ROW, 5)
    assert spikes_TBCHW[:, 0, 0, 0].tolist() == torch.eye(5).flip(0).tolist()


def test_latency_rounds_ties_to_the_even_step():
    # over four steps (1 - x) * 3 = 3, 2.25, 1.5, 0.75, 0, so the steps are 3, 2, 2, 1, 0
    assert ops.latency(ROW, 4)[:, 0, 0, 0].argmax(0).tolist() == [3, 2, 2, 1, 0]


def test_latency_leaves_out_pixels_below_the_threshold():
    assert ops.latency(ROW, 4, threshold=0.5).sum(0).flatten().tolist() == [0, 0, 1, 1, 1]


def test_latency_in_one_step_spikes_at_once():
    assert ops.latency(ROW, 1).flatten().tolist() == [1, 1, 1, 1, 1]
    assert ops.latency(ROW, 1, threshold=0.3).flatten().tolist() == [0, 0, 1, 1, 1]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_spikes_have_the_dtype_of_the_pixels(dtype):
    x_BCHW = ROW.to(dtype)
    assert ops.latency(x_BCHW, 4).dtype == dtype
    assert ops.poisson(x_BCHW, 4, torch.Generator().manual_seed(0)).dtype == dtype


def test_poisson_of_black_is_silent_and_of_white_is_full():
    generator = torch.Generator().manual_seed(0)
    assert ops.poisson(torch.zeros(4, 1, 8, 8), 50, generator).sum() == 0
    assert ops.poisson(torch.ones(4, 1, 8, 8), 50, generator).sum() == 50 * 4 * 64


def test_poisson_clips_what_the_gain_lifts_above_one():
    assert ops.poisson(torch.full((1, 1, 8, 8), 0.6), 50, torch.Generator().manual_seed(0), gain=2.0).sum() == 50 * 64


@pytest.mark.parametrize(
    ("value", "gain", "rate"), [(0.1, 1.0, 0.1), (0.5, 1.0, 0.5), (0.4, 0.5, 0.2), (0.9, 1.0, 0.9)]
)
def test_poisson_rates_agree_with_the_binomial(value, gain, rate):
    draws = 200 * 1024
    x_BCHW = torch.full((4, 1, 16, 16), value)
    spikes_TBCHW = ops.poisson(x_BCHW, 200, torch.Generator().manual_seed(1), gain)
    six_deviations = 6 * (draws * rate * (1 - rate)) ** 0.5
    assert abs(float(spikes_TBCHW.sum()) - draws * rate) < six_deviations


def test_poisson_steps_are_independent():
    # two steps of rate 1/2 agree at half of the 40,000 places; six standard deviations are 600
    spikes_TBCHW = ops.poisson(torch.full((1, 1, 200, 200), 0.5), 2, torch.Generator().manual_seed(2))
    assert abs(int((spikes_TBCHW[0] == spikes_TBCHW[1]).sum()) - 20_000) < 600


def test_poisson_is_bit_equal_for_the_same_seed_and_differs_for_another():
    x_BCHW = torch.rand(2, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    first, again, other = (ops.poisson(x_BCHW, 4, torch.Generator().manual_seed(seed)) for seed in (7, 7, 8))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_poisson_draws_only_from_its_generator():
    state = torch.get_rng_state()
    ops.poisson(ROW, 4, torch.Generator().manual_seed(0))
    assert torch.equal(torch.get_rng_state(), state)


def test_poisson_goes_on_drawing_from_the_generator():
    generator = torch.Generator().manual_seed(0)
    x_BCHW = torch.full((1, 1, 8, 8), 0.5)
    assert not torch.equal(ops.poisson(x_BCHW, 4, generator), ops.poisson(x_BCHW, 4, generator))


def test_an_empty_batch_stays_empty():
    empty_BCHW = torch.zeros(0, 1, 4, 4)
    assert ops.latency(empty_BCHW, 3).shape == (3, 0, 1, 4, 4)
    assert ops.poisson(empty_BCHW, 3, torch.Generator()).shape == (3, 0, 1, 4, 4)


@pytest.mark.parametrize(
    ("values", "inside"),
    [([0.0, 1.0], True), ([-1e-6, 0.5], False), ([1.000001], False), ([float("nan")], False), ([], True)],
)
def test_the_unit_interval_is_closed_and_holds_no_nan(values, inside):
    assert ops.within_unit_interval(torch.tensor(values)) is inside


@settings(max_examples=50, deadline=None)
@given(
    pixels=st.lists(st.floats(0, 1, width=32), min_size=1, max_size=20),
    timesteps=st.integers(1, 12),
    threshold=st.floats(0, 1, width=32),
)
def test_latency_agrees_with_a_loop_over_pixels(pixels, timesteps, threshold):
    spikes_TP = ops.latency(torch.tensor(pixels).view(1, 1, 1, -1), timesteps, threshold).reshape(timesteps, -1)
    for position, pixel in enumerate(torch.tensor(pixels)):
        expected = [0.0] * timesteps
        if pixel >= threshold:
            expected[round(float((1 - pixel) * (timesteps - 1)))] = 1.0
        assert spikes_TP[:, position].tolist() == expected


def test_black_stays_silent_where_the_draw_is_exactly_zero():
    shape = (8, 1, 1, 1024, 1024)
    assert (torch.rand(shape, generator=torch.Generator().manual_seed(SEED_THAT_DRAWS_ZERO)) == 0).any()
    generator = torch.Generator().manual_seed(SEED_THAT_DRAWS_ZERO)
    assert not ops.poisson(torch.zeros(shape[1:]), shape[0], generator).any()
