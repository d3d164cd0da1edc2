"""What follows what in a network: seen by watching one small batch flow, not read from names."""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from snncompress.network import Network

CONVOLUTIONS = (nn.Conv1d, nn.Conv2d)
NORMS = (nn.BatchNorm1d, nn.BatchNorm2d)


@dataclass
class Structure:
    """Say which convolution feeds which norm, and which norm which neuron; only where each is called once.

    Attributes:
        norm_of: the norm behind a convolution.
        neuron_of: the neuron behind a norm.
        calls: how often each module was called in one step, or for all steps at once.
    """

    norm_of: dict[nn.Module, nn.Module] = field(default_factory=dict)
    neuron_of: dict[nn.Module, nn.Module] = field(default_factory=dict)
    calls: Counter[nn.Module] = field(default_factory=Counter)

    def _kept(self) -> Structure:
        once = {module for module, count in self.calls.items() if count == 1}
        return Structure(
            {one: other for one, other in self.norm_of.items() if one in once and other in once},
            {one: other for one, other in self.neuron_of.items() if one in once and other in once},
            self.calls,
        )


def structure_of(network: Network, x: Tensor) -> Structure:
    """Run ``x`` once (one step where the network takes single steps) and return what followed what."""
    neurons = {item.module for item in network.neurons}
    found, seen = Structure(), _Seen()

    def watch(module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        found.calls[module] += 1
        source = seen.source(inputs[0]) if inputs and isinstance(inputs[0], Tensor) else None
        if isinstance(module, NORMS) and isinstance(source, CONVOLUTIONS):
            found.norm_of[source] = module
        if module in neurons and isinstance(source, NORMS):
            found.neuron_of[source] = module
        if isinstance(module, (*CONVOLUTIONS, *NORMS)) and isinstance(output, Tensor):
            seen.keep(module, output)

    with ExitStack() as stack, torch.no_grad():
        for module in network.module.modules():
            if isinstance(module, (*CONVOLUTIONS, *NORMS)) or module in neurons:
                stack.callback(module.register_forward_hook(watch).remove)
        network.module(x)
    network.reset()
    return found._kept()  # noqa: SLF001 - our own class


class _Seen:
    """Remember outputs by where they lie, and keep them alive so that no place is used twice."""

    def __init__(self) -> None:
        self._known: dict[tuple[int, int], tuple[nn.Module, Tensor, int]] = {}

    def keep(self, module: nn.Module, output: Tensor) -> None:
        self._known[output.data_ptr(), output.numel()] = (module, output, output._version)  # noqa: SLF001 - no public way

    def source(self, value: Tensor) -> nn.Module | None:
        """Return the module whose output this is, untouched since, in whatever shape."""
        module, output, version = self._known.get((value.data_ptr(), value.numel()), (None, value, -1))
        return module if module is not None and output._version == version else None  # noqa: SLF001 - see above


def is_watched_between(first: Any, second: Any) -> bool:
    """Tell whether somebody may see or change what passes from one module to the next."""
    return bool(
        first._forward_hooks  # noqa: SLF001 - no public way to ask
        or first._backward_hooks  # noqa: SLF001
        or first._backward_pre_hooks  # noqa: SLF001
        or second._forward_pre_hooks  # noqa: SLF001
        or second._backward_hooks  # noqa: SLF001
    )
