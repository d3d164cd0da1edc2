"""Strategies together: the recipes in every combination of pruning, neuron and library, and a chain of four."""

import json
import os
import subprocess
import sys

import pytest
import torch

from snncompress import load
from snncompress.network.proof import spike_trains

QUICK = {
    "model.embed_dims": 32,
    "model.num_heads": 2,
    "steps.0.epochs": 4,
    "steps.2.finetune.epochs": 1,
    "budget": "[]",
    "measure": "[accuracy, parameters, sparsity]",
    "report": "[text]",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("combinations")


def run_recipe(folder, recipe, **others):
    """Run a recipe with settings replaced, and return its record."""
    given = [f"--set={path}={value}" for path, value in others.items()]
    command = [sys.executable, "-m", "snncompress", "run", recipe, *given, "--json"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.slow
@pytest.mark.parametrize("library", ["spikingjelly", "snntorch"])
@pytest.mark.parametrize("kind", ["lif", "slif"])
@pytest.mark.parametrize("recipe", ["recipe:digits-l1p-slif", "recipe:digits-dsp-slif"])
def test_every_pruning_with_every_neuron_of_both_libraries(folder, recipe, kind, library):
    settings = {**QUICK, "steps.1.to": kind, "steps.1.library": library}
    record = run_recipe(folder, recipe, **settings)
    assert record["steps"][1]["notes"]["proofs"][0]["num_spikes"] > 1000
    left = record["final"]["parameters_nonzero"]["value"] / record["baseline"]["parameters_nonzero"]["value"]
    assert left < 0.75
    network = load(folder / record["artifact"])  # each combination has a folder of its own
    assert {item.backend.name for item in network.neurons} == {library}


@pytest.mark.slow
@pytest.mark.parametrize("recipe", ["recipe:digits-l1p-slif", "recipe:digits-dsp-slif"])
def test_the_convolutional_network_of_snntorch(folder, recipe):
    settings = {path: value for path, value in QUICK.items() if not path.startswith("model.")}
    record = run_recipe(folder, recipe, **settings, model="{use: snntorch.convnet}")
    assert record["final"]["parameters_nonzero"]["value"] < 0.5 * record["baseline"]["parameters_nonzero"]["value"]


CHAIN = """
version: 1
name: chain
model: {use: spikingjelly.spikformer, embed_dims: 32, depths: 1, num_heads: 2}
data: {use: digits, size: 16}
timesteps: 2
steps:
  - {use: train, epochs: 6, lr: 4e-3}
  - {use: prune.dsp, fraction: 0.25}
  - {use: prune.l1, fraction: 0.5}
  - {use: neurons.substitute, to: slif, finetune: {epochs: 1}}
  - {use: lowrank.svd, rank: 6, select: mlp, finetune: {epochs: 1}}
measure: [accuracy, parameters, sparsity, size, synops]
"""


@pytest.mark.slow
def test_four_strategies_in_a_row_are_planned_run_saved_loaded_and_measured(folder):
    file = folder / "chain.yaml"
    file.write_text(CHAIN)
    plan = subprocess.run(
        [sys.executable, "-m", "snncompress", "plan", str(file)],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (plan.returncode, plan.stdout.count("to do")) == (0, 5), plan.stderr
    record = run_recipe(folder, str(file))
    network = load(folder / "runs/chain/final")
    shapes = {name: tuple(value.shape) for name, value in network.module.named_parameters()}
    assert shapes["blocks.0.attn.qkv_conv_bn.0.weight"] == (72, 32, 1), "24 of 32 indices of query, key and value stay"
    assert shapes["blocks.0.mlp.fc1.0.first.weight"] == (6, 32, 1)
    assert shapes["blocks.0.mlp.fc1.0.second.weight"] == (96, 6, 1)
    assert network.masks.keys() == {f"blocks.0.attn.{name}.0.weight" for name in ("qkv_conv_bn", "proj_conv_bn")}
    assert record["final"]["parameters"]["value"] == sum(value.numel() for value in network.module.parameters())
    program = (
        "import torch, snncompress\nfrom snncompress.network.proof import spike_trains\n"
        "network = snncompress.load('runs/chain/final')\n"
        "x = torch.rand(2, 4, 1, 16, 16, generator=torch.Generator().manual_seed(0))\n"
        "torch.save(spike_trains(network, x)[0].logits, 'logits.pt')\n"
    )
    subprocess.run([sys.executable, "-c", program], cwd=folder, check=True, capture_output=True)
    x = torch.rand(2, 4, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    assert torch.equal(torch.load(folder / "logits.pt"), spike_trains(network, x)[0].logits)
