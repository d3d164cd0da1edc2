import torch

from snncompress import Activity
from snncompress_measures.spikes import SpikeStatistics

# reset by subtraction, spike at v >= 1, four steps: 0.5 fires at 2 and 4; 1.0 at every step; 0.25 at 4; 0 never
ACTIVE = [[[0.5, 1.0, 0.25, 0.0]]]
SILENT = [[[0.0, 0.0, 0.0, 0.0]]]


def values_of(network, bench):
    found = SpikeStatistics().measure(network, bench)
    assert tuple(found) == SpikeStatistics().yields()
    return {name: measured.value for name, measured in found.items()}


def test_the_firing_rate_by_hand(integrate, bench_of):
    found = SpikeStatistics().measure(integrate, bench_of([ACTIVE, SILENT], [0, 0]))["firing_rate"]
    assert found.value == 7 / 32  # 2 samples x 4 neurons x 4 steps
    assert found.unit == "spikes per neuron and step"
    assert found.how == "7 spikes of 32 neuron outputs in 1 layer(s), test split"


def test_the_detail_is_the_activity(integrate, bench_of):
    found = SpikeStatistics().measure(integrate, bench_of([ACTIVE, SILENT], [0, 0]))["firing_rate"]
    (layer,) = Activity.model_validate_json(Activity(**found.detail).model_dump_json()).layers
    assert (layer.path, layer.spikes, layer.outputs) == ("neuron", (1, 2, 1, 3), (8, 8, 8, 8))
    assert layer.raster == ("0101", "1111", "0001", "0000")


def test_dead_and_saturated_neurons_by_hand(integrate, bench_of):
    alone = values_of(integrate, bench_of([ACTIVE], [0]))
    assert (alone["dead_neurons"], alone["saturated_neurons"]) == (1 / 4, 1 / 4)
    both = values_of(integrate, bench_of([ACTIVE, SILENT], [0, 0]))
    assert (both["dead_neurons"], both["saturated_neurons"]) == (1 / 4, 0)
    in_batches = values_of(integrate, bench_of([ACTIVE, SILENT], [0, 0], batch_size=1))
    assert in_batches == both


def test_no_potential_is_left_for_the_next_batch(integrate, bench_of):
    # 0.4 fires once in four steps and leaves 0.6 behind, with which the next sample would fire twice
    bench = bench_of([[[[0.4, 0.0, 0.0, 0.0]]]] * 3, [0] * 3, batch_size=1)
    assert values_of(integrate, bench)["firing_rate"] == 3 / 48
    integrate.forward(bench.encode(integrate, torch.full((1, 1, 1, 4), 0.4), bench.generator()))
    assert values_of(integrate, bench)["firing_rate"] == 3 / 48


def test_measuring_twice_counts_the_same(integrate, bench_of):
    samples = [[[[0.5, 1.0, 0.25, 0.3]]]] * 3
    first, second = (SpikeStatistics().measure(integrate, bench_of(samples, [0] * 3, batch_size=2)) for _ in "12")
    assert first == second
    assert not integrate.module.neuron._forward_hooks


def test_a_network_without_neurons_has_no_firing_rate(linear, bench_of):
    assert set(values_of(linear, bench_of([[[[5.0, 1.0, 2.0]]]], [0])).values()) == {None}
