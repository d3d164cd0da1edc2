"""What batches may be, in training, in measuring, and for data in hand: one clear error each, or the right number."""

from __future__ import annotations

from time import perf_counter

import numpy as np
import pytest
import torch
from own_networks import JellyNet, LoopNet, Population
from spikingjelly.activation_based import functional, layer, neuron
from torch import nn
from torch.utils.data import DataLoader, Dataset, TensorDataset

from snncompress import DataError, Time, compress, declare, measure
from snncompress.components import Inputs
from snncompress.measure import Batches, first_of

TRAIN = [{"use": "train", "epochs": 1, "batch_size": 10, "lr": 0.01}]
IMAGES, LABELS = torch.rand(40, 1, 8, 8, generator=torch.Generator().manual_seed(0)), torch.arange(40) % 10
SOUND = TensorDataset(IMAGES, LABELS)


class Listed(Dataset):
    """Samples of any kind, by number."""

    def __init__(self, samples):
        self.samples = samples

    def __len__(self):
        return len(self.samples)

    def __getitem__(self, index):
        return self.samples[index]


def in_time(samples):
    """Collate as snnTorch's and tonic's loaders do with ``batch_first=False``."""
    return torch.stack([x for x, _ in samples], 1), torch.tensor([int(y) for _, y in samples])


@pytest.fixture
def network(host):
    torch.manual_seed(0)
    return declare(JellyNet(), Time("multi_step", 4), host=host)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


NAN = IMAGES.clone()
NAN[3, 0, 2, 2] = float("nan")
INFINITE = IMAGES.clone()
INFINITE[7, 0, 0, 0] = float("-inf")
RAGGED = [(torch.rand(2 + index % 2, 1, 8, 8), 0) for index in range(40)]

WRONG = {
    "triples": (TensorDataset(IMAGES, LABELS, LABELS), "static", r"is a list of 3, and each batch must be a pair \(x"),
    "dicts": (
        Listed([{"image": x, "label": y} for x, y in zip(IMAGES, LABELS, strict=True)]),
        "static",
        r"is a dict with 'image', 'label', and each batch must be a pair .*; give the loader a collate_fn",
    ),
    "images alone": (Listed(list(IMAGES)), "static", r"is a tensor float32 \[\d+, 1, 8, 8\], and each batch must"),
    "one-hot": (TensorDataset(IMAGES, torch.eye(10)[LABELS]), "static", r"these are one-hot: take labels.argmax\(1\)"),
    "columns": (TensorDataset(IMAGES, LABELS[:, None]), "static", r"not int64 \[\d+, 1\]; take labels.squeeze\(1\)"),
    "float labels": (
        TensorDataset(IMAGES, LABELS.float()),
        "static",
        r"labels must be one whole number .* not float32",
    ),
    "images as targets": (TensorDataset(IMAGES, IMAGES), "static", r"not float32 \[\d+, 1, 8, 8\]"),
    "labels from 1": (TensorDataset(IMAGES, LABELS + 1), "static", r"the label 10 at index \d+ lies outside 0..9"),
    "negative labels": (TensorDataset(IMAGES, LABELS - 1), "static", r"the label -1 at index 0 lies outside 0..9"),
    "a missing number": (TensorDataset(NAN, LABELS), "static", r"the sample at index \d+ holds nan; x must be finite"),
    "infinity": (TensorDataset(INFINITE, LABELS), "static", r"the sample at index \d+ holds -inf"),
    "complex": (TensorDataset(IMAGES.to(torch.complex64), LABELS), "static", r"is complex64 .*; it must be real"),
    "ragged": (Listed(RAGGED), "frames", r"reading batch 1 of the \w+ data failed: .*equal size"),
    "other steps": (TensorDataset(torch.rand(40, 7, 1, 8, 8), LABELS), "frames", r"bring 7 time steps, and .* runs 4"),
    "time first": (
        DataLoader(TensorDataset(torch.rand(40, 4, 1, 8, 8), LABELS), 20, collate_fn=in_time),
        "frames",
        r"x of shape \[4, 20, 1, 8, 8\] and 20 labels; axis 0 must be the batch; time seems to come first",
    ),
    "no batch": (DataLoader(SOUND, 64, drop_last=True), "static", r"the \w+ data give no batch; with drop_last"),
    "arrays of objects": (
        DataLoader(
            SOUND, 4, collate_fn=lambda many: (np.array([np.zeros(1), np.zeros((2, 2)), 0, 0], dtype=object), many)
        ),
        "static",
        r"x of batch 1 of the \w+ data is an array of objects: its samples have different shapes",
    ),
}


WRONG_LATER = {**WRONG, "other steps": (*WRONG["other steps"][:2], r"shape \[7, 1, 8, 8\].*7 time steps for 4")}
"""Behind sound training data, frames of other steps are frames of another shape."""


def sound_for(kind):
    return TensorDataset(torch.rand(40, 4, 1, 8, 8), LABELS) if kind == "frames" else SOUND


@pytest.mark.parametrize(("data", "kind", "why"), WRONG.values(), ids=WRONG)
def test_what_is_no_classification_is_one_clear_error_of_measure(network, data, kind, why):
    with pytest.raises(DataError, match=why):
        measure(network, data, ["accuracy"], kind=kind)


@pytest.mark.parametrize(
    ("place", "data", "kind", "why"),
    [
        pytest.param(place, *case, id=f"{name}, {('train', 'validation', 'test')[place]}")
        for place in range(3)
        for name, case in (WRONG_LATER if place else WRONG).items()
    ],
)
def test_it_is_one_clear_error_of_compress_before_anything_is_trained(
    network, folder, place, data, kind, why, monkeypatch
):
    monkeypatch.setattr("torch.optim.Optimizer.step", None)
    splits = [sound_for(kind)] * 3
    splits[place] = data
    with pytest.raises(DataError, match=why):
        compress(network, steps=TRAIN, data=tuple(splits), kind=kind, silent=True)


def test_the_error_names_split_batch_and_index(network):
    late = NAN.clone()
    late[3] = 0
    late[25, 0, 0, 0] = float("nan")
    with pytest.raises(
        DataError, match="^batch 3 of the test data: the sample at index 5 holds nan; x must be finite$"
    ):
        measure(network, DataLoader(TensorDataset(late, LABELS), 10), ["accuracy"])
    labels = LABELS.clone()
    labels[33] = 12
    with pytest.raises(DataError, match=r"^batch 4 of the test data: the label 12 at index 3 lies outside 0\.\.9$"):
        measure(network, TensorDataset(IMAGES, labels), ["accuracy"], batch_size=10)


@pytest.mark.parametrize(
    "dtype",
    [torch.float64, torch.float16, torch.bool, torch.int8, torch.uint8, torch.int16, torch.int32, torch.int64],
    ids=str,
)
def test_other_precisions_measure_and_train_as_the_same_values_in_float32(network, folder, dtype):
    values = (IMAGES > 0.5).to(dtype)
    expected = measure(network, TensorDataset(values.float(), LABELS), ["accuracy", "synops"])
    for x in (values, values.numpy()):
        split = (
            TensorDataset(x, LABELS)
            if isinstance(x, torch.Tensor)
            else Listed(list(zip(x, LABELS.numpy(), strict=True)))
        )
        assert measure(network, split, ["accuracy", "synops"]) == expected
    results = [
        compress(network, steps=TRAIN, data=(TensorDataset(x, LABELS),) * 3, silent=True, name=name).network.tensors
        for name, x in (("given", values), ("floats", values.float()))
    ]
    assert all(torch.equal(value, results[1][name]) for name, value in results[0].items())


def test_loaders_may_give_arrays(network):
    def arrays(samples):
        return np.stack([x.numpy() for x, _ in samples]).astype(np.float64), np.array([int(y) for _, y in samples])

    assert measure(network, DataLoader(SOUND, 8, collate_fn=arrays), ["accuracy"]) == measure(
        network, SOUND, ["accuracy"]
    )


def test_images_of_whole_numbers_are_not_rescaled_and_that_is_said(network):
    whole = (IMAGES * 255).to(torch.uint8)
    with pytest.warns(
        UserWarning, match="uint8 with values above 1: they are taken as they are and not divided by 255"
    ):
        found = measure(network, TensorDataset(whole, LABELS), ["accuracy", "spikes"])
    assert found == measure(network, TensorDataset(whole.float(), LABELS), ["accuracy", "spikes"])


def test_counts_of_events_are_taken_without_a_word(network):
    counts = torch.randint(0, 9, (40, 4, 1, 8, 8), generator=torch.Generator().manual_seed(1))
    narrow = TensorDataset(counts.to(torch.int16), LABELS)
    wide = TensorDataset(counts.float(), LABELS)
    found = (measure(network, split, ["accuracy", "synops"], kind="frames") for split in (narrow, wide))
    assert next(found) == next(found)


def test_a_network_in_float64_is_given_float64(network):
    exact = network.in_float64()
    for images in (IMAGES, IMAGES.double()):
        assert measure(exact, TensorDataset(images, LABELS), ["accuracy"])["accuracy"].value is not None


def words():
    made = nn.Sequential(nn.Embedding(50, 8), layer.Flatten(), layer.Linear(8 * 6, 10), neuron.LIFNode())
    functional.set_step_mode(made, "s")
    return made


def test_indices_of_an_embedding_stay_whole_numbers(host):
    network = declare(words(), Time("per_step", 2), build=words, host=host)
    tokens = torch.randint(0, 50, (40, 6))
    assert measure(network, TensorDataset(tokens, LABELS), ["accuracy"])["accuracy"].value is not None


def test_samples_of_a_loader_may_be_anything_that_its_collate_fn_turns_into_a_pair(network, folder):
    def pairs(samples):
        return torch.stack([one["image"] for one in samples]), torch.stack([one["label"] for one in samples])

    loader = DataLoader(
        Listed([{"image": x, "label": y, "name": "a"} for x, y in zip(IMAGES, LABELS, strict=True)]),
        10,
        collate_fn=pairs,
    )
    result = compress(network, steps=TRAIN, data=(loader,) * 3, silent=True)
    expected = measure(result.network, SOUND, ["accuracy"])["accuracy"].value
    assert result.record.final["accuracy"].value == expected
    assert measure(result.network, loader, ["accuracy"])["accuracy"].value == expected


POPULATION = Time("inside", 5, input="static", attribute="num_steps")


def test_more_outputs_than_classes_are_an_error_in_a_pipeline_before_anything_is_trained(host, folder, monkeypatch):
    from snncompress import run

    monkeypatch.setattr("torch.optim.Optimizer.step", None)
    pipeline = {
        "version": 1,
        "name": "population",
        "model": {"use": "python", "function": "own_networks:Population", "time": POPULATION.to_json()},
        "data": {"use": "digits"},
        "steps": TRAIN,
        "measure": ["accuracy"],
    }
    with pytest.raises(DataError, match="gives 100 outputs, and the data have 10 classes.*sum them in forward"):
        run(pipeline, host=host, allow_code=True, silent=True)


def test_many_times_more_outputs_than_labels_are_said_of_data_in_hand(host, folder):
    network = declare(Population(), POPULATION, host=host)
    words = r"gives 100 outputs, and the labels seen are 0..9; .* output.unflatten\(-1, \(10, -1\)\).sum\(-1\)"
    with pytest.warns(UserWarning, match=words):
        measure(network, SOUND, ["accuracy"])
    with pytest.warns(UserWarning, match=words):
        compress(network, steps=[{"use": "prune.l1", "fraction": 0.5}], data=(SOUND,) * 3, silent=True)


def test_the_sum_that_the_hint_gives_is_what_the_library_counts():
    from snntorch import functional as sf

    spikes_TBC = (torch.rand(5, 40, 100) < 0.3).float()
    summed = spikes_TBC.unflatten(-1, (10, -1)).sum(-1).sum(0).argmax(1)
    theirs = sf.accuracy_rate(spikes_TBC, LABELS, population_code=True, num_classes=10)
    assert float((summed == LABELS).float().mean()) == pytest.approx(theirs)


def test_looking_at_a_first_batch_leaves_a_loaders_own_generator_as_it_was():
    loader = DataLoader(SOUND, 10, shuffle=True, generator=torch.Generator().manual_seed(7))
    again = DataLoader(SOUND, 10, shuffle=True, generator=torch.Generator().manual_seed(7))
    before = torch.get_rng_state()
    first_of(Batches(loader, "train", Inputs((1, 8, 8), 10)))
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(next(iter(loader))[1], next(iter(again))[1])


def test_large_finite_values_are_finite():
    values = torch.full((2, 1, 8, 8), 3e38)
    batches = Batches(DataLoader(TensorDataset(values, torch.zeros(2).long()), 2), "test", Inputs((), 0))
    x_B, _ = next(iter(batches))
    assert torch.equal(x_B, values)


def test_the_gate_costs_little_of_a_training_step(host):
    """Less than 1 % of a step of a small network; the smallest of several, so that a busy machine does not decide."""
    time = Time("inside", 10, input="static", records=("output", "membranes"), attribute="num_steps")
    settings = {"hidden": 256, "num_steps": 10}
    network = declare(LoopNet(**settings), time, arguments=settings, host=host)
    x_B, labels_B = torch.rand(128, 1, 8, 8), torch.arange(128) % 10
    gate = Batches(DataLoader(SOUND, 128), "train", Inputs((1, 8, 8), 10))

    def step():
        network.forward(x_B).mean().sum().backward()
        network.reset()

    def seconds(work):
        started = perf_counter()
        work()
        return perf_counter() - started

    cost = min(seconds(lambda: gate.looked_at([x_B, labels_B], 1)) for _ in range(30))
    assert cost < 0.01 * min(seconds(step) for _ in range(5))
