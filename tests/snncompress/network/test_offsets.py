"""Offsets of thresholds and leaks, by hand."""

import math

import pytest
import torch
from torch import nn

from snncompress import Offsets, moved_beta, moved_tau, moved_threshold, start_of


class Held(Offsets, nn.Module):
    """Nothing but offsets."""


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("start", [1.1, 1.5, 2.0, 3.0, 1 / 0.7, 1e6])
def test_no_offset_moves_nothing_to_the_last_bit(start, dtype):
    zero_C = torch.zeros(3, dtype=dtype)
    exact_C = torch.full((3,), start, dtype=dtype)
    assert torch.equal(moved_threshold(start, zero_C), exact_C)
    assert torch.equal(moved_tau(start, zero_C), exact_C)
    beta_C = torch.full((3,), 1 / start, dtype=dtype)
    assert torch.equal(moved_beta(beta_C, zero_C), beta_C)


@pytest.mark.parametrize(("odds", "leak"), [(3.0, 0.5), (1.0, 0.25), (1 / 3, 0.1), (27.0, 0.9)])
def test_an_offset_multiplies_the_odds_of_the_leak(odds, leak):
    """A leak of 1/4 has odds of 1 to 3."""
    offset = torch.tensor([math.log(odds)], dtype=torch.float64)
    torch.testing.assert_close(1 / moved_tau(4.0, offset), torch.tensor([leak], dtype=torch.float64))
    torch.testing.assert_close(1 - moved_beta(0.75, offset), torch.tensor([leak], dtype=torch.float64))


def test_extreme_offsets_stay_within_their_bounds():
    offset_C = torch.tensor([-80.0, -8.0, 8.0, 80.0])
    for leak_C in (1 / moved_tau(2.0, offset_C), 1 - moved_beta(torch.tensor(0.5), offset_C)):
        assert bool(((leak_C >= 0) & (leak_C <= 1)).all())
        assert leak_C[0] < 1e-3
        assert leak_C[-1] > 1 - 1e-6


def test_values_by_channel_are_a_mean_and_offsets_from_it():
    start, offset_C = start_of((0.5, 1.0, 1.5), [3], "threshold")
    assert start == 1.0
    torch.testing.assert_close(offset_C, torch.tensor([math.log(0.5), 0.0, math.log(1.5)]))
    start, offset_CHW = start_of((0.25, 0.75), [2, 1, 4], "leak")
    assert start == 0.5
    torch.testing.assert_close(offset_CHW[:, 0, 3], torch.tensor([-math.log(3), math.log(3)]))


@pytest.mark.parametrize(
    ("values", "shape", "name", "start"),
    [
        (0.7, [3], "threshold", 0.7),
        ((0.5, 1.5), [], "threshold", 1.0),
        ((-1.0, 2.0), [2], "threshold", 0.5),
        ((0.5, 1.0), [2], "leak", 0.75),
    ],
)
def test_where_no_offset_leads_all_stay_at_the_mean(values, shape, name, start):
    found, offsets = start_of(values, shape, name)
    assert found == start
    assert torch.equal(offsets, torch.zeros(shape))


@pytest.mark.parametrize(("shape", "aligned"), [([], ()), ([3], (3, 1, 1)), ([3, 4, 5], (3, 4, 5))])
def test_offsets_broadcast_to_one_step_and_are_grouped(shape, aligned):
    held = Held()
    starts = {"threshold": torch.zeros(shape), "leak": torch.ones(shape)}
    held.hold_offsets(starts, {"num_places": 2, "learn": ["leak"], "lr_scale": 4.0})
    assert held.offset("leak").shape == aligned
    assert set(held.state_dict()) == {"threshold_offset", "leak_offset"}
    (group,) = held.parameter_groups()
    assert (group["params"], group["lr_scale"], group["weight_decay"]) == ([held.leak_offset], 4.0, 0.0)
    held = Held()
    held.hold_offsets(starts, {"num_places": 2, "learn": [], "lr_scale": 1.0})
    assert held.parameter_groups() == []
