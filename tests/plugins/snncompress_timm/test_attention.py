"""Attention with widths of its own computes what timm's does: masks, dropout, relative positions, both paths."""

import pytest
import torch
from timm.models.swin_transformer import WindowAttention
from timm.models.vision_transformer import Attention
from torch import nn

from snncompress_timm.attention import AttentionBuilder, WindowAttentionBuilder

BOOLEAN = torch.ones(6, 6, dtype=torch.bool).tril(2)
ADDED = torch.randn(6, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
MASKS = [
    pytest.param({}, id="no mask"),
    pytest.param({"attn_mask": BOOLEAN}, id="boolean mask"),
    pytest.param({"attn_mask": ADDED}, id="added mask"),
    pytest.param({"is_causal": True}, id="causal"),
]
BOTH_PATHS = pytest.mark.parametrize("is_fused", [True, False], ids=["fused", "not fused"])


def pair(old, builder, *, is_fused):
    """Return timm's module in float64 with drawn values, and what takes its place."""
    generator = torch.Generator().manual_seed(1)
    old.double().fused_attn = is_fused
    with torch.no_grad():
        for value in old.parameters():
            value.copy_(0.5 * torch.randn(value.shape, generator=generator, dtype=torch.float64))
    return old, builder.build(old, {})


def images(*shape):
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(2))


def both(old, new, *arguments, **named):
    """Return what both compute from the same state of the generator."""
    outputs = []
    for module in (old, new.train(old.training)):
        torch.manual_seed(7)
        outputs.append(module(*arguments, **named))
    return outputs


@BOTH_PATHS
@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize(
    "settings",
    [{"qkv_bias": True}, {"qk_norm": True, "scale_norm": True, "norm_layer": nn.LayerNorm}, {"gated": True}],
    ids=["plain", "normed", "gated"],
)
def test_attention_of_vit(settings, mask, is_fused):
    old, new = pair(Attention(16, num_heads=4, **settings).eval(), AttentionBuilder(), is_fused=is_fused)
    expected, found = both(old, new, images(3, 6, 16), **mask)
    assert (expected - found).abs().max() <= 1e-12


@BOTH_PATHS
@pytest.mark.parametrize("is_shifted", [True, False], ids=["shifted", "not shifted"])
def test_attention_of_swin_in_windows(is_shifted, is_fused):
    """Two images of four windows each; the mask parts two halves of one of them."""
    old, new = pair(
        WindowAttention(16, num_heads=4, window_size=(2, 3)).eval(), WindowAttentionBuilder(), is_fused=is_fused
    )
    mask = torch.zeros(4, 6, 6, dtype=torch.float64)
    mask[3, :3, 3:] = mask[3, 3:, :3] = -100.0
    expected, found = both(old, new, images(8, 6, 16), mask=mask if is_shifted else None)
    assert (expected - found).abs().max() <= 1e-12


@BOTH_PATHS
def test_dropout_draws_as_the_librarys_does(is_fused):
    for kind, settings, builder in (
        (Attention, {"num_heads": 4}, AttentionBuilder()),
        (WindowAttention, {"num_heads": 4, "window_size": (2, 3)}, WindowAttentionBuilder()),
    ):
        old, new = pair(kind(16, attn_drop=0.3, proj_drop=0.2, **settings).train(), builder, is_fused=is_fused)
        expected, found = both(old, new, images(3, 6, 16))
        assert (expected - found).abs().max() <= 1e-12
        assert (expected - old.eval()(images(3, 6, 16))).abs().max() > 0.1


@BOTH_PATHS
def test_gradients_are_those_of_the_library(is_fused):
    old, new = pair(
        WindowAttention(16, num_heads=4, window_size=(2, 3)).eval(), WindowAttentionBuilder(), is_fused=is_fused
    )
    gradients = []
    for module in (old, new):
        module.zero_grad()
        module(images(2, 6, 16)).square().sum().backward()
        gradients.append({name: value.grad.clone() for name, value in module.named_parameters()})
    assert gradients[0].keys() == gradients[1].keys()
    assert all((gradients[1][name] - value).abs().max() <= 1e-9 for name, value in gradients[0].items())


def test_the_table_of_positions_moves_with_the_module_and_is_not_stored():
    old, new = pair(WindowAttention(16, num_heads=4, window_size=(2, 3)), WindowAttentionBuilder(), is_fused=False)
    assert old.state_dict().keys() == new.state_dict().keys()
    assert new.to("meta").relative_position_index.is_meta


def test_it_says_its_sizes():
    _, new = pair(Attention(16, num_heads=4), AttentionBuilder(), is_fused=False)
    assert "num_heads=4, qk_width=4, v_width=4" in repr(new)
