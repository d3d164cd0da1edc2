"""The SpikingJelly networks that a pipeline can name; importing this module imports no torch."""

from __future__ import annotations

from snncompress_spikingjelly.convolutional import ParametricLIFNet, SEWResNet, SpikingVGG
from snncompress_spikingjelly.transformers import MaxFormer, QKFormer, SpikeDrivenTransformer, Spikformer

ARCHITECTURES = (
    Spikformer,
    QKFormer,
    MaxFormer,
    SpikeDrivenTransformer,
    SEWResNet,
    SpikingVGG,
    ParametricLIFNet,
)

__all__ = [
    "ARCHITECTURES",
    "MaxFormer",
    "ParametricLIFNet",
    "QKFormer",
    "SEWResNet",
    "SpikeDrivenTransformer",
    "Spikformer",
    "SpikingVGG",
]
