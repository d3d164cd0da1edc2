"""The blocks of a network, as the anatomies of its libraries recognise them."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from torch import Tensor

from snncompress.anatomy import Block
from snncompress.plugins import Host

if TYPE_CHECKING:
    from snncompress.network.network import Network


def blocks_of(network: Network, x: Tensor) -> tuple[Block, ...]:
    """Ask every anatomy whose library is in use; what one recognised, a later one does not name again."""
    network.reset()  # a state has the shape of its batch, and could pass for values of channels
    found: list[Block] = []
    taken: set[tuple[str, int, int]] = set()
    for name in _in_use(network.host):
        anatomy = network.host.make("anatomies", name)
        for block in anatomy.blocks(network, x):
            places = {(w.tensor, w.axis, w.start) for one in block.dimensions for w in one.weights}
            if not places & taken:
                found.append(block)
                taken |= places
    return tuple(found)


def _in_use(host: Host) -> list[str]:
    """Return the anatomies to ask: those of single libraries first, what holds for any torch module last."""
    known = [name for name in host.catalogue["anatomies"] if name in sys.modules]
    return sorted(known, key=lambda name: name == "torch")
