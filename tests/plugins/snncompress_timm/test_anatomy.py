"""What timm's blocks are, and that each can be cut: what is left computes what the library does with zeros."""

import itertools

import pytest
import torch
from ann_networks import STILL, declared, drawn, gated_vit, opened, sigmoid_vit, softmax_vit
from timm.models.swin_transformer import SwinTransformer
from timm.models.vision_transformer import Attention, VisionTransformer

from snncompress import EditError, ProofError, Replace, declare, load, save


@pytest.fixture(scope="module")
def networks(host):
    made = {}

    def of(name):
        if name not in made:
            made[name] = opened(name, host)
        return made[name]

    return of


def fused(network, is_fused):
    """Return the network with timm's attention on one of its two paths."""
    network = network.copy()
    for module in network.module.modules():
        if hasattr(module, "fused_attn"):
            module.fused_attn = is_fused
    return network


def kept(dimension, part, seed=0):
    """Return random indices that stay, equally many of each head."""
    generator = torch.Generator().manual_seed(seed)
    count = dimension.per_head - round(part * dimension.per_head)
    rows = [torch.randperm(dimension.per_head, generator=generator)[:count] for _ in range(dimension.heads)]
    return sorted(int(head * dimension.per_head + index) for head, row in enumerate(rows) for index in row)


def chosen(network, parts):
    dimensions = [
        (one, part) for block in network.blocks() for one, part in zip(block.dimensions, itertools.cycle(parts))
    ]
    return {one.name: kept(one, part, seed) for seed, (one, part) in enumerate(dimensions)}


def logits(network):
    with torch.no_grad():
        return network.module(network.probe)


SIZES = {
    "vit": [
        ("blocks.0.attn", "qk", 32, 4),
        ("blocks.0.attn", "v", 32, 4),
        ("blocks.0.mlp", "mlp", 128, 1),
        ("blocks.1.attn", "qk", 32, 4),
        ("blocks.1.attn", "v", 32, 4),
        ("blocks.1.mlp", "mlp", 128, 1),
    ],
    "swin": [
        ("layers.0.blocks.0.attn", "qk", 16, 2),
        ("layers.0.blocks.0.attn", "v", 16, 2),
        ("layers.0.blocks.0.mlp", "mlp", 64, 1),
        ("layers.0.blocks.1.attn", "qk", 16, 2),
        ("layers.0.blocks.1.attn", "v", 16, 2),
        ("layers.0.blocks.1.mlp", "mlp", 64, 1),
        ("layers.1.blocks.0.attn", "qk", 32, 4),
        ("layers.1.blocks.0.attn", "v", 32, 4),
        ("layers.1.blocks.0.mlp", "mlp", 128, 1),
    ],
}


@pytest.mark.parametrize("name", SIZES)
def test_blocks_have_the_sizes_that_they_were_built_with(networks, name):
    found = [
        (block.path, "+".join(one.parts), one.size, one.heads)
        for block in networks(name).blocks()
        for one in block.dimensions
    ]
    assert found == SIZES[name]


# ---- what is left computes what the library does with zeros


def zeroed(network, keep):
    """Return the library's own module with zeros where indices go, written by hand."""
    module = network.copy().module
    weights = module.state_dict()
    for name, indices in keep.items():
        path, _, what = name.partition(" ")
        first = weights[f"{path}.fc1.weight"] if what == "hidden" else weights[f"{path}.qkv.weight"]
        width = len(first) if what == "hidden" else len(first) // 3
        gone = [index for index in range(width) if index not in set(indices)]
        if what == "hidden":
            rows, layer, columns = gone, "fc1", "fc2"
        elif what == "value":
            rows, layer, columns = [2 * width + index for index in gone], "qkv", "proj"
        else:
            rows, layer, columns = gone + [width + index for index in gone], "qkv", None
        weights[f"{path}.{layer}.weight"][rows] = 0
        weights[f"{path}.{layer}.bias"][rows] = 0
        if columns:
            weights[f"{path}.{columns}.weight"][:, gone] = 0
    return module


@pytest.mark.parametrize("is_fused", [True, False], ids=["fused", "not fused"])
@pytest.mark.parametrize("parts", [(0.5, 0.5), (0.75, 0.25), (0.25, 0.75), (0.875, 0), (0, 0.875)])
@pytest.mark.parametrize("name", SIZES)
def test_what_is_left_computes_as_the_library_does_with_zeros(networks, name, parts, is_fused):
    network = fused(networks(name), is_fused)
    keep = chosen(network, parts)
    smaller = network.cut(network.blocks(), keep)
    with torch.no_grad():
        expected = zeroed(network, keep)(network.probe)
    assert (logits(network) - expected).abs().max() > 1e-3, "what goes must matter"
    assert (logits(smaller) - expected).abs().max() <= 1e-9 * expected.abs().max()
    assert {one.name: one.size for block in smaller.blocks() for one in block.dimensions} == {
        one: len(left) for one, left in keep.items()
    }


@pytest.mark.parametrize("name", SIZES)
def test_an_ann_is_proved_by_its_outputs_alone(networks, name):
    network = networks(name)
    smaller = network.cut(network.blocks(), chosen(network, (0.5, 0.25)))
    assert [proof.edit for proof in smaller.proofs] == ["replace", "slice"]
    for proof in smaller.proofs:
        assert (proof.num_spikes, proof.num_layers, proof.float32_flips) == (0, 0, 0)
        assert proof.largest_logit_difference <= 1e-12


def test_what_a_cut_leaves_by_hand(networks):
    """Of 32 queries, keys and values 16 stay each, of 128 hidden units 64; embedding, norms and head are whole."""
    smaller = networks("vit").cut(networks("vit").blocks(), chosen(networks("vit"), (0.5,)))
    inner = (3 * 16 * 32 + 3 * 16) + (32 * 16 + 32) + (64 * 32 + 64) + (32 * 64 + 32)
    norms = 2 * (32 + 32)
    stem = (16 * 32 + 32) + 32 + 17 * 32
    assert sum(value.numel() for value in smaller.module.blocks.parameters()) == 2 * (inner + norms)
    assert sum(value.numel() for value in smaller.module.parameters()) == (
        stem + 2 * (inner + norms) + 64 + 32 * 10 + 10
    )


@pytest.mark.parametrize("name", SIZES)
def test_the_scale_stays_that_of_the_uncut_head(networks, name):
    """Every head of these networks is 8 wide."""
    network = networks(name)
    smaller = network.cut(network.blocks(), chosen(network, (0.5,)))
    attention = [module for module in smaller.module.modules() if "Cut" in type(module).__name__]
    assert len(attention) == {"vit": 2, "swin": 3}[name]
    assert {(one.scale, one.qk_width, one.v_width) for one in attention} == {(8**-0.5, 4, 4)}


@pytest.mark.parametrize("name", SIZES)
def test_sizes_of_layers_follow(networks, name):
    network = networks(name)
    smaller = network.cut(network.blocks(), chosen(network, (0.5, 0.25)))
    layers = [module for module in smaller.module.modules() if isinstance(module, torch.nn.Linear)]
    assert all(tuple(layer.weight.shape) == (layer.out_features, layer.in_features) for layer in layers)
    assert all(layer.bias is None or len(layer.bias) == layer.out_features for layer in layers)


@pytest.mark.parametrize("name", SIZES)
def test_a_cut_network_is_cut_again(networks, name):
    network = networks(name)
    once = network.cut(network.blocks(), chosen(network, (0.5, 0.25)))
    twice = once.cut(once.blocks(), chosen(once, (0.25, 0.5)))
    assert [proof.edit for proof in twice.proofs] == ["replace", "slice", "slice"]


@pytest.mark.parametrize("name", SIZES)
def test_a_cut_network_is_built_again_from_its_artifact(networks, name, tmp_path, host):
    network = networks(name)
    smaller = network.cut(network.blocks(), chosen(network, (0.5, 0.25)))
    again = load(save(smaller, tmp_path / "artifact"), host=host).in_float64().with_weights(smaller.tensors)
    again.module.eval()
    with torch.no_grad():
        assert torch.equal(again.module(network.probe), logits(smaller))
    assert [str(block) for block in again.blocks(network.probe)] == [str(block) for block in smaller.blocks()]


# ---- what is refused, and what is no obstacle


def faults(network):
    return {
        (block.path, "+".join(part for one in block.dimensions for part in one.parts)): block.refused
        for block in network.blocks()
    }


def test_norms_of_queries_and_keys_leave_the_values_to_cut(host):
    network = declared(host, qk_norm=True)
    assert faults(network) == {
        ("blocks.0.attn", "qk"): "a norm of queries and keys (q_norm, k_norm) sees all channels together",
        ("blocks.0.attn", "v"): "",
        ("blocks.0.mlp", "mlp"): "",
    }
    between, mixed, _ = network.blocks()
    message = (
        r"'blocks.0.attn' cannot be cut: a norm of queries and keys \(q_norm, k_norm\) sees all channels together$"
    )
    with pytest.raises(EditError, match=message):
        network.cut([between], {between.dimensions[0].name: kept(between.dimensions[0], 0.5)})
    smaller = network.cut([mixed], {mixed.dimensions[0].name: kept(mixed.dimensions[0], 0.5)})
    assert smaller.module.blocks[0].attn.v_width == 4


def test_norms_inside_of_attention_and_mlp_are_refused(host):
    assert faults(declared(host, scale_attn_norm=True, scale_mlp_norm=True)) == {
        ("blocks.0.attn", "qk"): "",
        ("blocks.0.attn", "v"): "a norm between value and projection (norm) sees all channels together",
        ("blocks.0.mlp", "mlp"): "a norm between its layers (norm) sees all channels together",
    }


def test_heads_that_would_keep_different_numbers_are_refused(networks):
    network = networks("vit")
    block = network.blocks()[0]
    with pytest.raises(
        EditError, match=r"query and key' must keep equally many indices in each head, .* \[1, 2, 0, 0\]"
    ):
        network.cut([block], {block.dimensions[0].name: [0, 8, 9]})


def test_a_gate_is_cut_along_with_the_values(host):
    network = drawn(declare(gated_vit(), STILL, build=gated_vit, host=host), side=8)
    smaller = network.cut(network.blocks(), chosen(network, (0.5, 0.25)))
    gate = smaller.module.blocks[0].attn.gate
    assert (tuple(gate.weight.shape), gate.out_features) == ((24, 32), 24)
    assert smaller.proofs[-1].largest_logit_difference <= 1e-12


def test_an_activation_need_not_be_zero_at_zero(host):
    """The columns behind it go too."""
    network = drawn(declare(sigmoid_vit(), STILL, build=sigmoid_vit, host=host), side=8)
    smaller = network.cut(network.blocks(), chosen(network, (0.5,)))
    assert smaller.module.blocks[0].mlp.fc1.out_features == 64


def test_an_activation_that_mixes_channels_is_found_out(host):
    network = drawn(declare(softmax_vit(), STILL, build=softmax_vit, host=host), side=8)
    mlp = network.blocks()[1]
    with pytest.raises(ProofError, match=r"^logits as large as [\d.]+ differ by [\d.e-]+ in float64$"):
        network.cut([mlp], {mlp.dimensions[0].name: kept(mlp.dimensions[0], 0.5)})


def test_a_derived_class_is_not_taken_for_the_librarys(networks):
    class Own(Attention):
        pass

    network = networks("vit").copy()
    network.module.blocks[0].attn.__class__ = Own
    assert [block.path for block in network.blocks()] == ["blocks.0.mlp", "blocks.1.attn", "blocks.1.mlp"]


def test_a_block_whose_layer_runs_in_two_factors_is_not_known(networks):
    network = networks("vit")
    factored = network.edited([Replace("blocks.0.attn.qkv", "structured.factors", {"rank": 4})])
    paths = [block.path for block in factored.blocks() if block.path]
    assert paths == ["blocks.0.mlp", "blocks.1.attn", "blocks.1.mlp"]


@pytest.mark.parametrize("module", [VisionTransformer, SwinTransformer])
def test_the_library_keeps_the_classes_that_are_known(module):
    """A class under another name would be recognised no more, without a word."""
    from snncompress_timm.anatomy import _KNOWN

    settings = {"img_size": 8, "patch_size": 2, "in_chans": 1, "num_classes": 2}
    sizes = {"embed_dim": 8, "num_heads": 2} if module is VisionTransformer else {"embed_dim": 8, "num_heads": (1, 2)}
    depth = {"depth": 1} if module is VisionTransformer else {"depths": (1, 1)}
    found = {type(part) for part in module(**settings, **sizes, **depth).modules()} & set(_KNOWN)
    assert len(found) == 2
