"""What people give in the wrong kind: every public function says so in one line, and does nothing."""

import re
from pathlib import Path

import pytest
import torch
from own_networks import JellyNet
from torch import nn
from torch.utils.data import TensorDataset

from snncompress import (
    Host,
    InputError,
    Record,
    SnncompressError,
    Time,
    compress,
    declare,
    import_object,
    load,
    measure,
    run,
    save,
    sweep,
)

PRUNE = [{"use": "prune.l1", "fraction": 0.5, "select": "synapse"}]
PIPELINE = {
    "version": 1,
    "name": "x",
    "model": "snntorch.convnet",
    "data": "digits",
    "steps": [{"use": "train", "epochs": 1}],
}


@pytest.fixture(scope="module")
def host():
    return Host.from_environment()


@pytest.fixture(scope="module")
def network(host):
    return declare(JellyNet(), Time("multi_step", 4), host=host)


@pytest.fixture(scope="module")
def samples():
    return TensorDataset(torch.rand(20, 1, 8, 8), torch.arange(20) % 10)


@pytest.fixture(autouse=True)
def empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    yield
    assert not Path("runs").exists()


def told(work):
    with pytest.raises(SnncompressError) as caught:
        work()
    return str(caught.value)


JUNK = [None, 3, 0.5, b"bytes", ["a", 1], {"a": 1}, JellyNet(), torch.rand(3), lambda: 0]
IDS = ["none", "int", "float", "bytes", "list", "mapping", "module", "tensor", "function"]


@pytest.mark.parametrize("junk", JUNK, ids=IDS)
def test_no_traceback_for_the_wrong_kind(network, samples, host, junk):
    def compressed(**changed):
        return compress(**({"network": network, "steps": PRUNE, "data": (samples,) * 3, "silent": True} | changed))

    works = [
        lambda: load(junk),
        lambda: save(junk, "folder"),
        lambda: save(network, junk),
        lambda: Record.read(junk),
        lambda: import_object(junk),
        lambda: compressed(network=junk),
        lambda: compressed(steps=junk),
        lambda: compressed(steps=[junk]),
        lambda: compressed(data=junk),
        lambda: compressed(measure=junk),
        lambda: compressed(budget=junk),
        lambda: compressed(store=junk),
        lambda: run(PIPELINE, store=junk, host=host, silent=True),
        lambda: run(PIPELINE, overrides=junk, host=host, silent=True),
        lambda: sweep(PIPELINE, junk, host=host, silent=True),
        lambda: measure(junk, samples, ["parameters"]),
        lambda: measure(network, samples, junk),
        lambda: measure(
            network, samples, ["parameters"], batch_size=0 if junk is None or isinstance(junk, int) else junk
        ),
        lambda: declare(junk, junk),
        lambda: declare(JellyNet(), Time("multi_step", 4), build=junk) if junk is not None else load(None),
        lambda: Time(junk),
        lambda: Time("multi_step", 4, records=junk),
        lambda: network.with_weights(junk),
        lambda: network.with_masks({"fc1.weight": junk}),
        lambda: network.edited(junk),
        lambda: network.forward(junk if not isinstance(junk, torch.Tensor) else None),
        lambda: network.read_checkpoint(junk),
        lambda: network.hold_masks(junk).__enter__(),
    ]
    if not isinstance(junk, dict):
        works.append(lambda: run(junk, host=host, silent=True))
    if junk is not None:
        works += [lambda: compressed(output=junk), lambda: run(PIPELINE, output=junk, host=host, silent=True)]
    for work in works:
        assert 0 < len(told(work)) < 1500


def test_a_plain_module_is_told_what_to_do(samples):
    line = told(lambda: compress(JellyNet(), steps=PRUNE, data=(samples,) * 3))
    assert line == (
        "compress takes a declared network, not the module itself; "
        "use declare(): compress(snncompress.declare(module, snncompress.Time(...)), ...)"
    )
    assert "measure takes a declared network" in told(lambda: measure(JellyNet(), samples))


def test_a_container_of_torch_needs_what_builds_it(host):
    bare = nn.Sequential(nn.Flatten(2), nn.Linear(64, 10))
    assert told(lambda: declare(bare, Time("multi_step", 4), host=host)) == (
        "no class of yours builds this 'Sequential'; put what builds it into a function of a module, and give build=: "
        "declare(module, time, build=that_function)"
    )
    linear = declare(nn.Linear(64, 10), Time("multi_step", 4), arguments={"in_features": 64, "out_features": 10})
    assert linear.time.T == 4


def test_one_entry_stands_for_a_list_of_one_and_one_override_does_not(network, samples):
    folders = {"output": "made", "store": "kept"}
    found = compress(network, steps=PRUNE[0], data=(samples,) * 3, measure="accuracy", silent=True, **folders).record
    assert [step.use for step in found.steps] == [PRUNE[0]["use"]]
    assert list(found.final) == list(measure(network, samples, "accuracy")) == ["accuracy"]
    assert told(lambda: run(PIPELINE, overrides="seed=1")) == (
        "overrides: should be a list of texts such as ['seed=1'], not 'seed=1'"
    )


def test_masks_are_held_over_the_optimizer(network):
    line = told(lambda: network.hold_masks(network.module.parameters()).__enter__())
    assert line == (
        "hold_masks takes the optimizer, not 'generator': "
        "with network.hold_masks(torch.optim.Adam(network.module.parameters()))"
    )


def test_what_is_long_is_not_shown_whole(network, samples):
    line = told(lambda: compress(network, steps=[{"use": network}], data=(samples,) * 3))
    assert line == ("pipeline: a 'Network' is no plain value; use text, numbers, true, false, null, lists and mappings")


def test_a_record_is_read_from_text_and_path(tmp_path):
    record = Record(name="x", pipeline={}, environment={}, steps=(), baseline={}, final={}, artifact="runs/x/final")
    record.write(str(tmp_path / "record.json"))
    assert Record.read(str(tmp_path)) == Record.read(tmp_path / "record.json") == record
    assert [file.name for file in tmp_path.iterdir()] == ["record.json"]
    with pytest.raises(
        InputError, match=re.escape("'nowhere' holds no record.json; give the folder of a finished run")
    ):
        Record.read("nowhere")
    Path("text.txt").write_text("hello", encoding="utf-8")
    with pytest.raises(InputError, match="'text.txt' is no Record that this snncompress reads: Invalid JSON"):
        Record.read("text.txt")
