from __future__ import annotations

import pytest
import torch

from snncompress import DataError
from snncompress_data import DirectEncoder, LatencyEncoder, PoissonEncoder


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("encoder", [DirectEncoder(), PoissonEncoder(), LatencyEncoder()])
@pytest.mark.parametrize("timesteps", [1, 4])
def test_time_comes_first(encoder, timesteps):
    assert encoder.encode(torch.rand(2, 3, 4, 5), timesteps, generator()).shape == (timesteps, 2, 3, 4, 5)


def test_direct_takes_any_value():
    x_BCHW = torch.tensor([[[[-2.0, 3.0]]]])
    assert DirectEncoder().encode(x_BCHW, 2, generator()).tolist() == [x_BCHW.tolist()] * 2


@pytest.mark.parametrize("encoder", [PoissonEncoder(), LatencyEncoder()])
@pytest.mark.parametrize("values", [[0.5, 1.5], [-0.1, 0.5]])
def test_spike_codes_refuse_values_outside_0_to_1(encoder, values):
    with pytest.raises(DataError, match=rf"encode '{encoder.use}' needs pixels in 0\.\.1.*drop mean and std"):
        encoder.encode(torch.tensor(values).view(1, 1, 1, 2), 4, generator())


def test_poisson_uses_its_gain():
    x_BCHW = torch.full((1, 1, 8, 8), 0.5)
    assert PoissonEncoder(gain=2.0).encode(x_BCHW, 10, generator()).sum() == 640


def test_latency_uses_its_threshold():
    x_BCHW = torch.tensor([[[[0.005, 0.4, 0.8]]]])
    assert LatencyEncoder().encode(x_BCHW, 4, generator()).sum(0).flatten().tolist() == [0, 1, 1]
    assert LatencyEncoder(threshold=0.5).encode(x_BCHW, 4, generator()).sum(0).flatten().tolist() == [0, 0, 1]


@pytest.mark.parametrize("encoder", [DirectEncoder(), LatencyEncoder()])
def test_codes_without_chance_leave_the_generator_alone(encoder):
    drawn = generator()
    before = drawn.get_state()
    encoder.encode(torch.rand(1, 1, 2, 2), 4, drawn)
    assert torch.equal(drawn.get_state(), before)
