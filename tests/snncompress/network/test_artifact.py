import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from odd_networks import Reservoir
from safetensors.torch import load_file

from snncompress import ArtifactError, ModelError, Network, Replace, Time, Timesteps, load, save
from snncompress.network import InHand, load_network
from snncompress.network.artifact import read_description
from snncompress.references import ArtifactFolder

TESTS = Path(__file__).parents[2]


@pytest.fixture
def ticket(jelly):
    mask = torch.rand(32, 64, generator=torch.Generator().manual_seed(0)) > 0.9
    return jelly.with_masks({"fc1.weight": mask}).with_snapshot("init")


def test_every_bit_comes_back(ticket, tmp_path, host):
    save(ticket, tmp_path)
    loaded = load(tmp_path, allow_code=True, host=host)
    assert set(loaded.tensors) == set(ticket.tensors)
    for name, value in ticket.tensors.items():
        assert torch.equal(loaded.tensors[name], value), name
    assert torch.equal(loaded.masks["fc1.weight"], ticket.masks["fc1.weight"])
    assert loaded.time == ticket.time


def test_negative_zeros_of_masked_weights_do_not_come_back_as_others(jelly, tmp_path, host):
    mask = torch.zeros(10, 32, dtype=torch.bool)
    masked = jelly.with_masks({"fc2.weight": mask})
    save(masked, tmp_path)
    weight = load(tmp_path, allow_code=True, host=host).tensors["fc2.weight"]
    assert torch.equal(torch.signbit(weight), torch.signbit(masked.tensors["fc2.weight"]))


def test_a_masked_tensor_is_stored_as_bits_and_survivors(ticket, tmp_path):
    save(ticket, tmp_path)
    stored = load_file(tmp_path / "weights.safetensors")
    assert "fc1.weight" not in stored
    assert stored["fc1.weight#mask"].shape == (32 * 64 // 8,)
    assert stored["fc1.weight#survivors"].numel() == int(ticket.masks["fc1.weight"].sum())


def test_equal_networks_are_equal_files(jelly, tmp_path):
    names = [name for name, value in jelly.tensors.items() if value.dim() > 0]
    masked = jelly.with_masks({name: torch.ones(jelly.tensors[name].shape, dtype=torch.bool) for name in names})
    files = [(save(masked, tmp_path / str(number)) / "weights.safetensors").read_bytes() for number in range(8)]
    assert len(set(files)) == 1


def test_an_artifact_holds_two_files_and_no_pickle(ticket, tmp_path):
    save(ticket, tmp_path)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["network.json", "weights.safetensors"]
    for file in tmp_path.iterdir():
        assert b"torch._utils" not in file.read_bytes()
        assert not file.read_bytes().startswith((b"\x80", b"PK"))


def test_snapshots_are_kept_only_where_asked(ticket, tmp_path, host):
    save(ticket, tmp_path / "with", snapshots=True)
    save(ticket, tmp_path / "without")
    kept = load(tmp_path / "with", allow_code=True, host=host).snapshots
    assert torch.equal(kept["init"]["fc1.weight"], ticket.snapshots["init"]["fc1.weight"])
    assert not load(tmp_path / "without", allow_code=True, host=host).snapshots


def test_edits_are_replayed(loop, tmp_path, host):
    longer = loop.edited([Timesteps(9)])
    save(longer, tmp_path)
    loaded = load(tmp_path, allow_code=True, host=host)
    x = torch.rand(2, 1, 8, 8)
    assert torch.equal(loaded.forward(x).logits, longer.forward(x).logits)


def test_a_fresh_process_gives_bit_equal_logits(ticket, tmp_path):
    save(ticket, tmp_path)
    x = torch.rand(4, 8, 1, 8, 8, generator=torch.Generator().manual_seed(5))
    torch.save(x, tmp_path / "x.pt")
    program = (
        "import torch, snncompress, sys\n"
        f"network = snncompress.load({str(tmp_path)!r}, allow_code=True)\n"
        "network.module.eval()\n"
        f"out = network.forward(torch.load({str(tmp_path / 'x.pt')!r}))\n"
        f"torch.save(out.logits.detach(), {str(tmp_path / 'y.pt')!r})\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, env=_environment(TESTS))
    ticket.reset()
    assert torch.equal(torch.load(tmp_path / "y.pt"), ticket.forward(x).logits)


def test_without_its_module_the_missing_import_is_named(ticket, tmp_path):
    save(ticket, tmp_path)
    program = f"import snncompress; snncompress.load({str(tmp_path)!r}, allow_code=True)"
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env=_environment(None),
    )
    assert done.returncode == 1
    assert "'own_networks:JellyNet': module 'own_networks' cannot be imported" in done.stderr


def test_a_users_code_runs_only_where_allowed(ticket, tmp_path, host):
    save(ticket, tmp_path)
    with pytest.raises(ArtifactError, match="allow_code=True or --allow-code"):
        load(tmp_path, host=host)


def test_a_registered_architecture_needs_no_code_and_builds_without_values(tmp_path, host):
    from snncompress.network import open_architecture

    spikformer = host.catalogue["architectures"]["spikingjelly.spikformer"].model_validate(
        {
            "embed_dims": 32,
            "depths": 1,
            "num_heads": 2,
            "in_channels": 1,
            "image_size": (8, 8),
            "num_classes": 10,
            "timesteps": 4,
        }
    )
    network = open_architecture(spikformer, host)
    save(network, tmp_path)
    x = torch.rand(4, 2, 1, 8, 8)
    assert torch.equal(load(tmp_path, host=host).module.eval()(x), network.module.eval()(x))
    empty = load_network(tmp_path, host, values=False)
    assert {value.device.type for value in empty.tensors.values()} == {"meta"}


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda folder: (folder / "network.json").unlink(), "is no artifact"),
        (lambda folder: (folder / "network.json").write_text("{"), "is damaged"),
        (lambda folder: (folder / "weights.safetensors").unlink(), "missing or damaged"),
        (lambda folder: (folder / "weights.safetensors").write_bytes(b"12345678"), "missing or damaged"),
        (lambda folder: change(folder, version=99), "has version 99"),
        (
            lambda folder: change(folder, architecture={"use": "spikingjelly.spikfomer"}),
            "did you mean 'spikingjelly.spikformer'",
        ),
        (
            lambda folder: change(folder, architecture={"use": "python", "function": "own_networks:LoopNet"}),
            "does not fit its own description",
        ),
    ],
)
def test_a_damaged_artifact_is_one_clear_error(ticket, tmp_path, host, damage, message):
    save(ticket, tmp_path)
    damage(tmp_path)
    with pytest.raises(ArtifactError, match=message):
        load(tmp_path, allow_code=True, host=host)


def change(folder, **entries):
    file = folder / "network.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | entries))


def test_a_description_names_architecture_time_and_edits(ticket, tmp_path):
    save(ticket, tmp_path)
    described = read_description(tmp_path)
    assert described["architecture"]["function"] == "own_networks:JellyNet"
    assert described["time"]["runner"] == "multi_step"
    assert described["masked"] == ["fc1.weight"]
    assert Replace("", "x").to_json()["edit"] == "replace"


def _environment(folder):
    import os

    kept = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    return kept | ({"PYTHONPATH": str(folder)} if folder else {})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[]", "is no description of an artifact"),
        ("{}", "is no description"),
        ('{"version": 1}', "lacks 'architecture'"),
    ],
)
def test_a_description_of_something_else_is_told(tmp_path, text, message):
    (tmp_path / "network.json").write_text(text, encoding="utf-8")
    with pytest.raises(ArtifactError, match=message):
        read_description(tmp_path)
    assert ArtifactFolder(folder=str(tmp_path)).underlying() == {}


def test_an_artifact_whose_module_draws_its_constants_is_refused(tmp_path, host):
    module, time = Reservoir(), Time("multi_step", 3)
    reference = {"use": "python", "function": "odd_networks:Reservoir", "arguments": {}, "time": time.to_json()}
    save(Network(module, time, InHand(module, time, reference), host), tmp_path)
    with pytest.raises(ModelError, match="'connections' of 'odd_networks:Reservoir' has other values each time"):
        load(tmp_path, allow_code=True, host=host)
