import pytest
import torch

from snncompress import StepError, Training
from snncompress_prune.selection import block_terms, density, last_training, next_masks, training_of


def test_the_blocks_of_a_spikformer_are_all_synapses_but_stem_and_head(host):
    from snncompress import Inputs
    from snncompress.network import open_architecture

    settings = host.catalogue["architectures"]["spikingjelly.spikformer"](embed_dims=16, depths=1, num_heads=2)
    network = open_architecture(settings.resolved(Inputs((1, 8, 8), 10), 2), host)
    assert block_terms(network.inventory) == ("synapse", "!stem", "!head")
    assert network.inventory.weights(block_terms(network.inventory)) == (
        "blocks.0.attn.qkv_conv_bn.0.weight",
        "blocks.0.attn.proj_conv_bn.0.weight",
        "blocks.0.mlp.fc1.0.weight",
        "blocks.0.mlp.fc2.0.weight",
    )
    everything = network.inventory.weights(("synapse",))
    assert any(name.startswith("patch_embed.") for name in everything)
    assert "head.weight" in everything


def test_only_roles_that_the_network_names_are_left_out(fresh, host):
    from own_networks import JellyNet

    from snncompress import Time, declare

    assert block_terms(fresh.inventory) == ("synapse", "!head")
    assert block_terms(declare(JellyNet(), Time("multi_step", 2), host=host).inventory) == ("synapse",)


def test_density_is_counted_by_hand(fresh):
    mask = torch.zeros(24, 64, dtype=torch.bool)
    mask[0] = True
    assert density(fresh.with_masks({"fc1.weight": mask}), ("fc1",)) == {
        "weights": 24 * 64,
        "remaining": 64,
        "sparsity": 1 - 64 / (24 * 64),
    }
    assert density(fresh.with_masks({"fc1.weight": mask}), ("synapse",))["remaining"] == 64 + 10 * 24


def test_masks_of_layers_that_are_not_selected_stay(fresh):
    mask = torch.rand(10, 24, generator=torch.Generator().manual_seed(0)) > 0.5
    masks = next_masks(fresh.with_masks({"fc2.weight": mask}), ("fc1",), 0.5, "global")
    assert torch.equal(masks["fc2.weight"], mask)
    assert int(masks["fc1.weight"].sum()) == 24 * 64 // 2


def test_a_selector_without_weights_and_weights_that_are_not_finite_are_refused(fresh):
    with pytest.raises(StepError, match=r"selector \['norm'\] picks no synaptic weight"):
        next_masks(fresh, ("norm",), 0.5, "global")
    broken = fresh.with_weights({"fc2.weight": torch.full((10, 24), float("nan"))})
    with pytest.raises(StepError, match=r"'fc2.weight' holds values that are not finite"):
        next_masks(broken, ("synapse",), 0.5, "global")


def test_training_is_inherited_from_the_last_step_that_trained(make):
    first, second = make("train", epochs=3, lr=0.25), make("train", epochs=5, lr=0.5)
    silent = make("prune.l1", fraction=0.5)
    assert last_training((first, second, silent)) == Training(epochs=5, lr=0.5)
    assert last_training((silent,)) is None
    assert training_of(None, 2, (first, silent)) == Training(epochs=2, lr=0.25)
    assert training_of(Training(epochs=7), 2, (first,)) == Training(epochs=2)
    assert training_of(Training(epochs=7), None, (first,)) == Training(epochs=7)
