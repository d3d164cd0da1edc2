import pytest
import torch
from channel_networks import NormEachStep, Stepped

from snncompress import ModelError, Time, Timesteps, declare


def test_more_steps_than_norms_are_refused_with_both_numbers(host):
    time = Time("inside", 8, input="static", attribute="num_steps")
    network = declare(NormEachStep(8), time, arguments={"num_steps": 8}, host=host)
    assert network.forward(torch.rand(2, 1, 8, 8)).logits.shape[0] == 8
    longer = network.edited([Timesteps(10)])
    with pytest.raises(
        ModelError, match="the network runs 10 time steps, but 'norms' holds 8 parts; set 8 time steps"
    ) as caught:
        longer.forward(torch.rand(2, 1, 8, 8))
    assert "IndexError" not in str(caught.value)


@pytest.mark.parametrize("kind", ["library", "own", "flat"])
def test_a_scale_for_other_steps_is_named(host, kind):
    settings = {"kind": kind, "num_steps": 4}
    network = declare(Stepped(**settings), Time("multi_step", 6), arguments=settings, host=host)
    with pytest.raises(ModelError, match="the network runs 6 time steps, but 'norm' holds values for 4 steps; set 4"):
        network.forward(torch.rand(6, 2, 1, 8, 8))


def test_errors_of_another_cause_stay_as_they_are(host):
    time = Time("inside", 8, input="static", attribute="num_steps")
    network = declare(NormEachStep(8), time, arguments={"num_steps": 8}, host=host)
    with pytest.raises(RuntimeError, match="channels"):
        network.forward(torch.rand(2, 3, 8, 8))
