"""What SpikingJelly's blocks are, and that each can be cut: masked and sliced networks fire alike."""

import itertools

import pytest
import torch
from live_networks import BLOCKS, probed
from spikingjelly.activation_based.layer import attention

from snncompress import EditError, load, save
from snncompress.network.proof import masked_like, spike_trains


@pytest.fixture(scope="module")
def networks(host):
    made = {}

    def of(name):
        if name not in made:
            made[name] = probed(BLOCKS[name], host)
        return made[name]

    return of


def kept(dimension, part, seed=0):
    """Return random indices that stay, equally many of each head."""
    generator = torch.Generator().manual_seed(seed)
    count = dimension.per_head - round(part * dimension.per_head)
    rows = [torch.randperm(dimension.per_head, generator=generator)[:count] for _ in range(dimension.heads)]
    return sorted(int(head * dimension.per_head + index) for head, row in enumerate(rows) for index in row)


SIZES = {
    "spikformer": [("blocks.0.attn", "qk", 32, 2), ("blocks.0.attn", "v", 32, 2), ("blocks.0.mlp", "mlp", 128, 1)],
    "qkformer over tokens": [
        ("stage1.0.attn", "qk", 8, 1),
        ("stage1.0.attn", "v", 8, 1),
        ("stage1.0.mlp", "mlp", 32, 1),
    ],
    "qkformer over channels": [("stage1.0.attn", "qk+v", 8, 1), ("stage1.0.mlp", "mlp", 32, 1)],
    "maxformer": [("stage1.0", "mlp", 32, 1), ("stage2.0.mlp", "mlp", 64, 1), ("stage3.0.attn", "qk", 32, 8)],
    "maxformer for large images": [("stage1.0.mlp", "mlp", 64, 1), ("stage2.0.mlp", "mlp", 128, 1)],
    "spike-driven transformer": [("blocks.0.attn", "qk+v", 32, 2), ("blocks.0.mlp", "mlp", 128, 1)],
}
"""The first dimensions of each network, as its constructor's arguments make them."""


@pytest.mark.parametrize("name", BLOCKS)
def test_blocks_have_the_sizes_that_they_were_built_with(networks, name):
    blocks = [block for block in networks(name).blocks() if block.path]
    found = [(block.path, "+".join(one.parts), one.size, one.heads) for block in blocks for one in block.dimensions]
    assert found[: len(SIZES[name])] == SIZES[name]


@pytest.mark.parametrize("parts", [(0.5, 0.5), (0.75, 0.25)])
@pytest.mark.parametrize("name", BLOCKS)
def test_masked_and_sliced_networks_fire_alike(networks, name, parts):
    network = networks(name)
    blocks = [block for block in network.blocks() if block.path]
    keep = {
        one.name: kept(one, part, seed)
        for block in blocks
        for seed, (one, part) in enumerate(zip(block.dimensions, itertools.cycle(parts)))
    }
    smaller = network.cut(blocks, keep)
    proof = smaller.proofs[-1]
    assert (proof.edit, proof.float32_flips) == ("slice", 0)
    assert proof.num_spikes > 10_000
    assert proof.largest_logit_difference <= 1e-9
    assert {one.name: one.size for block in smaller.blocks() for one in block.dimensions if block.path} == {
        name: len(left) for name, left in keep.items()
    }
    assert sum(value.numel() for value in smaller.module.parameters()) < sum(
        value.numel() for value in network.module.parameters()
    )


def test_what_a_cut_leaves_by_hand(networks):
    """Half of everything inside of a block: q, k, v (16 x 32 each), projection (32 x 16), MLP (64 x 32 and 32 x 64), norms."""
    network = networks("spikformer")
    blocks = [block for block in network.blocks() if block.path]
    smaller = network.cut(blocks, {one.name: kept(one, 0.5) for block in blocks for one in block.dimensions})
    inner = 3 * 16 * 32 + 32 * 16 + 64 * 32 + 32 * 64
    norms = 2 * (3 * 16 + 32 + 64 + 32)
    found = sum(value.numel() for value in smaller.module.blocks.parameters())
    assert found == 2 * (inner + norms)
    assert not any("Cut" in type(module).__name__ for module in smaller.module.modules()), (
        "equal widths need no new module"
    )


def test_attention_maps_have_the_rank_of_what_is_left(networks):
    """With 3 of 16 indices of query and key left in a head, no attention map of it has a higher rank than 3."""
    network = networks("spikformer")
    block = network.blocks()[0]
    qk = block.dimensions[0]
    smaller = network.cut([block], {qk.name: kept(qk, 13 / 16)})
    _, spikes = spike_trains(smaller, smaller.probe)
    qkv_TBCN = spikes["blocks.0.attn.qkv_lif"]
    q, k = (qkv_TBCN[:, :, start : start + 6].unflatten(2, (2, 3)) for start in (0, 6))
    maps = q.transpose(-2, -1) @ k
    ranks = torch.linalg.matrix_rank(maps)
    assert 0 < int(ranks.max()) <= 3
    assert qkv_TBCN.shape[2] == 6 + 6 + 32


def test_zero_weights_alone_do_not_silence_a_channel(networks):
    """The norm's shift makes it fire all the same, so the reference clears scale and shift too."""
    network = networks("spikformer")
    block = network.blocks()[1]
    hidden = block.dimensions[0]
    smaller = network.cut([block], {hidden.name: kept(hidden, 0.5)})
    cleared = masked_like(network, smaller.edits[-1])
    names = {name for name in cleared if name.endswith(("1.weight", "1.bias"))}
    assert names == {"blocks.0.mlp.fc1.1.weight", "blocks.0.mlp.fc1.1.bias"}
    weights_alone = network.with_weights({name: value for name, value in cleared.items() if name not in names})
    _, live = spike_trains(weights_alone, network.probe)
    _, silent = spike_trains(network.with_weights(cleared), network.probe)
    gone = sorted(set(range(128)) - set(kept(hidden, 0.5)))
    assert live["blocks.0.mlp.neuron1"][:, :, gone].sum() > 0
    assert silent["blocks.0.mlp.neuron1"][:, :, gone].sum() == 0


def test_heads_that_would_keep_different_numbers_are_refused(networks):
    network = networks("spikformer")
    block = network.blocks()[0]
    with pytest.raises(EditError, match=r"query and key' must keep equally many indices in each head, .* \[3, 4\]"):
        network.cut([block], {block.dimensions[0].name: [0, 1, 2, 16, 17, 18, 19]})


def test_an_mlp_that_adds_its_hidden_layer_to_the_stream_refuses(host):
    case = BLOCKS["spike-driven transformer"]
    network = probed(type(case)(case.name, case.use, (*case.settings, ("mlp_ratio", 1)), case.shape), host)
    block = next(block for block in network.blocks() if block.kind == "MLP")
    with pytest.raises(EditError, match=r"'blocks.0.mlp' cannot be cut: its inner dimension is added to the residual"):
        network.cut([block], {block.dimensions[0].name: [0]})


def test_a_derived_class_is_not_taken_for_the_librarys(networks):
    class Own(attention.SpikingSelfAttention):
        pass

    network = networks("spikformer").copy()
    network.module.blocks[0].attn.__class__ = Own
    assert [block.path for block in network.blocks() if block.path] == ["blocks.0.mlp", "blocks.1.attn", "blocks.1.mlp"]


@pytest.mark.parametrize("name", BLOCKS)
def test_a_cut_network_is_built_again_from_its_artifact(networks, name, tmp_path, host):
    network = networks(name)
    blocks = [block for block in network.blocks() if block.path]
    halves = {
        one.name: kept(one, 0.5 if index else 0.25) for block in blocks for index, one in enumerate(block.dimensions)
    }
    smaller = network.cut(blocks, halves)
    again = load(save(smaller, tmp_path / "artifact"), host=host).in_float64().with_weights(smaller.tensors)
    expected, found = (spike_trains(one, network.probe)[0].logits for one in (smaller, again))
    assert torch.equal(expected, found)
    assert [str(block) for block in again.blocks(network.probe)] == [str(block) for block in smaller.blocks()]


def halves(network):
    return {
        one.name: kept(one, 0.5)
        for block in network.blocks()
        if block.path and not block.refused
        for one in block.dimensions
    }


@pytest.mark.parametrize("name", [name for name in BLOCKS if name != "maxformer for large images"])
def test_layers_in_two_factors_are_cut_at_their_outer_ends(networks, make, new_run, name):
    network = networks(name)
    factored = make("lowrank.svd", rank=3).apply(network, new_run(network))
    smaller = factored.cut(factored.blocks(), halves(network))
    assert smaller.proofs[-1].num_spikes > 1000
    assert [one.size for block in smaller.blocks() if block.path for one in block.dimensions] == [
        len(left) for left in halves(network).values()
    ]


def test_a_layer_that_is_something_else_is_no_part_of_a_block(networks):
    network = networks("spikformer").copy()
    network.module.blocks[0].mlp.fc1[0] = torch.nn.ConvTranspose1d(32, 128, 1).double()
    assert [block.path for block in network.blocks() if block.path] == [
        "blocks.0.attn",
        "blocks.1.attn",
        "blocks.1.mlp",
    ]


@pytest.mark.parametrize(
    "norm", [torch.nn.Identity(), torch.nn.BatchNorm1d(128, affine=False)], ids=["folded", "without a scale"]
)
def test_a_norm_without_values_of_its_own_is_no_hindrance(networks, norm):
    network = networks("spikformer").copy()
    norm(torch.eye(128))
    network.module.blocks[0].mlp.fc1[1] = norm.double().eval()
    block = next(block for block in network.blocks() if block.path == "blocks.0.mlp")
    smaller = network.cut([block], {block.dimensions[0].name: range(48)})
    assert smaller.proofs[-1].num_spikes > 10_000
    assert getattr(smaller.module.blocks[0].mlp.fc1[1], "num_features", 48) == 48


def test_the_state_of_a_batch_is_not_taken_for_values_of_channels(networks, make, new_run):
    """A batch of as many samples as there are channels leaves membranes that begin with an axis of that size."""
    step = make("neurons.substitute", to="lif", library="snntorch", select=("mlp",), approximate=True)
    network = step.apply(networks("spikformer"), new_run(networks("spikformer")))
    with torch.no_grad():
        network.forward(network.probe[:, :1].expand(-1, 128, -1, -1, -1))
    tensors = [one.tensor for block in network.blocks() for dim in block.dimensions for one in dim.others]
    assert tensors
    assert not [name for name in tensors if name.endswith(".mem")]


@pytest.mark.parametrize("per", ["channel", "neuron"])
@pytest.mark.parametrize("name", ["spikformer", "qkformer over channels", "spike-driven transformer", "maxformer"])
def test_values_that_neurons_hold_are_cut_along(networks, make, new_run, name, per):
    """Also behind products, where heads are an axis of their own and each loses other channels."""
    network = networks(name)
    learning = make("neurons.substitute", to="slif", per=per).apply(network, new_run(network))
    generator = torch.Generator().manual_seed(0)
    moved = {
        name: value + 0.1 * torch.randn(value.shape, generator=generator, dtype=value.dtype)
        for name, value in learning.tensors.items()
        if name.endswith(("threshold_offset", "leak_offset"))
    }
    assert moved
    learning = learning.with_weights(moved)
    smaller = learning.cut(learning.blocks(), halves(network))
    assert smaller.proofs[-1].num_spikes > 10_000
