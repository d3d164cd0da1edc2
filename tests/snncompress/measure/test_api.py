"""``snncompress.measure``: a network in hand, without a pipeline."""

import pytest
import torch
from own_networks import Gained, JellyNet
from torch.utils.data import DataLoader, TensorDataset

import snncompress
from snncompress import DataError, PipelineError, Time, declare


@pytest.fixture
def network(host):
    torch.manual_seed(0)
    return declare(JellyNet(), Time("multi_step", 3), host=host)


def test_a_named_data_set_and_metrics_by_name_or_with_settings(network):
    found = snncompress.measure(
        network, {"use": "digits", "size": 8}, ["accuracy", {"use": "sparsity", "select": ["fc1"]}, "synops"]
    )
    assert list(found)[:3] == ["accuracy", "sparsity", "sparsity_all"]
    assert found["accuracy"].how.endswith("of 500 test samples, mean output over 3 step(s)")
    assert found["dense_ops"].value == 3 * (64 * 32 + 32 * 10)


def test_a_loader_a_data_set_and_three_splits_measure_alike(network):
    split = TensorDataset(torch.rand(10, 1, 8, 8), torch.zeros(10, dtype=torch.long))
    other = TensorDataset(torch.rand(3, 1, 8, 8), torch.zeros(3, dtype=torch.long))
    ways = (split, DataLoader(split, batch_size=4), (other, other, split), DataLoader(split, batch_size=3))
    first, *rest = (snncompress.measure(network, data, ["accuracy", "synops"]) for data in ways)
    assert all(found == first for found in rest)
    assert first["accuracy"].how.startswith(("0 of 10", "1 of 10")) or " of 10 test samples" in first["accuracy"].how


def test_one_pass_serves_every_metric(network):
    split = TensorDataset(torch.rand(20, 1, 8, 8), torch.zeros(20, dtype=torch.long))
    passes = []
    network.module.register_forward_hook(lambda *_: passes.append(1))
    snncompress.measure(network, split, ["accuracy", "spikes", "synops", "energy"], batch_size=20)
    assert len(passes) == 1 + 2 + 1  # and of a few samples: tried out twice, audited once


def test_the_baseline_is_what_latency_compares_with(network):
    split = TensorDataset(torch.rand(4, 1, 8, 8), torch.zeros(4, dtype=torch.long))
    metric = {"use": "latency", "batch_size": 4, "repeats": 3}
    assert snncompress.measure(network, split, [metric])["latency_ratio"].value is None
    ratio = snncompress.measure(network, split, [metric], baseline=network.copy())["latency_ratio"]
    assert ratio.value > 0
    assert len(ratio.detail["ratios"]) == 3


def test_everything_wrong_is_told_at_once(network):
    split = TensorDataset(torch.rand(4, 1, 8, 8), torch.zeros(4, dtype=torch.long))
    with pytest.raises(PipelineError) as caught:
        snncompress.measure(network, split, ["acuracy", {"use": "energy", "models": ["45mn"]}], encode="direkt")
    assert str(caught.value).splitlines() == [
        "pipeline: encode.use: unknown encoder 'direkt'; did you mean 'direct'?",
        "pipeline: measure.0.use: unknown metric 'acuracy'; did you mean 'accuracy'?",
        "pipeline: measure.1.models.0.use: unknown energy model '45mn'; did you mean '45nm'?",
    ]
    with pytest.raises(PipelineError, match="unknown data set 'digitz'; did you mean 'digits'"):
        snncompress.measure(network, "digitz", ["accuracy"])
    with pytest.raises(DataError, match=r"data must be a DataLoader or a data set of \(x, y\)"):
        snncompress.measure(network, [], ["accuracy"])


def test_sparsity_looks_at_the_data_where_shapes_do_not_tell_what_a_weight_is(host):
    module = Gained()
    with torch.no_grad():
        module.places[0].zero_()  # a scale of each entry, not a weight
        module.mixing.fill_(1).tril_()
        module.head.weight.fill_(1)
    split = TensorDataset(torch.rand(6, 1, 8, 8), torch.zeros(6, dtype=torch.long))
    network = declare(module, Time("multi_step", 4), host=host)
    found = snncompress.measure(network, split, ["sparsity"])
    assert found["sparsity"].value == 28 / (72 + 64 + 5120)
    assert network.probe is None
