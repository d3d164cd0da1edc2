"""Networks of timm whose weights are drawn so that every part matters, in float64 and with a probe."""

from __future__ import annotations

import torch
from timm.models.vision_transformer import Attention, VisionTransformer
from torch import nn

from snncompress import Host, Inputs, Network, Time, declare
from snncompress.network import open_architecture

STILL = Time("none", 1, input="static", output="averaged")
SMALL = {"img_size": 8, "patch_size": 4, "in_chans": 1, "num_classes": 10, "embed_dim": 32, "depth": 1, "num_heads": 4}

NETWORKS: dict[str, tuple[str, dict[str, object]]] = {
    "vit": ("timm.vision_transformer", {"embed_dim": 32, "depth": 2, "num_heads": 4, "patch_size": 4}),
    "swin": ("timm.swin_transformer", {"embed_dim": 16, "depths": (2, 1), "num_heads": (2, 4), "window_size": 4}),
}
"""Architectures and settings by name; images have 16 pixels a side, so that Swin shifts its windows in the first stage."""


def drawn(network: Network, side: int = 16) -> Network:
    """Return the network in float64 with drawn values: no zero biases, tables as large as products."""
    network = network.in_float64()
    draw(network.module)
    images = torch.rand(4, 1, side, side, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    network.module.eval()
    return network.with_probe(images)


def draw(module: nn.Module) -> None:
    """Draw every parameter; weights spread by their fan-in."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, value in module.named_parameters():
            spread = value[0].numel() ** -0.5 if name.endswith("weight") and value.dim() > 1 else 0.5
            middle = 1.0 if "norm" in name and name.endswith("weight") else 0.0
            value.copy_(middle + spread * torch.randn(value.shape, dtype=value.dtype, generator=generator))


def opened(name: str, host: Host) -> Network:
    """Return a network of ``NETWORKS``."""
    use, settings = NETWORKS[name]
    architecture = host.catalogue["architectures"][use](**settings).resolved(Inputs((1, 16, 16), 10), None)
    return drawn(open_architecture(architecture, host))


def declared(host: Host, **arguments: object) -> Network:
    """Return a small ViT of timm's own constructor, called with ``arguments`` besides."""
    settings = {**SMALL, **arguments}
    return drawn(declare(VisionTransformer(**settings), STILL, arguments=settings, head="head", host=host), side=8)


def gated_vit() -> nn.Module:
    """Build a ViT whose attention has a gate behind it, and none of the biases."""
    module = VisionTransformer(**SMALL)
    module.blocks[0].attn = Attention(32, num_heads=4, qkv_bias=False, gated=True)
    return module


def sigmoid_vit() -> nn.Module:
    """Build a ViT whose MLP has an activation that is not zero at zero."""
    return VisionTransformer(**SMALL, act_layer=nn.Sigmoid)


class SoftmaxOverChannels(nn.Softmax):
    """An activation that mixes the channels of a token."""

    def __init__(self) -> None:
        super().__init__(dim=-1)


def softmax_vit() -> nn.Module:
    """Build a ViT whose MLP has an activation that mixes channels."""
    return VisionTransformer(**SMALL, act_layer=SoftmaxOverChannels)
