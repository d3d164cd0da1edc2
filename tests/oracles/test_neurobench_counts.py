"""This project's counter against the numbers that NeuroBench gave, kept with its version in ``neurobench_counts.json``."""

import json
from pathlib import Path

import pytest
from oracles.differing import DIFFERENCES, SPIKES, count
from oracles.networks import CASES, bench, live_network

from snncompress import Host

KEPT = json.loads(Path(__file__).with_name("neurobench_counts.json").read_text(encoding="utf-8"))
CASE = {case.name: case for case in CASES}


ENTRIES = [
    pytest.param(
        entry,
        id=f"{entry['network']}-{entry['fraction']}",
        marks=[pytest.mark.slow] if entry["network"] == "sew_resnet18" else [],
    )
    for entry in KEPT["networks"]
]


@pytest.mark.parametrize("entry", ENTRIES)
def test_every_layer_counts_what_neurobench_counts(entry):
    host = Host.from_environment()
    case = CASE[entry["network"]]
    counts = bench(case, host).observe(live_network(case, entry["fraction"], host), "counts").counts
    found = {row.path: [0, 0] for row in counts.of("synapse")}
    for row in counts.of("synapse"):
        found[row.path][0 if row.is_event_driven else 1] += sum(row.pairs)
    theirs = entry["neurobench"]
    assert found == {path: numbers[:2] for path, numbers in theirs["layers"].items()}
    assert counts.samples == entry["samples"]
    assert counts.synops == theirs["per_sample"]["Effective_ACs"] == theirs["effective_acs"] / entry["samples"]
    assert counts.macs == theirs["per_sample"]["Effective_MACs"] == theirs["effective_macs"] / entry["samples"]


def test_all_networks_were_counted_dense_and_pruned():
    assert KEPT["versions"]["neurobench"].startswith("2.3.")
    assert {(entry["network"], entry["fraction"]) for entry in KEPT["networks"]} == {
        (name, fraction) for name in ("spikformer", "sew_resnet18", "snntorch_convnet") for fraction in (0.0, 0.9)
    }
    assert all(entry["equal"] for entry in KEPT["networks"])


@pytest.mark.parametrize("case", DIFFERENCES, ids=lambda case: case.name)
def test_where_the_rules_differ_each_program_keeps_its_own(case):
    assert KEPT["differing"][case.name] == list(case.neurobench)
    counts = count(case.build(), SPIKES, case.time, Host.from_environment())
    assert (counts.synops, counts.macs) == case.snncompress
