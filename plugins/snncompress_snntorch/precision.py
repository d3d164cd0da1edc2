"""Keeping snnTorch neurons in float64: the library returns spikes and fresh states in float32."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import snntorch
from torch import Tensor, nn

from snncompress_snntorch.surrogates import stated

if TYPE_CHECKING:
    from collections.abc import Callable


class SpikesInInputDtype:
    """A surrogate gradient whose spikes have the precision of the potential that they come from.

    So have the gradients, where the surrogate is one of the library's: behind a cast they would come in float32.
    """

    def __init__(self, surrogate: Callable[[Tensor], Tensor]) -> None:
        self.surrogate = surrogate

    def __call__(self, potential: Tensor) -> Tensor:
        """Return the spikes, of the shape and precision of ``potential``."""
        known = stated(self.surrogate)
        return self.surrogate(potential).to(potential.dtype) if isinstance(known, str) else known(potential)


def compute_in_float64(neuron: nn.Module) -> None:
    """Make one neuron, turned to float64 before, emit float64 spikes; in place."""
    surrogate: Any = neuron.spike_grad
    if isinstance(surrogate, nn.Module):
        surrogate.register_forward_hook(_cast_spikes)
    else:
        neuron.spike_grad = SpikesInInputDtype(surrogate)  # type: ignore[assignment] # nn.Module declares tensors only
    if isinstance(neuron, snntorch.Lapicque):
        _leave_integers(neuron)
    if isinstance(neuron, snntorch.SLSTM):
        neuron.lstm_cell.register_forward_pre_hook(_cast_state)


def _leave_integers(neuron: nn.Module) -> None:
    """Turn what a user gave as whole numbers to float64: their quotients are float32 otherwise."""
    for name in ("R", "C", "time_step"):
        setattr(neuron, name, getattr(neuron, name).double())


def _cast_spikes(surrogate: nn.Module, arguments: tuple[Tensor, ...], spikes: Tensor) -> Tensor:
    del surrogate
    return spikes.to(arguments[0].dtype)


def _cast_state(cell: nn.Module, arguments: tuple[Tensor, tuple[Tensor, Tensor]]) -> Any:
    del cell
    x_BC, (mem_BC, syn_BC) = arguments
    return x_BC, (mem_BC.to(x_BC.dtype), syn_BC.to(x_BC.dtype))
