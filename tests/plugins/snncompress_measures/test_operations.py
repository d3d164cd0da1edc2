import torch
from own_networks import JellyNet
from spikingjelly.activation_based.op_counter import ModuleCounterMode, NeuromorphicMemoryAccessCounter

from snncompress import OperationCounts, Time, declare
from snncompress_measures.energy import Energy
from snncompress_measures.energy_models import Memory45nm
from snncompress_measures.operations import SynapticOperations

# four steps of the same input into an identity of 4 x 4, of whose weights 4 are not zero
SPIKES = [[[[1.0, 1.0, 0.0, 0.0]]], [[[0.0, 0.0, 0.0, 1.0]]]]
REAL = [[[[0.5, 1.0, 0.0, 0.0]]], [[[0.0, 0.0, 0.0, 0.25]]]]


def values_of(metric, network, bench):
    found = metric.measure(network, bench)
    assert tuple(found) == metric.yields()
    return {name: measured.value for name, measured in found.items()}


def test_operations_on_spikes_by_hand(integrate, bench_of):
    # 3 spikes at each of 4 steps, each meets 4 weights of which one is not zero; 2 samples
    found = values_of(SynapticOperations(), integrate, bench_of(SPIKES, [0, 0]))
    assert found == {"synops": 6, "synops_fanout": 24, "macs": 0, "dense_ops": 64, "attention_ops": 0}


def test_operations_on_real_numbers_by_hand(integrate, bench_of):
    found = values_of(SynapticOperations(), integrate, bench_of(REAL, [0, 0]))
    assert found == {"synops": 0, "synops_fanout": 0, "macs": 6, "dense_ops": 64, "attention_ops": 0}


def test_every_figure_says_what_it_counts(integrate, bench_of):
    found = SynapticOperations().measure(integrate, bench_of(SPIKES, [0, 0]))
    assert {one.unit for one in found.values()} == {"operations per sample"}
    assert {one.better for one in found.values()} == {"lower"}
    ending = "; mean of 2 test samples, 4 time step(s) each"
    assert found["synops"].how == f"(spike, non-zero weight) pairs{ending}"
    assert all(one.how.endswith(ending) for one in found.values())


def test_the_detail_holds_every_row(integrate, bench_of):
    found = SynapticOperations().measure(integrate, bench_of(SPIKES, [0, 0]))
    (row,) = OperationCounts(**found["synops"].detail).of("synapse")
    assert (row.path, sum(row.pairs), row.weights, row.weights_nonzero) == ("fc", 12, 16, 4)
    assert [name for name, one in found.items() if one.detail is not None] == ["synops"]


def test_the_energy_of_spikes_by_hand(integrate, bench_of):
    metric = Energy(models=["45nm", "77fj", "sdt", {"use": "spikformer", "zero_weights": "counted"}])
    found = metric.measure(integrate, bench_of(SPIKES, [0, 0]))
    picojoules = {name: 1e9 * one.value for name, one in found.items()}
    # 6 pairs a sample; the input repeats, so the first layer's one step has 1.5; fan-out 24
    by_hand = {"energy": 6 * 0.9, "energy_77fj": 6 * 0.077, "energy_sdt": 1.5 * 0.9, "energy_spikformer": 24 * 0.9}
    assert {name: round(value, 9) for name, value in picojoules.items()} == {
        name: round(value, 9) for name, value in by_hand.items()
    }


def test_the_detail_of_the_energy_names_models_parts_and_layers(integrate, bench_of):
    found = Energy(models=["45nm", "77fj"]).measure(integrate, bench_of(REAL, [0, 0]))
    first, second = found["energy"].detail["models"]
    assert (first["name"], second["name"]) == ("45nm", "77fj")
    assert {name for name, mj in first["parts"].items() if mj} == {"synapse_mac"}
    assert round(1e9 * first["layers"]["fc"], 9) == round(6 * 4.6, 9)
    assert first["mj"] == found["energy"].value
    assert second["mj"] == found["energy_77fj"].value
    assert second["settings"]["flop_pj"] == 12.5
    assert found["energy"].unit == "mJ per sample"
    assert found["energy"].how.startswith("model '45nm', compute only: ")
    assert found["energy_77fj"].detail is None


def test_what_moves_is_what_spikingjelly_counts(host, bench):
    torch.manual_seed(0)
    network = declare(JellyNet(), Time("multi_step", 3), host=host)
    model = Memory45nm(zero_weights="counted", byte_pj=1e9, bytes_per_value=4)  # one mJ a byte
    counts = bench.observe(network, "counts").counts
    parts = model.energy(counts)
    counter = NeuromorphicMemoryAccessCounter()
    network.module.eval()
    with torch.no_grad(), ModuleCounterMode([counter], model=network.module):
        for x_B, _ in bench.batches("test"):
            network.reset()
            network.forward(bench.encode(network, x_B, bench.generator()))
    total = counter.get_counts()["Global"]
    found = {
        "weight_read_bytes": parts["weight_reads"],
        "bias_read_bytes": parts["bias_reads"],
        "neuron_state_read_bytes": parts["state_reads"],
        "neuron_state_write_bytes": parts["state_writes"],
    }
    assert {name: round(bytes_ * counts.samples) for name, bytes_ in found.items()} == total
