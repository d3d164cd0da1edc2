"""A batch without content, to see what follows what in a network that may have no values."""

from __future__ import annotations

from typing import TYPE_CHECKING

from snncompress.components import Inputs

if TYPE_CHECKING:
    from torch import Tensor

    from snncompress.network import Network

_SAMPLES = 2
"""One sample would be taken for a size to be spread where many would not."""


def blank_batch(network: Network, inputs: Inputs) -> Tensor:
    """Return zeros as the network's ``forward`` takes them, on its device."""
    import torch

    image = (_SAMPLES, *inputs.image_shape)
    shape = image if network.time.input == "static" else (network.time.T, *image)
    return torch.zeros(shape, device=network.device)
