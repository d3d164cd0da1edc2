"""Count three networks, dense and 90 % pruned, and single layers with NeuroBench and with snncompress in one process.

NeuroBench pulls in many packages, so it lives in an environment of its own::

    python3 -m venv oracle
    oracle/bin/pip install "neurobench==2.3.*" "torch==2.15.0" "spikingjelly==2.0.*" "snntorch==1.0.*" safetensors -e .
    PYTHONPATH=tests oracle/bin/python -m oracles.neurobench_counts tests/oracles/neurobench_counts.json

Both programs see the same module and the same images; the numbers, as totals over all samples, are written with the
versions of everything that counts. The exit code is 1 where a number differs, and what differs is listed.
"""

from __future__ import annotations

import json
import platform
import re
import sys
from importlib.metadata import version
from itertools import product
from pathlib import Path
from types import SimpleNamespace

import torch
from neurobench.benchmarks import Benchmark
from neurobench.metrics.utils.layers import single_layer_MACs
from neurobench.metrics.workload import SynapticOperations
from neurobench.models import NeuroBenchModel, SNNTorchModel, TorchModel
from oracles.differing import DIFFERENCES, SPIKES
from oracles.networks import BATCH_SIZE, CASES, FRACTIONS, Case, bench, live_network
from oracles.single_layers import LAYERS
from spikingjelly.activation_based import functional
from spikingjelly.activation_based.neuron import BaseNode
from torch import Tensor, nn
from torch.utils.data import DataLoader

from snncompress import Host, Network, OperationCounts

PACKAGES = ("neurobench", "torch", "numpy", "spikingjelly", "snntorch", "snncompress")


class LayerByLayer(SynapticOperations):
    """NeuroBench's own metric, asked about one layer at a time."""

    def __init__(self) -> None:
        super().__init__()
        self.layers: dict[nn.Module, SynapticOperations] = {}

    def __call__(self, model: NeuroBenchModel, preds: Tensor, data: tuple[Tensor, Tensor]) -> dict[str, float]:
        for hook in model.connection_hooks:
            metric = self.layers.setdefault(hook.layer, SynapticOperations())
            metric(SimpleNamespace(connection_hooks=[hook]), preds, data)
        return super().__call__(model, preds, data)


class BatchFirst(nn.Module):
    """A multi-step SpikingJelly network as NeuroBench calls it: [B, T, ...] in and out, the state cleared before."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x_BTCHW: Tensor) -> Tensor:
        functional.reset_net(self.network)
        return self.network(x_BTCHW.transpose(0, 1)).transpose(0, 1)


def neurobench_model(network: Network) -> NeuroBenchModel:
    """Wrap a network as NeuroBench's documentation tells."""
    if network.time.runner == "per_step":
        return SNNTorchModel(network.module)
    model = TorchModel(BatchFirst(network.module))
    model.add_activation_module(BaseNode)
    return model


def ask_neurobench(case: Case, network: Network, host: Host) -> dict[str, object]:
    """Return NeuroBench's totals over all samples, and those of each layer."""
    split = bench(case, host).data.test
    repeated = [lambda data: (data[0].unsqueeze(1).expand(-1, network.time.T, *case.shape), data[1])]
    metrics = [[], [SynapticOperations, LayerByLayer]]
    benchmark = Benchmark(neurobench_model(network), DataLoader(split, BATCH_SIZE), repeated, [], metrics)
    with torch.no_grad():
        results = benchmark.run(quiet=True)
    network.reset()
    means = results["SynapticOperations"]
    layers = benchmark.workload_metric_manager.metrics["LayerByLayer"].layers
    paths = {module: path for path, module in network.module.named_modules()}
    totals = {paths[layer]: [metric.AC, metric.MAC, metric.total_synops] for layer, metric in layers.items()}
    whole = summed(totals)
    assert means["Effective_ACs"] * case.samples == whole["effective_acs"] > 0, "NeuroBench has swallowed an error"
    return {"per_sample": means, **whole, "layers": totals}


def ask_snncompress(case: Case, network: Network, host: Host) -> dict[str, object]:
    """Return this project's totals over all samples in NeuroBench's terms, and those of each layer."""
    counts = bench(case, host).observe(network, "counts").counts
    totals: dict[str, list[int]] = {}
    for row in counts.of("synapse"):
        pairs = sum(row.pairs)
        before = totals.get(row.path, [0, 0, 0])
        here = [pairs, 0] if row.is_event_driven else [0, pairs]
        totals[row.path] = [some + more for some, more in zip(before, [*here, sum(row.dense)], strict=True)]
    return {"per_sample": per_sample(counts), **summed(totals), "layers": totals}


def per_sample(counts: OperationCounts) -> dict[str, float]:
    """Return the means that correspond to NeuroBench's; its dense count leaves attention out."""
    dense = sum(sum(row.dense) for row in counts.of("synapse")) / counts.samples
    return {"Effective_MACs": counts.macs, "Effective_ACs": counts.synops, "Dense": dense}


def summed(layers: dict[str, list[int]]) -> dict[str, int]:
    """Return the totals over layers."""
    sums = (sum(column) for column in zip(*layers.values(), strict=True))
    return dict(zip(("effective_acs", "effective_macs", "dense"), sums, strict=True))


def differences(neurobench: dict[str, list[int]], ours: dict[str, list[int]]) -> list[str]:
    """Return a line for each layer in which accumulates or multiply-accumulates differ."""
    paths = sorted({*neurobench, *ours})
    return [
        f"{path}: NeuroBench {neurobench.get(path)}, snncompress {ours.get(path)} (ACs, MACs, dense)"
        for path in paths
        if neurobench.get(path, [0, 0])[:2] != ours.get(path, [0, 0])[:2]
    ]


def count_networks(host: Host) -> tuple[list[dict[str, object]], list[str]]:
    """Return an entry for each network and fraction, and a line for each difference."""
    entries, wrong = [], []
    for case, fraction in product(CASES, FRACTIONS):
        network = live_network(case, fraction, host)
        theirs, ours = ask_neurobench(case, network, host), ask_snncompress(case, network, host)
        lines = differences(theirs["layers"], ours.pop("layers"))
        about = {"network": case.name, "fraction": fraction, "samples": case.samples, "timesteps": case.timesteps}
        entries.append({**about, "equal": not lines, "snncompress": ours, "neurobench": theirs})
        wrong += [f"{case.name} at {fraction}: {line}" for line in lines]
    return entries, wrong


def count_layers() -> tuple[dict[str, list[int]], list[str]]:
    """Return NeuroBench's numbers for each single layer, and a line where the table of the tests says otherwise."""
    found = {}
    for layer in LAYERS:
        with torch.no_grad():
            operations, is_spiking = single_layer_MACs(layer.x, layer.module)
        found[layer.name] = [operations, 0] if is_spiking else [0, operations]
    table = {layer.name: list(layer.bench) for layer in LAYERS}
    return found, [
        f"{name}: NeuroBench {found[name]}, the table {table[name]}" for name in table if found[name] != table[name]
    ]


def count_differences() -> tuple[dict[str, list[int]], list[str]]:
    """Return NeuroBench's numbers for the networks that it classifies by another rule, and a line where it does not."""
    found = {}
    for case in DIFFERENCES:
        model, metric = TorchModel(case.build()), SynapticOperations()
        model.register_hooks()
        x = SPIKES.unsqueeze(0) if case.time.runner == "multi_step" else SPIKES
        with torch.no_grad():
            metric(model, model(x), (SPIKES, None))
        found[case.name] = [metric.AC, metric.MAC]
    table = {case.name: list(case.neurobench) for case in DIFFERENCES}
    return found, [
        f"{name}: NeuroBench {found[name]}, expected {table[name]}" for name in table if found[name] != table[name]
    ]


def main(file: Path) -> int:
    """Count everything with both programs, write what came out, and return the exit code."""
    entries, wrong = count_networks(Host.from_environment())
    layers, misread = count_layers()
    differing, unexpected = count_differences()
    versions = {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}}
    kept = {"versions": versions, "single_layers": layers, "differing": differing, "networks": entries}
    text = json.dumps(kept, indent=1)
    file.write_text(re.sub(r"\[\s+([\d,\s]+?)\s+\]", on_one_line, text) + "\n", encoding="utf-8")
    sys.stderr.write("".join(f"{line}\n" for line in (*misread, *unexpected, *wrong)))
    return 1 if misread or unexpected or wrong else 0


def on_one_line(numbers: re.Match[str]) -> str:
    """Return a list of numbers without line breaks."""
    return f"[{' '.join(numbers[1].split())}]"


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
