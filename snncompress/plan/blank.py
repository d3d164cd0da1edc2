"""A batch without content, to see what follows what in a network that may have no values."""

from __future__ import annotations

from typing import TYPE_CHECKING

from snncompress.anatomy import Block
from snncompress.components import Inputs
from snncompress.errors import ModelError
from snncompress.plugins import guarded

if TYPE_CHECKING:
    from torch import Tensor

    from snncompress.network import Network

_SAMPLES = 2
"""One sample would be taken for a size to be spread where many would not."""


def blank_batch(network: Network, inputs: Inputs) -> Tensor:
    """Return zeros as the network's ``forward`` takes them, on its device."""
    import torch

    sample = inputs.shape if inputs.kind == "static" else inputs.shape[1:]
    batch = (_SAMPLES, *sample)
    shape = batch if network.time.input == "static" else (network.time.T, *batch)
    return torch.zeros(shape, device=network.device)


def recognised(network: Network, inputs: Inputs) -> tuple[Block, ...]:
    """Return the network's blocks; raise ModelError if it does not run on such a batch."""
    batch = blank_batch(network, inputs)
    return guarded(lambda: network.blocks(batch), f"running the network on {list(batch.shape)}", ModelError)
