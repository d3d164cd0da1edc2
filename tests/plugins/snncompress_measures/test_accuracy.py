import random

import numpy as np
import pytest
import torch
from own_networks import IntegrateNet, JellyNet
from torch import nn
from torch.utils.data import TensorDataset

from snncompress import Data, Facts, Inputs, Problem, StepError, Time, declare
from snncompress.measure import DataBench
from snncompress_measures.accuracy import Accuracy
from snncompress_measures.latency import Latency
from snncompress_measures.operations import SynapticOperations
from snncompress_measures.spikes import SpikeStatistics

X = [[[[5.0, 1.0, 2.0]]], [[[0.0, 3.0, 1.0]]], [[[0.0, 1.0, 9.0]]], [[[2.0, 2.0, 2.0]]], [[[0.0, 4.0, 4.0]]]]
CLASSES = [0, 1, 2, 0, 1]  # ties go to the lower class


def test_accuracy_by_hand(linear, bench_of):
    assert Accuracy().measure(linear, bench_of(X, CLASSES))["accuracy"].value == 1.0
    found = Accuracy().measure(linear, bench_of(X, [0, 2, 2, 2, 1]))["accuracy"]
    assert (found.value, found.unit) == (0.6, "1")
    assert found.how == "3 of 5 test samples, mean output over 1 step(s)"


def test_it_says_how_many_samples_it_is_of_and_what_guessing_gives(linear, bench_of):
    """Predicted 0, 1, 2, 0, 1. Class 0 is predicted twice and right once, 1 twice and right once, 2 once and right thrice."""
    found = Accuracy().measure(linear, bench_of(X, [0, 2, 2, 2, 1]))["accuracy"]
    assert (found.samples, found.chance) == (5, pytest.approx((2 * 1 + 2 * 1 + 1 * 3) / 25))
    found = Accuracy().measure(linear, bench_of(X[:3], [0, 1, 2]))["accuracy"]
    assert found.chance == pytest.approx(1 / 3)


def test_ties_go_to_the_lower_class(linear, bench_of):
    assert Accuracy().measure(linear, bench_of(X[3:], [1, 2]))["accuracy"].value == 0.0
    assert Accuracy().measure(linear, bench_of(X[3:], [0, 1]))["accuracy"].value == 1.0


@pytest.mark.parametrize("batch_size", [1, 2, 5, 100])
def test_accuracy_does_not_depend_on_the_batches(linear, bench_of, batch_size):
    bench = bench_of(X, [0, 2, 2, 2, 1], batch_size=batch_size)
    assert Accuracy().measure(linear, bench)["accuracy"].value == 0.6


def test_the_mean_over_time_decides(integrate, bench_of):
    # inputs 0.5 and 0.3 over four steps: 2 spikes and 1 spike; 1.0 and 0.9: 4 spikes and 3
    bench = bench_of([[[[0.5, 0.3, 0.0, 0.0]]], [[[0.9, 1.0, 0.0, 0.0]]]], [0, 1])
    assert Accuracy().measure(integrate, bench)["accuracy"].value == 1.0


class Averaged(IntegrateNet):
    """The same network, but it returns the mean over time."""

    def forward(self, x_TBCHW):
        return super().forward(x_TBCHW).mean(0)


# reset by subtraction, spike at v >= 1. First: class 1 fires at steps 2 and 4, class 0 at 4; second: class 0 at every step
BY_TIME = [[[[0.25, 0.5, 0.0, 0.0]]], [[[1.0, 0.0, 0.0, 0.0]]]]


def test_the_accuracy_after_fewer_steps_by_hand(integrate, bench_of):
    found = Accuracy().measure(integrate, bench_of(BY_TIME, [1, 0]))["accuracy"]
    assert found.value == 1.0
    assert found.detail == {"by_time": [0.5, 1.0, 1.0, 1.0], "samples": 2}


def test_the_accuracy_after_fewer_steps_of_an_averaged_output(host, bench_of):
    network, bench = declare(Averaged(), Time("multi_step", 4, output="averaged"), host=host), bench_of(BY_TIME, [1, 0])
    assert Accuracy().measure(network, bench)["accuracy"].detail is None
    assert Accuracy(by_time=True).measure(network, bench)["accuracy"].detail["by_time"] == [0.5, 1.0, 1.0, 1.0]


def test_event_frames_cannot_be_shown_for_fewer_steps(host):
    frames_NTCHW = torch.ones(2, 4, 1, 1, 4)
    split = TensorDataset(frames_NTCHW, torch.zeros(2, dtype=torch.long))
    data = Data(split, split, split, Inputs((4, 1, 1, 4), 4, "frames"))
    bench = DataBench(data, host.catalogue["encoders"]["direct"](), 0)
    network = declare(Averaged(), Time("multi_step", 4, output="averaged"), host=host)
    assert Accuracy().measure(network, bench)["accuracy"].value == 1.0
    with pytest.raises(StepError, match=r"^metric 'accuracy': by_time: the data bring 4 time steps, and the network "):
        Accuracy(by_time=True).measure(network, bench)


def test_an_ann_has_no_accuracy_by_time(linear, bench_of):
    assert Accuracy(by_time=True).measure(linear, bench_of(X, CLASSES))["accuracy"].detail is None


@pytest.mark.parametrize(
    ("time", "kind", "what"),
    [
        (Time("multi_step", 4, settable=False, output="averaged"), "static", "its number of time steps is fixed"),
        (Time("multi_step", 4, output="averaged"), "frames", "event frames bring their number of time steps"),
        (Time("multi_step", 4, output="averaged"), "static", None),
        (Time("multi_step", 4, settable=False), "frames", None),
        (Time("none", settable=False, output="averaged", input="static"), "static", None),
    ],
)
def test_steps_that_cannot_be_left_out_are_told_by_the_plan(integrate, time, kind, what):
    shape = (1, 1, 4) if kind == "static" else (4, 1, 1, 4)
    facts = Facts(integrate.inventory, time, Inputs(shape, 4, kind), frozenset())
    assert list(Accuracy().check(facts)) == []
    hint = "leave it out, or give the network an output for each step"
    wanted = [Problem(("by_time",), f"this network's output is averaged over time, and {what}", hint)] if what else []
    assert list(Accuracy(by_time=True).check(facts)) == wanted


@pytest.mark.parametrize("metric", [Accuracy(), SpikeStatistics(), SynapticOperations(), Latency(repeats=1)])
def test_measuring_leaves_modes_and_random_generators_alone(host, bench, metric):
    torch.manual_seed(0)
    network = declare(JellyNet(), Time("multi_step", 2), host=host)
    network.module.train()
    network.module.norm.eval()
    before = (torch.get_rng_state(), np.random.get_state(), random.getstate())  # noqa: NPY002 - the global one is meant
    statistics = network.tensors["norm.running_mean"].clone()
    metric.measure(network, bench)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert np.array_equal(np.random.get_state()[1], before[1][1])  # noqa: NPY002
    assert random.getstate() == before[2]
    assert (network.module.training, network.module.fc1.training, network.module.norm.training) == (True, True, False)
    assert torch.equal(network.tensors["norm.running_mean"], statistics)


def test_norms_are_evaluated_with_their_running_statistics(host, bench):
    torch.manual_seed(0)
    network = declare(JellyNet(), Time("multi_step", 2), host=host)
    network.module.train()
    with torch.no_grad():
        expected = sum(
            int((network.module.eval()(x_B.expand(2, *x_B.shape)).mean(0).argmax(1) == y_B).sum())
            for x_B, y_B in _after_reset(network, bench)
        )
    network.module.train()
    assert Accuracy().measure(network, bench)["accuracy"].value == expected / 500


def _after_reset(network, bench):
    for batch in bench.batches("test"):
        network.reset()
        yield batch


def test_a_sample_that_draws_does_not_disturb_the_run(linear, bench_of):
    class Noisy(nn.Module):
        def forward(self, x):
            return x + 0 * torch.rand(1)

    linear.module.append(Noisy())
    state = torch.get_rng_state()
    Accuracy().measure(linear, bench_of(X, CLASSES))
    assert torch.equal(torch.get_rng_state(), state)
