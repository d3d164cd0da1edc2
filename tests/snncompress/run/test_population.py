"""Several outputs for each class, declared: against snnTorch's own accuracy and losses with ``population_code``."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from own_networks import Population, counted_loss
from sklearn.datasets import load_digits
from snntorch import functional as sf
from torch.nn import functional
from torch.utils.data import TensorDataset

from snncompress import ModelError, Time, Timesteps, Training, compress, declare, load, measure, run
from snncompress.run.losses import loss_of

TIME = Time("inside", 5, input="static", records=("output", "membranes"), attribute="num_steps", population=10)
TRAIN = {"use": "train", "epochs": 3, "batch_size": 50, "lr": 0.01}


def digits(start, end):
    x, y = load_digits(return_X_y=True)
    images = torch.tensor(x, dtype=torch.float32).reshape(-1, 1, 8, 8) / 16
    return TensorDataset(images[start:end], torch.tensor(y[start:end]))


SPLITS = digits(0, 500), digits(500, 700), digits(1297, 1797)


@pytest.fixture
def network(host):
    torch.manual_seed(0)
    return declare(Population(), TIME, host=host)


def theirs(module, steps=5):
    """Count the right ones as snnTorch does, with the first ``steps`` steps."""
    x, labels = SPLITS[2].tensors
    with torch.no_grad():
        spikes = module(x)[0][:steps]
    return round(sf.accuracy_rate(spikes, labels, population_code=True, num_classes=10) * len(labels))


def test_accuracy_is_snntorchs_at_every_step_through_training_pruning_and_loading(network, folder):
    steps = [
        TRAIN,
        {"use": "prune.l1", "fraction": 0.5, "select": ["fc1", "fc2"], "finetune": {"epochs": 1, "lr": 0.01}},
    ]
    result = compress(network, steps=steps, data=SPLITS, measure=["accuracy", "sparsity"], silent=True)
    found = result.record.final["accuracy"]
    loaded = load(result.folder / "final", allow_code=True)
    assert loaded.time.population == 10
    assert theirs(loaded.module) == round(found.value * 500) > 250
    by_step = [round(part * 500) for part in found.detail["by_time"]]
    assert by_step == [theirs(loaded.module, steps) for steps in range(1, 6)]
    assert measure(loaded, SPLITS[2], "accuracy")["accuracy"].value == found.value


def test_a_pipeline_says_it_in_the_declaration(folder, host):
    model = {"use": "python", "function": "own_networks:Population", "time": TIME.to_json()}
    pipeline = {
        "version": 1,
        "name": "own",
        "model": model,
        "data": "digits",
        "steps": [TRAIN],
        "measure": ["accuracy"],
    }
    result = run(pipeline, host=host, allow_code=True, silent=True)
    assert result.record.final["accuracy"].value > 0.5
    assert result.network.time.population == 10


def test_losses_see_one_value_for_each_class(network):
    x, labels = SPLITS[0].tensors
    with torch.no_grad():
        output, spikes, membranes = network.forward(x), *network.module(x)
    summed = torch.stack([part.sum(-1) for part in spikes.split(10, -1)], -1)
    expected = {
        "cross_entropy": functional.cross_entropy(summed.mean(0), labels),
        "tet": sf.ce_rate_loss()(summed, labels),
        "spike_count_mse": functional.mse_loss(summed.mean(0) / 10, 0.2 + 0.6 * functional.one_hot(labels, 10)),
        "membrane_cross_entropy": sf.ce_rate_loss()(
            torch.stack([part.sum(-1) for part in membranes.split(10, -1)], -1), labels
        ),
    }
    for name, value in expected.items():
        assert float(loss_of(Training(epochs=1, loss=name))(output, labels)) == pytest.approx(float(value), rel=1e-5)
    by_library = sf.ce_count_loss(population_code=True, num_classes=10)(spikes, labels)
    assert float(counted_loss(output, labels)) == pytest.approx(float(by_library), rel=1e-5)


def test_channels_are_cut_and_no_output_is(network, folder):
    steps = [TRAIN, {"use": "prune.channels", "fraction": 0.5}]
    result = compress(network, steps=steps, data=SPLITS, measure=["accuracy"], silent=True)
    shapes = {name: list(value.shape) for name, value in result.network.tensors.items() if value.dim() == 2}
    assert shapes == {"fc1.weight": [16, 64], "fc2.weight": [100, 16]}
    assert theirs(result.network.module) == round(result.record.final["accuracy"].value * 500)


def test_fewer_steps_keep_the_population(network):
    shorter = network.edited([Timesteps(2)])
    assert shorter.time == replace(TIME, T=2)
    assert shorter.forward(torch.rand(3, 1, 8, 8)).logits.shape == (2, 3, 10)


def test_outputs_that_are_no_whole_number_of_classes_are_told(host):
    network = declare(Population(), replace(TIME, population=7), host=host)
    with pytest.raises(ModelError, match="gives 100 outputs, which are no whole number of classes with population=7"):
        measure(network, SPLITS[2], "accuracy")
