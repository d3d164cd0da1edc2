"""What Python users give ``compress``, ``measure`` and ``save`` instead of what is meant: taken as meant, or one clear error."""

from __future__ import annotations

import functools

import pytest
import torch
from own_networks import JellyNet, halved_loss, summed_loss
from snntorch import functional as sf
from torch import nn
from torch.utils.data import TensorDataset

from snncompress import DataError, ModelError, PipelineError, Time, compress, declare, measure, run, save

IMAGES, LABELS = torch.rand(40, 1, 8, 8, generator=torch.Generator().manual_seed(0)), torch.arange(40) % 10
SPLIT = TensorDataset(IMAGES, LABELS)
TRAIN = {"use": "train", "epochs": 1, "lr": 0.01}


@pytest.fixture
def network(host):
    torch.manual_seed(0)
    return declare(JellyNet(), Time("multi_step", 4), host=host)


def compressed(network, **given):
    return compress(network, **{"steps": [TRAIN], "data": (SPLIT,) * 3, "silent": True, **given})


def test_a_plain_module_is_told_to_be_declared(folder):
    for verb, call in (
        ("compress", lambda: compressed(JellyNet())),
        ("measure", lambda: measure(JellyNet(), SPLIT)),
        ("save", lambda: save(JellyNet(), "somewhere")),
    ):
        with pytest.raises(
            ModelError, match=rf"^{verb} takes a declared network, not the module itself; use declare\(\)"
        ):
            call()
    with pytest.raises(ModelError, match=r"not 'str'; open it with snncompress.load"):
        compressed("runs/small/final")


def test_a_module_of_torchs_own_class_needs_the_function_that_builds_it(host):
    chain = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    with pytest.raises(ModelError, match="no class of yours builds this 'Sequential'; .* give build=: declare"):
        declare(chain, Time("none", input="static", output="averaged"), host=host)


def test_single_entries_may_stand_without_a_list(network, folder):
    budget = {"metric": "accuracy", "drop_at_most": 1.0}
    alone = compressed(network, steps=TRAIN, measure="accuracy", budget=budget, name="alone")
    listed = compressed(network, measure=["accuracy"], budget=[budget], name="listed")
    assert alone.record.final == listed.record.final
    assert [entry.met for entry in alone.record.budget] == [True]
    assert measure(network, SPLIT, "accuracy") == measure(network, SPLIT, [{"use": "accuracy"}])
    with pytest.raises(PipelineError, match="steps: should be a list, not 3"):
        compressed(network, steps=3)


def test_a_function_is_a_loss_as_its_place_is(network, folder):
    results = [
        compressed(network, steps=[{**TRAIN, "loss": loss}], name=name)
        for name, loss in (("given", summed_loss), ("named", "own_networks:summed_loss"), ("other", halved_loss))
    ]
    given, named, other = (result.network.tensors for result in results)
    assert all(torch.equal(value, named[name]) for name, value in given.items())
    assert any(not torch.equal(value, other[name]) for name, value in given.items())
    assert results[1].record.steps[0].reused
    assert results[0].record.pipeline["steps"][0]["loss"] == "own_networks:summed_loss"


def test_a_pipeline_in_python_takes_a_function_too(folder, host):
    model = {"use": "python", "function": "own_networks:JellyNet", "time": Time("multi_step", 2).to_json()}
    steps = [{**TRAIN, "batch_size": 500, "loss": summed_loss}]
    pipeline = {"version": 1, "name": "own", "model": model, "data": "digits", "steps": steps, "measure": ["accuracy"]}
    done = run(pipeline, host=host, allow_code=True, silent=True)
    assert done.record.pipeline["steps"][0]["loss"] == "own_networks:summed_loss"


@pytest.mark.parametrize(
    ("loss", "why"),
    [
        (lambda output, _: output.mean().sum(), "is defined inside a function, so no other process can import it"),
        (sf.ce_rate_loss, "the class 'ce_rate_loss' cannot be recorded"),
        (sf.ce_rate_loss(), "an object of the class 'ce_rate_loss' cannot be recorded.*call it in a function"),
        (nn.CrossEntropyLoss(), "an object of the class 'CrossEntropyLoss' cannot be recorded"),
        (functools.partial(summed_loss), "an object of the class 'partial' cannot be recorded"),
    ],
    ids=["lambda", "class", "object of snnTorch", "module of torch", "partial"],
)
def test_what_no_key_can_hold_is_no_loss(network, folder, loss, why):
    with pytest.raises(ModelError, match=why):
        compressed(network, steps=[{**TRAIN, "loss": loss}])


@pytest.mark.parametrize(
    ("loss", "why"),
    [
        (
            "snntorch.functional:ce_rate_loss",
            r"is a class and would be called as class\(output, labels_B\); name a function",
        ),
        (
            "own_networks:CRITERION",
            r"cannot be called as function\(output, labels_B\): 'Output' object has no attribute",
        ),
        ("torch.nn.functional:cross_entropy", r"cannot be called as function\(output, labels_B\): .* not Output"),
        ("own_networks:loss_of_each_sample", r"returns a tensor of shape \[2\] and not one number"),
        ("own_networks:HIDDEN", "is 'int', which cannot be called"),
    ],
)
@pytest.mark.parametrize("inside", [False, True])
def test_a_loss_that_cannot_be_called_is_refused_by_the_plan(network, folder, loss, why, inside, monkeypatch):
    monkeypatch.setattr("torch.optim.Optimizer.step", None)
    retrain = {"use": "prune.lottery", "rounds": 1, "retrain": {"epochs": 1, "loss": loss}}
    steps = [TRAIN, retrain] if inside else [{**TRAIN, "loss": loss}]
    with pytest.raises(PipelineError, match=f"steps.{'1.retrain' if inside else '0'}.loss: '{loss}' {why}"):
        compressed(network, steps=steps)


def test_parameters_are_no_optimizer(network):
    context = network.hold_masks(network.module.parameters())
    with pytest.raises(ModelError, match=r"hold_masks takes the optimizer, not 'generator': with network.hold_masks"):
        context.__enter__()


def test_arrays_are_no_data_set(network, folder):
    with pytest.raises(DataError, match="the train data are a pair of arrays; make a data set of them"):
        compressed(network, data=((IMAGES, LABELS),) * 3)
    with pytest.raises(DataError, match="the data are a pair of arrays; make a data set of them"):
        measure(network, (IMAGES.numpy(), LABELS.numpy()))


def test_images_of_another_size_are_one_clear_error_of_measure(network):
    small = TensorDataset(torch.rand(4, 1, 4, 4), torch.arange(4))
    with pytest.raises(
        ModelError,
        match=r"running the network on float32 \[4, 4, 1, 4, 4\] of the test data failed: .*shapes cannot be",
    ):
        measure(network, small, ["accuracy"])


def test_frames_and_still_images_under_the_other_kind(network, folder):
    frames = TensorDataset(IMAGES[:, None].expand(-1, 4, -1, -1, -1).clone(), LABELS)
    for call in (lambda: measure(network, frames), lambda: compressed(network, data=(frames,) * 3)):
        with pytest.raises(ModelError, match=r"axis 1 of each batch is time \(4 steps\), .* give kind='frames'"):
            call()
    for call in (lambda: measure(network, SPLIT, kind="frames"), lambda: compressed(network, kind="frames")):
        with pytest.raises(DataError, match=r"still images \[B, C, H, W\], leave kind out"):
            call()


def test_ready_batches_are_no_data_set(network, folder):
    batches = [(IMAGES[:20], LABELS[:20]), (IMAGES[20:], LABELS[20:])]
    for call in (lambda: measure(network, batches), lambda: compressed(network, data=(batches,) * 3)):
        with pytest.raises(DataError, match="are a list of ready batches; give the DataLoader"):
            call()
