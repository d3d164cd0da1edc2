"""What a latency is made of; how long anything takes is not tested."""

from dataclasses import replace

import pytest
import torch
from own_networks import JellyNet

from snncompress import Time, declare
from snncompress_measures.latency import Latency


@pytest.fixture
def network(host):
    torch.manual_seed(0)
    return declare(JellyNet(), Time("multi_step", 2), host=host)


def test_the_network_runs_in_turn_with_the_uncompressed_one(host, network, bench):
    order = []
    baseline = declare(JellyNet(), Time("multi_step", 2), host=host)
    network.module.register_forward_hook(lambda *_: order.append("n"))
    baseline.module.register_forward_hook(lambda *_: order.append("b"))
    found = Latency(repeats=3).measure(network, replace(bench, uncompressed=lambda: baseline))
    assert tuple(found) == Latency().yields()
    assert "".join(order) == "nb" * 3 + "nb" + "bn" + "nb"
    detail = found["latency_ratio"].detail
    assert [len(numbers) for numbers in detail.values()] == [3, 3, 3]
    assert min(detail["milliseconds"]) > 0
    assert found["latency_ratio"].how.endswith("each beside a run of the uncompressed network in the same process")


def test_without_the_uncompressed_network_there_is_no_ratio(network, bench):
    found = Latency(repeats=2).measure(network, bench)
    assert found["latency_ratio"].value is None
    assert found["latency_ms"].value > 0


@pytest.mark.parametrize(("asked", "taken"), [(1, 1), (3, 3), (4, 4), (9, 5)])
def test_a_batch_is_made_of_the_first_test_samples(integrate, bench_of, asked, taken):
    samples = [[[[float(index), 0.0, 0.0, 0.0]]] for index in range(5)]
    seen = []
    integrate.module.register_forward_hook(lambda _, inputs, __: seen.append(inputs[0][0, :, 0, 0, 0].tolist()))
    found = Latency(batch_size=asked, repeats=1).measure(integrate, bench_of(samples, [0] * 5, batch_size=2))
    assert seen == [[0.0, 1.0, 2.0, 3.0, 4.0][:taken]] * 4  # 3 to warm up, 1 that counts
    assert f"1 runs of {taken} test samples at once" in found["latency_ms"].how


def test_every_run_begins_without_state_and_leaves_none(integrate, bench_of):
    outputs = []
    integrate.module.register_forward_hook(lambda _, __, output: outputs.append(output.sum().item()))
    Latency(repeats=2).measure(integrate, bench_of([[[[0.4, 0.0, 0.0, 0.0]]]], [0]))
    assert outputs == [1.0] * 5  # 0.4 fires once in four steps, and twice with what the run before would leave
    assert integrate.module.neuron.v == 0.0


def test_the_machine_is_named(network, bench):
    how = Latency(repeats=1).measure(network, bench)["latency_ms"].how
    assert how.endswith(f"{torch.get_num_threads()} thread(s), torch {torch.__version__}")
