"""timm's networks in pipelines: trained, cut, pruned, factored, on the digits."""

import pytest
import torch

import snncompress
from snncompress import PipelineError
from snncompress.network import Network
from snncompress.pipeline import pipeline_from
from snncompress.plan import make_plan
from snncompress.store import Store

VIT = {"use": "timm.vision_transformer", "embed_dim": 16, "depth": 1, "num_heads": 2, "patch_size": 4}
SWIN = {"use": "timm.swin_transformer", "embed_dim": 16, "depths": [2], "num_heads": [2], "patch_size": 1}
BLOCKS = ("Block", "SwinTransformerBlock")
"""timm's own classes of a block."""

TRAIN = {"use": "train", "epochs": 1, "lr": 3e-3, "batch_size": 200}
FINETUNE = {"epochs": 1, "lr": 1e-3, "batch_size": 200}


def pipeline(model, *steps, **more):
    return {
        "version": 1,
        "name": "still",
        "model": model,
        "data": {"use": "digits", "size": 8},
        "steps": [TRAIN, *steps],
        "measure": ["accuracy", "parameters", "sparsity", "synops"],
        **more,
    }


def ran(folder, *given, **more):
    return snncompress.run(pipeline(*given, **more), output=folder / "out", store=folder / "store")


@pytest.mark.parametrize("model", [VIT, SWIN], ids=["vit", "swin"])
def test_a_network_is_trained_cut_and_fine_tuned(model, tmp_path):
    step = {"use": "prune.dsp", "fraction": {"qk": 0.5, "v": 0.25, "mlp": 0.5}, "finetune": FINETUNE}
    result = ran(tmp_path, model, step)
    (found,) = result.record.steps[1].notes["rounds"]
    assert [proof["edit"] for proof in found["proofs"]] == ["replace", "slice"]
    assert all(proof["num_spikes"] == 0 and proof["largest_logit_difference"] <= 1e-9 for proof in found["proofs"])
    blocks = [name for name, module in result.network.module.named_modules() if type(module).__name__ in BLOCKS]
    left = {"attn query and key": 8, "attn value": 12, "mlp hidden": 32}
    sizes = [(entry["dimension"], entry["after"]) for entry in result.record.steps[1].notes["cut"]]
    assert sorted(sizes) == sorted((f"{block}.{name}", size) for block in blocks for name, size in left.items())
    gone = 2 * 8 * 17 + 4 * 17 + 16 * 4 + 32 * 17 + 16 * 32
    num_blocks = 1 if model is VIT else 2
    assert len(blocks) == num_blocks
    before, after = (values["parameters"].value for values in (result.record.baseline, result.record.final))
    assert before - after == num_blocks * gone
    again = snncompress.load(tmp_path / "out" / "final")
    x = torch.rand(2, 1, 8, 8)
    with torch.no_grad():
        assert torch.equal(again.module.eval()(x), result.network.module.eval()(x))


def test_weights_are_masked_and_tables_are_not(tmp_path):
    result = ran(tmp_path, SWIN, {"use": "prune.lottery", "rounds": 1, "fraction_per_round": 0.5, "epochs": 1})
    assert set(result.network.masks) == {name for name in result.network.tensors if is_matrix(result.network, name)}
    assert result.record.final["sparsity"].value == pytest.approx(0.5, abs=1e-3)


def is_matrix(network: Network, name: str) -> bool:
    return name.endswith(".weight") and network.tensors[name].dim() > 1


def test_blocks_are_pruned_by_magnitude_and_run_in_two_factors(tmp_path):
    result = ran(tmp_path, VIT, {"use": "lowrank.svd", "fraction": 0.75}, {"use": "prune.l1", "fraction": 0.5})
    layers = {layer["layer"] for layer in result.record.steps[1].notes["factors"]["layers"]}
    assert layers == {"blocks.0.attn.qkv", "blocks.0.attn.proj", "blocks.0.mlp.fc1", "blocks.0.mlp.fc2"}
    assert all(name.startswith("blocks.") for name in result.network.masks)


def test_an_ann_has_no_spikes_to_count(tmp_path):
    result = ran(tmp_path, VIT)
    assert result.record.final["synops"].value == 0
    assert result.record.final["macs"].value > 0


def planned(folder, host, *given, **more):
    return make_plan(pipeline_from(pipeline(*given, **more), host).pipeline, host, Store(folder))


@pytest.mark.parametrize(
    ("model", "more", "message"),
    [
        (VIT, {"encode": {"use": "poisson"}}, "the model takes a still image, not what 'poisson' gives"),
        ({**VIT, "patch_size": 3}, {}, r"image_size \[8, 8\] is not divisible by patch_size 3"),
    ],
)
def test_what_does_not_fit_is_told_before_anything_runs(model, more, message, host, tmp_path):
    with pytest.raises(PipelineError, match=message):
        planned(tmp_path, host, model, **more)


def test_the_plan_sees_blocks_of_a_network_without_values(host, tmp_path):
    with pytest.raises(PipelineError, match=r"cut nothing of what this network has \(mlp, qk, v\)"):
        planned(tmp_path, host, VIT, {"use": "prune.dsp", "fraction": {"chain": 0.5}})
    assert planned(tmp_path, host, VIT, {"use": "prune.dsp", "fraction": 0.5}).steps
