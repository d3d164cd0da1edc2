import pytest

from snncompress import Inventory
from snncompress.selectors import Part, TensorPart, assign_roles, is_weight, select

PARTS = tuple(
    Part(path, kind, frozenset(roles))
    for path, kind, roles in [
        ("", "Net", ()),
        ("stem", "Sequential", ("stem",)),
        ("stem.0", "Conv2d", ("stem", "synapse")),
        ("stem.1", "BatchNorm2d", ("stem", "norm")),
        ("blocks.0.attn", "Attention", ("attention",)),
        ("blocks.0.attn.qk", "Linear", ("attention", "attention.qk", "synapse")),
        ("blocks.0.attn.v", "Linear", ("attention", "attention.v", "synapse")),
        ("blocks.0.lif", "LIFNode", ("neuron",)),
        ("blocks.10.mlp", "Linear", ("mlp", "synapse")),
        ("head", "Linear", ("head", "synapse")),
    ]
)


def picked(*terms):
    paths, unmatched = select(terms, PARTS)
    assert unmatched == ()
    return paths


@pytest.mark.parametrize(
    ("terms", "paths"),
    [
        (("neuron",), {"blocks.0.lif"}),
        (("head",), {"head"}),
        (("attention",), {"blocks.0.attn", "blocks.0.attn.qk", "blocks.0.attn.v"}),
        (("attention.qk",), {"blocks.0.attn.qk"}),
        (("type:Conv2d",), {"stem.0"}),
        (("type:*Norm2d",), {"stem.1"}),
        (("stem",), {"stem", "stem.0", "stem.1"}),
        (("stem.*",), {"stem.0", "stem.1"}),
        (("blocks.0",), {"blocks.0.attn", "blocks.0.attn.qk", "blocks.0.attn.v", "blocks.0.lif"}),
        (("blocks.*.mlp",), {"blocks.10.mlp"}),
        (("blocks.1*",), {"blocks.10.mlp"}),
        (("synapse", "!head", "!stem"), {"blocks.0.attn.qk", "blocks.0.attn.v", "blocks.10.mlp"}),
        (("!synapse",), {"", "stem", "stem.1", "blocks.0.attn", "blocks.0.lif"}),
        (("head", "!head", "head"), {"head"}),
        ((), set()),
    ],
)
def test_terms_pick_modules(terms, paths):
    assert picked(*terms) == paths


@pytest.mark.parametrize(
    ("term", "near"),
    [
        ("heda", "head"),
        ("type:Linera", "type:Linear"),
        ("!synapses", "synapse"),
        ("blocks.0.lfi", "blocks.0.lif"),
    ],
)
def test_a_term_that_matches_nothing_comes_with_near_names(term, near):
    _, (unmatched,) = select(("synapse", term), PARTS)
    assert unmatched.term == term
    assert unmatched.near[0] == near


def test_a_role_that_no_module_has_is_not_near_itself():
    fused = [part for part in PARTS if part.path not in ("blocks.0.attn.qk", "blocks.0.attn.v")]
    _, (unmatched,) = select(("attention.qk",), fused)
    assert unmatched.near == ("attention",)
    assert select(("neuron",), PARTS[:4])[1][0].near == ()


def test_roles_reach_the_modules_below():
    paths = dict.fromkeys(["stem", "stem.0", "stemless", "head"], "")
    assert assign_roles(paths, {"stem": ["stem"], "end": ["he*"]}) == {
        "stem": {"stem"},
        "stem.0": {"stem"},
        "stemless": frozenset(),
        "head": {"end"},
    }


def test_weights_are_the_matrices_of_picked_synapses():
    tensors = (
        TensorPart("stem.0.weight", "stem.0", (4, 1, 3, 3)),
        TensorPart("stem.0.bias", "stem.0", (4,)),
        TensorPart("stem.1.weight", "stem.1", (4,)),
        TensorPart("head.weight", "head", (2, 4)),
        TensorPart("blocks.0.lif.w", "blocks.0.lif", (2, 2)),
    )
    inventory = Inventory(PARTS, tensors)
    assert inventory.weights(("stem", "head", "neuron")) == ("stem.0.weight", "head.weight")
    assert inventory.num_parameters() == 36 + 4 + 4 + 8 + 4


@pytest.mark.parametrize(
    ("name", "shape", "expected"),
    [
        ("head.weight", (2, 4), True),
        ("attn.in_proj_weight", (12, 4), True),
        ("mixing", (3, 3), True),
        ("head.bias", (2,), False),
        ("attn.relative_position_bias_table", (49, 2), False),
        ("pos_embed", (1, 17, 64), False),
        ("cls_token", (1, 1, 64), False),
        ("patch_embed.proj.weight", (8, 1, 4, 4), True),
        ("relative_bias.fc.weight", (8, 2), True),
    ],
)
def test_what_is_added_is_no_weight_whatever_its_dimensions(name, shape, expected):
    assert is_weight(name, shape) is expected
    inventory = Inventory((Part("", "Net", frozenset({"synapse"})),), (TensorPart(name, "", shape),))
    assert inventory.weights(("synapse",)) == ((name,) if expected else ())


def test_inner_synapses_are_all_but_stem_and_head():
    inventory = Inventory(PARTS, ())
    assert inventory.inner_terms() == ("synapse", "!stem", "!head")
    assert inventory.select(inventory.inner_terms()) == {
        "blocks.0.attn.qk",
        "blocks.0.attn.v",
        "blocks.10.mlp",
    }


@pytest.mark.parametrize("left", ["stem", "head"])
def test_only_roles_that_the_network_names_are_left_out(left):
    inventory = Inventory(tuple(part for part in PARTS if not part.roles & ({"stem", "head"} - {left})), ())
    assert inventory.inner_terms() == ("synapse", f"!{left}")
