from __future__ import annotations

import pytest
import torch
from torch.utils.data import TensorDataset

from snncompress import Data, DataError, Host, Inputs, PipelineError
from snncompress.measure import DataBench
from snncompress.pipeline import parts_from
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


@pytest.mark.parametrize("encoder", ["poisson", "latency"])
def test_normalised_data_are_a_problem_of_the_file_and_not_of_the_run(encoder):
    data = {"use": "parquet", "train": "no_such.parquet", "test": "no_such.parquet", "size": 8, "channels": 1}
    host = Host.from_environment()
    parts_from({"data": data, "encode": encoder}, host)
    normalised = {**data, "mean": [0.5], "std": [0.5]}
    parts_from({"data": normalised, "encode": "direct"}, host)
    words = f"encode: '{encoder}' needs pixels in 0..1, and the data's mean and std take them out of it; remove mean"
    with pytest.raises(PipelineError, match=words):
        parts_from({"data": normalised, "encode": {"use": encoder}}, host)


def test_values_outside_of_an_encoders_range_are_found_in_every_split_at_the_first_look():
    sound, negative = (TensorDataset(torch.rand(4, 1, 2, 2) - shift, torch.zeros(4).long()) for shift in (0, 1))
    bench = DataBench(Data(sound, sound, negative, Inputs((1, 2, 2), 2)), PoissonEncoder(), 0)
    with pytest.raises(DataError, match="encode 'poisson' needs pixels in 0..1, these lie in -"):
        bench.look()
