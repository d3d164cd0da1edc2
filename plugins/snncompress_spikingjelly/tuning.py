"""Setting the neurons of a SpikingJelly network, whatever its constructor lets through."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from spikingjelly.activation_based import functional, neuron, surrogate

if TYPE_CHECKING:
    from torch import nn

_SURROGATES = {"sigmoid": surrogate.Sigmoid, "atan": surrogate.ATan}


def tune(
    network: nn.Module, *, tau: float, threshold: float, surrogate: Literal["sigmoid", "atan"], detach_reset: bool
) -> nn.Module:
    """Set every neuron of a fresh network in place, put the network in step mode ``m``, and return it.

    The constructors of the library take a neuron's settings in some places and drop them in others (Spikformer drops
    ``tau`` in its attention), and neurons built without a surrogate share a single one. Thresholds are multiplied.
    """
    for node in [module for module in network.modules() if isinstance(module, neuron.BaseNode)]:
        if isinstance(node, neuron.LIFNode):
            node.tau = tau
        node.v_threshold = node.v_threshold * threshold
        node.detach_reset = detach_reset
        node.surrogate_function = _SURROGATES[surrogate]()
    functional.set_step_mode(network, "m")
    return network
