import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

from snncompress import Host


@pytest.fixture(scope="session")
def host():
    return Host.from_environment()


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def pipeline():
    """A pipeline that takes a second or two: a small user network on the 8x8 digits."""
    return {
        "version": 1,
        "name": "small",
        "model": {"use": "python", "function": "own_networks:JellyNet", "arguments": {"hidden": 24}},
        "data": "digits",
        "timesteps": 2,
        "steps": [
            {"use": "train", "epochs": 3, "lr": 0.01, "snapshots": [1]},
            {"use": "prune.lottery", "rounds": 2, "rewind_to": "epoch-1", "epochs": 1},
            {"use": "prune.l1", "fraction": 0.5},
        ],
        "measure": ["accuracy", "parameters", "sparsity"],
    }


@pytest.fixture
def loaders():
    """A user's own loaders over random but learnable data, one with a generator of its own."""
    generator = torch.Generator().manual_seed(7)
    centres = torch.rand(10, 1, 8, 8, generator=generator)
    labels = torch.arange(300) % 10
    x = (centres[labels] + 0.3 * torch.randn(300, 1, 8, 8, generator=generator)).clamp(0, 1)
    parts = [TensorDataset(x[start::3], labels[start::3]) for start in range(3)]
    shuffled = DataLoader(parts[0], batch_size=20, shuffle=True, generator=torch.Generator().manual_seed(1))
    return shuffled, DataLoader(parts[1], batch_size=50), DataLoader(parts[2], batch_size=50)
