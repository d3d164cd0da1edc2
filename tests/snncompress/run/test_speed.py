"""The fast ways in a run: the same results, told in the record, switched off by one setting."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import load_file
from torch.utils.data import DataLoader, TensorDataset

from snncompress import run
from snncompress.compilers import compiler

TESTS = Path(__file__).parents[2]
needs_compiler = pytest.mark.skipif(compiler() is None, reason="no C compiler is found")


def weights(folder):
    return load_file(Path(folder) / "final" / "weights.safetensors")


def trained(pipeline, host, speed, **settings):
    return run({**pipeline, "name": speed, "speed": speed}, allow_code=True, silent=True, host=host, **settings)


@needs_compiler
def test_every_way_trains_to_the_same_network(folder, pipeline, host):
    """Ten optimiser steps: rounding has had no time to become a spike.

    The bias in front of the norm has no gradient but rounding, which AdamW scales up to a step; the norm takes it off again.
    """
    noise = {"fc1.bias", "norm.running_mean"}
    pipeline["steps"] = [{"use": "train", "epochs": 1, "batch_size": 100, "lr": 0.002}]
    reference, *others = [trained(pipeline, host, speed) for speed in ("reference", "fused", "compiled")]
    for other in others:
        for name, value in weights(reference.folder).items():
            if name not in noise:
                assert torch.allclose(weights(other.folder)[name].double(), value.double(), rtol=0, atol=1e-6), name


@needs_compiler
def test_the_record_says_which_way_was_taken_and_how_each_layer_ran(folder, pipeline, host):
    record = trained(pipeline, host, "compiled").record
    assert [step.path for step in record.steps] == ["compiled cpu", "compiled cpu", "reference cpu"]
    speed = record.steps[0].notes["speed"]
    assert speed["path"] == "compiled"
    assert speed["remarks"] == []
    assert "lif1" in [layer for layers in speed["layers"].values() for layer in layers]
    assert "speed" not in record.steps[2].notes


def test_one_setting_switches_everything_off(folder, pipeline, host):
    record = trained(pipeline, host, "reference").record
    assert [step.path for step in record.steps] == ["reference cpu"] * 3
    assert all("speed" not in step.notes for step in record.steps)


def test_a_network_without_a_fast_way_says_so(folder, pipeline, host):
    pipeline["model"] = {"use": "python", "function": "own_networks:LoopNet", "arguments": {"num_steps": 2}}
    pipeline["timesteps"] = None
    pipeline["steps"] = [{"use": "train", "epochs": 1}]
    pipeline["model"]["time"] = {
        "runner": "inside",
        "T": 2,
        "input": "static",
        "records": ["output", "membranes"],
        "settable": False,
    }
    step = trained(pipeline, host, "fused").record.steps[0]
    assert step.path == "reference cpu"
    assert step.notes["speed"]["layers"]


@pytest.mark.parametrize("how", ["float()", "kernel"])
def test_a_network_that_does_not_run_in_float64_trains_its_own_way_by_default(folder, pipeline, host, how, capsys):
    time = {"runner": "multi_step", "T": 2}
    model = {"use": "python", "function": "odd_networks:SinglePrecision", "arguments": {"how": how}, "time": time}
    steps = [{"use": "train", "epochs": 12, "batch_size": 50, "lr": 0.02}, {"use": "prune.l1", "fraction": 0.5}]
    given = {**pipeline, "model": model, "timesteps": None, "steps": steps, "name": "auto"}
    record = run(given, allow_code=True, host=host).record
    assert record.steps[0].path == "reference cpu"
    (remark,) = record.steps[0].notes["speed"]["remarks"]
    assert remark.startswith("the network does not run in float64")
    assert f"the library's own way is taken: {remark}" in capsys.readouterr().err
    assert record.baseline["accuracy"].value > 0.5


@pytest.mark.slow
@needs_compiler
@pytest.mark.parametrize("speed", ["fused", "compiled"])
def test_another_process_trains_to_the_same_bits(folder, pipeline, speed):
    pipeline = {**pipeline, "speed": speed, "steps": pipeline["steps"][:1]}
    (folder / "small.yaml").write_text(yaml.safe_dump(pipeline))
    found = []
    for name in ("first", "second"):
        command = ["run", "small.yaml", "--allow-code", "--output", name, "--store", f"{name}.store"]
        environment = os.environ | {"PYTHONPATH": str(TESTS)}
        subprocess.run(
            [sys.executable, "-m", "snncompress", *command], check=True, capture_output=True, env=environment
        )
        found.append(weights(name))
    assert all(torch.equal(found[0][name], found[1][name]) for name in found[0])


@needs_compiler
@pytest.mark.parametrize("speed", ["fused", "compiled"])
@pytest.mark.parametrize("after", [150, 400])
def test_an_interrupted_training_ends_bit_equal_on_the_same_way(folder, host, speed, after):
    from own_networks import JellyNet

    from snncompress import Time, compress, declare

    class Interrupting(TensorDataset):
        def __getitem__(self, index):
            self.left -= 1
            if self.left == 0:
                raise KeyboardInterrupt
            return super().__getitem__(index)

    torch.manual_seed(0)
    x, y = torch.rand(120, 1, 8, 8), torch.arange(120) % 10
    network = declare(JellyNet(), Time("multi_step", 2), host=host)
    steps = [{"use": "train", "epochs": 4}]

    def attempt(name, left):
        samples = Interrupting(x, y)
        samples.left = left
        loader = DataLoader(samples, batch_size=16, shuffle=True, generator=torch.Generator().manual_seed(9))
        rest = DataLoader(TensorDataset(x, y), batch_size=60)
        settings = {"name": name, "store": f"{name}.store", "measure": ["parameters"], "silent": True, "speed": speed}
        return compress(network, steps=steps, data=(loader, rest, rest), **settings)

    straight = attempt("straight", -1)
    with pytest.raises(KeyboardInterrupt):
        attempt("broken", after)
    resumed = attempt("broken", -1)
    assert resumed.record.steps[0].path == f"{speed} cpu"
    kept = weights(straight.folder)
    assert all(torch.equal(weights(resumed.folder)[name], value) for name, value in kept.items())
