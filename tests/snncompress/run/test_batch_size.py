"""Where a user's own loader decides the batch size, no other is asked for or recorded."""

import pytest
import torch
from own_networks import JellyNet
from torch.utils.data import BatchSampler, DataLoader, RandomSampler

import snncompress
from snncompress import InputError, PipelineError, Record, Time, compress, declare, run

TRAIN = {"use": "train", "epochs": 1}
TUNE = {"use": "prune.l1", "fraction": 0.5, "finetune": {"epochs": 1}}


@pytest.fixture
def network(host):
    torch.manual_seed(0)
    return declare(JellyNet(), Time("multi_step", 2), host=host)


def test_another_size_than_the_loaders_is_an_error_of_the_plan(folder, network, loaders):
    steps = [{**TRAIN, "batch_size": 50}, {**TUNE, "finetune": {"epochs": 1, "batch_size": 10}}]
    told = "the loader of the training data decides, and its batches have 20 samples"
    with pytest.raises(PipelineError) as caught:
        compress(network, steps=steps, data=loaders, silent=True)
    assert caught.value.lines == (
        f"pipeline: steps.0.batch_size: {told}; leave it out, or give a data set in the place of the loader",
        f"pipeline: steps.1.finetune.batch_size: {told}; leave it out, or give a data set in the place of the loader",
    )


@pytest.mark.parametrize("given", [{}, {"batch_size": 20}], ids=str)
def test_the_record_says_the_size_that_was_used(folder, network, loaders, given):
    record = compress(network, steps=[{**TRAIN, **given}, TUNE], data=loaders, silent=True).record
    assert record.pipeline["steps"][0]["batch_size"] == 20
    assert record.pipeline["steps"][1]["finetune"]["batch_size"] == 20
    assert record.steps[0].notes["training"]["train"]["batch_size"] == 20
    again = compress(network, steps=[{**TRAIN, **given}, TUNE], data=loaders, silent=True).record
    assert [step.reused for step in again.steps] == [True, True]
    assert again.pipeline == record.pipeline


def test_a_sampler_of_batches_decides_too(folder, network, loaders):
    split = loaders[0].dataset
    batches = DataLoader(split, batch_sampler=BatchSampler(RandomSampler(split), 25, drop_last=False))
    with pytest.raises(PipelineError, match="its batches have 25 samples"):
        compress(network, steps=[{**TRAIN, "batch_size": 50}], data=(batches, *loaders[1:]), silent=True)
    record = compress(network, steps=[TRAIN], data=(batches, *loaders[1:]), silent=True).record
    assert record.pipeline["steps"][0]["batch_size"] == 25


def test_data_sets_take_the_size_that_is_given(folder, network, loaders):
    splits = tuple(loader.dataset for loader in loaders)
    record = compress(network, steps=[{**TRAIN, "batch_size": 10}], data=splits, silent=True).record
    assert record.pipeline["steps"][0]["batch_size"] == 10
    assert "batch_size" not in record.steps[0].notes["training"]["train"]


DATA = """
import torch
from torch.utils.data import DataLoader, TensorDataset


def loaders():
    split = TensorDataset(torch.rand(60, 1, 8, 8, generator=torch.Generator().manual_seed(0)), torch.arange(60) % 10)
    return tuple(DataLoader(split, batch_size=15) for _ in range(3))
"""


@pytest.fixture
def with_loaders(folder, pipeline, monkeypatch):
    """A pipeline whose data are a function of the user's own that returns loaders."""
    (folder / "my_loaders.py").write_text(DATA)
    monkeypatch.syspath_prepend(str(folder))
    data = {"use": "python", "function": "my_loaders:loaders", "shape": [1, 8, 8], "num_classes": 10}
    return {**pipeline, "data": data, "steps": [TRAIN, TUNE]}


def test_loaders_of_a_function_decide_and_are_recorded(with_loaders, folder, host):
    record = run({**with_loaders, "seeds": [0, 1]}, allow_code=True, silent=True, host=host).record
    assert record.pipeline["steps"][0]["batch_size"] == 15
    assert Record.read(folder / "runs/small/seed-1").pipeline["steps"][1]["finetune"]["batch_size"] == 15


def test_a_size_beside_loaders_of_a_function_is_an_error_before_anything_is_trained(with_loaders, folder, host):
    with_loaders["steps"] = [TRAIN, {**TUNE, "finetune": {"epochs": 1, "batch_size": 50}}]
    with pytest.raises(InputError, match=r"steps.1: batch_size is 50, but the loader .* its batches have 15 samples"):
        run(with_loaders, allow_code=True, silent=True, host=host)
    assert not list(folder.rglob("network.json")), "the first step has not been done"


def test_measuring_beside_a_loader_takes_no_other_size(network, loaders):
    with pytest.raises(InputError, match="batch_size is 10, but the loader decides, and its batches have 50 samples"):
        snncompress.measure(network, loaders[2], ["accuracy"], batch_size=10)
    plain = snncompress.measure(network, loaders[2], ["accuracy"])
    assert snncompress.measure(network, loaders[2].dataset, ["accuracy"], batch_size=50) == plain
