"""What training did to the thresholds and leaks of neurons that train them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from snncompress.components import NeuronBackend

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from snncompress.network import Network
    from snncompress.neurons import Intrinsic


def moved_intrinsics(before: Network, after: Network) -> list[dict[str, Any]]:
    """Return smallest, median and largest threshold, leak and so on of each layer, before and after; JSON data.

    Only of neurons that hold a trainable value themselves, and that their backend can read.
    """
    then, now = _intrinsics(before), _intrinsics(after)
    return [
        {"layer": path, "value": name, "before": _spread(then[path][name]), "after": _spread(value)}
        for path, values in now.items()
        for name, value in values.items()
    ]


def _intrinsics(network: Network) -> dict[str, Mapping[Intrinsic, Tensor]]:
    return {
        item.path: item.backend.intrinsics(item.module)
        for item in network.neurons
        if isinstance(item.backend, NeuronBackend)
        and any(value.requires_grad for value in item.module.parameters(recurse=False))
    }


def _spread(values: Tensor) -> dict[str, float]:
    return {name: float(getattr(values, name)()) for name in ("min", "median", "max")}
