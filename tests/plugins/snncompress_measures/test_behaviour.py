import random

import numpy as np
import pytest
import torch
from own_networks import JellyNet
from torch import nn

from snncompress import Time, declare
from snncompress_measures.behaviour import Accuracy, FiringRate

X = [[[[5.0, 1.0, 2.0]]], [[[0.0, 3.0, 1.0]]], [[[0.0, 1.0, 9.0]]], [[[2.0, 2.0, 2.0]]], [[[0.0, 4.0, 4.0]]]]
CLASSES = [0, 1, 2, 0, 1]  # ties go to the lower class


def test_accuracy_by_hand(linear, bench_of):
    assert Accuracy().measure(linear, bench_of(X, CLASSES))["accuracy"].value == 1.0
    found = Accuracy().measure(linear, bench_of(X, [0, 2, 2, 2, 1]))["accuracy"]
    assert (found.value, found.unit) == (0.6, "1")
    assert found.how == "3 of 5 test samples, mean output over 1 step(s)"


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


def test_the_firing_rate_by_hand(integrate, bench_of):
    # reset by subtraction, spike at v >= 1, four steps: 0.5 fires at 2 and 4; 1.0 at every step; 0.25 at 4; 0 never
    bench = bench_of([[[[0.5, 1.0, 0.25, 0.0]]], [[[0.0, 0.0, 0.0, 0.0]]]], [0, 0])
    found = FiringRate().measure(integrate, bench)["firing_rate"]
    assert found.value == 7 / 32  # 2 samples x 4 neurons x 4 steps
    assert found.unit == "spikes per neuron and step"
    assert found.how == "7 spikes of 32 neuron outputs in 1 layers, test split"


def test_no_potential_is_left_for_the_next_batch(integrate, bench_of):
    # 0.4 fires once in four steps and leaves 0.6 behind, with which the next sample would fire twice
    bench = bench_of([[[[0.4, 0.0, 0.0, 0.0]]]] * 3, [0] * 3, batch_size=1)
    assert FiringRate().measure(integrate, bench)["firing_rate"].value == 3 / 48
    integrate.forward(bench.encode(integrate, torch.full((1, 1, 1, 4), 0.4), bench.generator()))
    assert FiringRate().measure(integrate, bench)["firing_rate"].value == 3 / 48


def test_measuring_twice_counts_the_same(integrate, bench_of):
    bench = bench_of([[[[0.5, 1.0, 0.25, 0.3]]]] * 3, [0] * 3, batch_size=2)
    assert FiringRate().measure(integrate, bench) == FiringRate().measure(integrate, bench)
    assert not integrate.module.neuron._forward_hooks


def test_a_network_without_neurons_has_no_firing_rate(linear, bench_of):
    assert FiringRate().measure(linear, bench_of(X, CLASSES))["firing_rate"].value is None


@pytest.mark.parametrize("metric", [Accuracy(), FiringRate()])
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
