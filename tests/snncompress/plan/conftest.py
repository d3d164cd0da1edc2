import copy

import pytest
import torch

from snncompress import Host
from snncompress.pipeline import pipeline_from
from snncompress.plan import make_plan
from snncompress.store import Store

SPIKFORMER = {"use": "spikingjelly.spikformer", "embed_dims": 8, "depths": 1, "num_heads": 1}
PIPELINE = {
    "version": 1,
    "name": "tiny",
    "model": SPIKFORMER,
    "data": {"use": "digits"},
    "encode": {"use": "direct"},
    "timesteps": 2,
    "seed": 0,
    "steps": [
        {"use": "train", "epochs": 1, "batch_size": 500, "snapshots": [1]},
        {"use": "prune.l1", "fraction": 0.5},
    ],
    "measure": ["parameters", "sparsity"],
}


@pytest.fixture(scope="session")
def host():
    return Host.from_environment()


@pytest.fixture(scope="session")
def tiny():
    """Return a function that gives the pipeline with some of its values replaced, by dotted path."""

    def changed(changes=None):
        data = copy.deepcopy(PIPELINE)
        for path, value in (changes or {}).items():
            *parents, last = [int(piece) if piece.isdigit() else piece for piece in path.split(".")]
            place = data
            for piece in parents:
                place = place[piece]
            place[last] = value
        return data

    return changed


@pytest.fixture
def plan_of(host, tmp_path):
    """Return a function that plans pipeline data against an empty store."""

    def plan(data, *, store=None, with_host=None, **settings):
        source = pipeline_from(data, with_host or host)
        kept = Store(store or tmp_path / "store")
        return make_plan(source.pipeline, with_host or host, kept, lines=source.lines, text=source.text, **settings)

    return plan


@pytest.fixture
def keys_of(plan_of):
    """Return a function that gives the keys of pipeline data."""
    return lambda data, **settings: plan_of(data, **settings).keys


@pytest.fixture
def checkpoint(tmp_path):
    """A file of weights for ``own_networks:JellyNet``."""
    from own_networks import JellyNet

    file = tmp_path / "weights.pt"
    torch.manual_seed(0)
    torch.save(JellyNet().state_dict(), file)
    return file
