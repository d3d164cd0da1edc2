import os
import random
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, Literal

import pytest
import torch
import yaml
from own_networks import JellyNet
from safetensors.torch import load_file
from torch.utils.data import DataLoader, TensorDataset

from snncompress import Host, Inputs, StepError, Strategy, Time, Training, compress, declare, hookimpl
from snncompress.measure import DataBench
from snncompress.network import open_architecture
from snncompress.run.in_hand import LoadersInHand
from snncompress.run.session import StepRun
from snncompress.run.watch import Watch

TESTS = Path(__file__).parents[2]
NUM_KILLS = 20


class Interrupting(TensorDataset):
    """Samples that interrupt the program once, after a number of accesses."""

    def __init__(self, *tensors, after):
        super().__init__(*tensors)
        self.left = after

    def __getitem__(self, index):
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt
        return super().__getitem__(index)


def weights(folder):
    return load_file(Path(folder) / "final" / "weights.safetensors")


def same(first, second):
    return set(first) == set(second) and all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("after", [300, 700, 1130])
def test_an_interrupted_run_over_a_users_loader_ends_bit_equal(folder, host, after):
    """The loader shuffles with a generator of its own, whose state is part of the checkpoint."""
    x = torch.rand(120, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    y = torch.arange(120) % 10
    torch.manual_seed(0)
    network = declare(JellyNet(), Time("multi_step", 2), host=host)
    steps = [
        {"use": "train", "epochs": 4, "snapshots": [1]},
        {"use": "prune.lottery", "rounds": 2, "rewind_to": "epoch-1", "epochs": 3},
    ]

    def attempt(name, left):
        samples = Interrupting(x, y, after=left)
        loader = DataLoader(samples, batch_size=16, shuffle=True, generator=torch.Generator().manual_seed(9))
        rest = DataLoader(TensorDataset(x, y), batch_size=60)
        return compress(
            network,
            steps=steps,
            data=(loader, rest, rest),
            name=name,
            store=f"{name}.store",
            measure=["parameters"],
            silent=True,
        )

    straight = attempt("straight", -1)
    with pytest.raises(KeyboardInterrupt):
        attempt("broken", after)
    assert same(weights(attempt("broken", -1).folder), weights(straight.folder))


def test_a_stage_that_is_done_is_not_run_again(folder, host):
    """Also its notes come back, so the record of an interrupted run is the record of a straight one."""
    x, y = torch.rand(60, 1, 8, 8), torch.arange(60) % 10
    network = declare(JellyNet(), Time("multi_step", 2), host=host)
    steps = [{"use": "prune.lottery", "rounds": 3, "retrain": {"epochs": 1, "batch_size": 20}}]
    rest = DataLoader(TensorDataset(x, y), batch_size=60)

    def attempt(left):
        loader = DataLoader(Interrupting(x, y, after=left), batch_size=20)
        return compress(network, steps=steps, data=(loader, rest, rest), measure=["parameters"], silent=True)

    with pytest.raises(KeyboardInterrupt):
        attempt(200)
    notes = attempt(-1).record.steps[0].notes
    assert [entry["round"] for entry in notes["rounds"]] == [1, 2, 3]
    assert sorted(notes["training"]) == ["round 1 of 3", "round 2 of 3", "round 3 of 3"]


@pytest.mark.slow
def test_killed_at_twenty_random_moments_the_final_weights_are_bit_equal(folder, pipeline):
    pipeline["steps"] = [
        {"use": "train", "epochs": 12, "lr": 0.01, "snapshots": [1]},
        {"use": "prune.lottery", "rounds": 4, "rewind_to": "epoch-1", "epochs": 8},
        {"use": "prune.l1", "fraction": 0.5, "finetune": {"epochs": 8, "loss": "tet"}},
    ]
    (folder / "killed.yaml").write_text(yaml.safe_dump(pipeline))
    environment = os.environ | {"PYTHONPATH": str(TESTS)}

    def start(name):
        command = [
            sys.executable,
            "-m",
            "snncompress",
            "run",
            "killed.yaml",
            "--allow-code",
            "--output",
            name,
            "--store",
            f"{name}.store",
        ]
        return subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)

    straight = start("straight")
    _, shown = straight.communicate()
    assert straight.returncode == 0, shown
    draw = random.Random(0)  # noqa: S311 - moments, not secrets
    kills = 0
    while kills < NUM_KILLS:
        process = start("killed")
        first = process.stderr.readline()  # the work has begun
        assert first, "the program ended before it began"
        try:
            process.wait(draw.uniform(0, 2.5))
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            kills += 1
        process.communicate()
        if process.returncode == 0:
            assert same(weights("killed"), weights("straight"))
            shutil.rmtree("killed.store")
    process = start("killed")
    _, shown = process.communicate()
    assert process.returncode == 0, shown
    assert same(weights("killed"), weights("straight"))


class Noting(Strategy):
    """Leave a note."""

    use: Literal["test.note"] = "test.note"
    value: Any

    def apply(self, network, run):
        run.note("mine", (1, 2) if self.value == "tuple" else {1, 2})
        return network


def noting(value, loaders):
    plugin = type("Plugin", (), {"snncompress_strategies": staticmethod(hookimpl(lambda: [Noting]))})
    known = Host.from_environment()
    known.register(plugin, name="noting")
    assert not known.faults
    network = declare(JellyNet(), Time("multi_step", 4), host=known)
    return compress(network, steps=[{"use": "test.note", "value": value}], data=loaders, silent=True)


def test_a_note_is_json_at_once(folder, loaders):
    assert noting("tuple", loaders).record.steps[0].notes["mine"] == [1, 2]
    with pytest.raises(StepError, match="note 'mine' is no JSON value: Object of type set"):
        noting("set", loaders)


def test_a_finished_stage_keeps_no_checkpoint_of_its_trainings(folder, host, loaders):
    network = declare(JellyNet(), Time("multi_step", 4), host=host).with_snapshot("init")
    bench = DataBench(LoadersInHand.of(loaders, network, kind="static").data, host.catalogue["encoders"]["direct"](), 0)
    run = StepRun(seed=0, earlier=(), bench=bench, folder=folder / "w", network=network, watch=Watch(silent=True))
    run.stage("one", lambda: run.train(network, Training(epochs=1), label="inner"))
    assert sorted(place.name for place in (folder / "w").iterdir()) == ["one.done"]


def test_a_step_whose_stages_were_all_done_before_still_says_its_way(folder, host, loaders):
    network = declare(JellyNet(), Time("multi_step", 4), host=host).with_snapshot("init")
    bench = DataBench(LoadersInHand.of(loaders, network, kind="static").data, host.catalogue["encoders"]["direct"](), 0)
    network = network.with_probe(next(iter(loaders[1]))[0].expand(4, -1, -1, -1, -1))
    given = {"seed": 0, "earlier": (), "bench": bench, "folder": folder / "w", "network": network, "path": "fused"}
    paths = []
    for _ in range(2):
        run = StepRun(**given, watch=Watch(silent=True))
        run.stage("one", lambda run=run: run.train(network, Training(epochs=1), label="inner"))
        paths.append(run.path)
    assert paths == ["fused", "fused"]


def test_a_stage_that_was_done_before_leaves_the_generators_as_its_work_did(folder, host, loaders):
    """Building the network again draws from them: they are put back behind that."""
    architecture = host.catalogue["architectures"]["snntorch.convnet"](channels=[2, 4]).resolved(
        Inputs((1, 8, 8), 10), 2
    )
    network = open_architecture(architecture, host)
    bench = DataBench(LoadersInHand.of(loaders, network, kind="static").data, host.catalogue["encoders"]["direct"](), 0)
    drawn = []
    for _ in range(2):
        torch.manual_seed(3)
        run = StepRun(seed=0, earlier=(), bench=bench, folder=folder / "w", network=network, watch=Watch(silent=True))
        run.stage("one", lambda: (torch.rand(1), network)[1])
        drawn.append(torch.rand(1).item())
    assert drawn[0] == drawn[1]


def test_a_stage_that_was_done_before_comes_back_on_the_device_of_the_step(folder, host, loaders):
    """The meta device stands in for a GPU: the weights of an artifact are read on the CPU."""
    network = declare(JellyNet(), Time("multi_step", 4), host=host)
    bench = DataBench(LoadersInHand.of(loaders, network, kind="static").data, host.catalogue["encoders"]["direct"](), 0)
    devices = []
    for device in ("cpu", "meta"):
        network.module.to(device)
        run = StepRun(seed=0, earlier=(), bench=bench, folder=folder / "w", network=network, watch=Watch(silent=True))
        devices.append(str(run.stage("one", lambda: network).device))
    assert devices == ["cpu", "meta"]
