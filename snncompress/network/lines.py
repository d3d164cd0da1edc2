"""What `print` shows of a network: a few lines."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

from snncompress.errors import listed

if TYPE_CHECKING:
    from snncompress.network.network import Network

_MOST_NAMED = 8


def lines_of(network: Network) -> Iterator[str]:
    """Say what a network is, how it runs in time, its neurons, and what was done to it."""
    reference, time = network.source.reference, network.time
    built = reference.get("function", reference.get("use", ""))
    yield f"{type(network.module).__name__} ({built}), {network.inventory.num_parameters():,} parameters"
    yield f"  time: runner {time.runner}, T {time.T}, input {time.input}, output {time.output}"
    kinds = Counter(f"{type(item.module).__name__} ({item.backend.name})" for item in network.neurons)
    yield "  neurons: " + (", ".join(f"{many} {kind}" for kind, many in kinds.items()) or "none that a backend knows")
    if network.masks:
        whole = sum(mask.numel() for mask in network.masks.values())
        zeroed = whole - sum(int(mask.sum()) for mask in network.masks.values())
        yield f"  masks: {zeroed:,} of {whole:,} weights in {len(network.masks)} tensors are held at zero"
    if network.edits:
        yield "  edits: " + listed([str(edit.to_json()["edit"]) for edit in network.edits], _MOST_NAMED)
    if network.snapshots:
        yield "  snapshots: " + listed(list(network.snapshots), _MOST_NAMED)
