"""Whether the fast way and a network's own compute the same: both are run in float64, forward and backward."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from snncompress.errors import ModelError, ProofError
from snncompress.network import DOES_NOT_COMPUTE, Output, leaving_generators, no_float64
from snncompress.plugins import guarded
from snncompress.speed.layout import is_constant

if TYPE_CHECKING:
    from snncompress.network import Network

TOLERANCE = 1e-9
"""Largest difference that counts as equal in float64, as part of the largest value; another order of sums gives 1e-13."""

_OWN_WAY = "the network's own way"


def difference(network: Network, make: Callable[[Network], Any], x: Tensor, *, training: bool) -> str:
    """Return in a few words how the fast way differs from the network's own, or an empty text where it does not.

    Args:
        network: as it is used; copies of it are run.
        make: gives the fast way through a network of the same structure.
        x: a small batch as ``forward`` takes it.
        training: whether to compare training, gradients included, or evaluation.

    Raises:
        ProofError: if the network runs, and does not in float64, so that nothing can be compared.
        ModelError: if it does not run at all.
    """
    x64 = x[:1].double().expand(x.shape) if is_constant(x) else x.double()
    own, other = network.in_float64(), network.in_float64()
    with leaving_generators():
        state = torch.get_rng_state()
        expected = _own_values(network, own, x64, x, training=training)
        torch.set_rng_state(state)
        try:
            fast = replace(other, fast=make(other))
            found = guarded(lambda: _values(fast, x64, training=training), "the fast way", ModelError)
        except ModelError as error:
            return str(error).removeprefix("the fast way: ")
    return _first_difference(expected, found)


def _own_values(
    network: Network, own: Network, x64: Tensor, x: Tensor, *, training: bool
) -> dict[str, dict[str, Tensor]]:
    """Return the values of ``own``, the copy in float64; where it does not run, tell whether ``network`` does."""
    try:
        return guarded(lambda: _values(own, x64, training=training), _OWN_WAY, ModelError)
    except ModelError as error:
        if isinstance(cause := error.__cause__, DOES_NOT_COMPUTE):
            guarded(
                lambda: _values(network.copy(), x.to(_dtype_of(network, x)), training=training), _OWN_WAY, ModelError
            )
            raise ProofError(no_float64(cause)) from error
        raise


def _dtype_of(network: Network, x: Tensor) -> torch.dtype:
    """Return the precision in which ``x`` goes through a network, which may be in float64 already."""
    dtypes = [value.dtype for value in network.module.parameters() if value.is_floating_point()]
    return dtypes[0] if dtypes and x.is_floating_point() else x.dtype


def _values(network: Network, x: Tensor, *, training: bool) -> dict[str, dict[str, Tensor]]:
    """Return outputs, gradients and buffers by name."""
    network.module.train(training)
    network.reset()
    with torch.set_grad_enabled(training):
        output = network.forward(x)
        if training and (loss := _loss(output)).requires_grad:
            torch.autograd.backward(loss)
    network.reset()
    outputs = {"logits": output.logits} | ({} if output.membranes is None else {"membranes": output.membranes})
    parameters = network.module.named_parameters()
    return {
        "output": {name: value.detach() for name, value in outputs.items()},
        "gradient": {name: value.grad for name, value in parameters if value.grad is not None and value.numel()},
        "buffer": {name: value.double() for name, value in network.module.named_buffers() if value.numel()},
    }


def _loss(output: Output) -> Tensor:
    """Return a number that every output moves differently."""
    values = [output.logits] + ([] if output.membranes is None else [output.membranes])
    weights = [torch.linspace(-1, 1, value.numel(), dtype=value.dtype, device=value.device) for value in values]
    return torch.stack([(value.flatten() * weight).sum() for value, weight in zip(values, weights, strict=True)]).sum()


def _first_difference(expected: Mapping[str, Mapping[str, Tensor]], found: Mapping[str, Mapping[str, Tensor]]) -> str:
    for kind, values in expected.items():
        if values.keys() != found[kind].keys():
            return f"it has another {kind}: {', '.join(sorted(values.keys() ^ found[kind].keys())[:3])}"
        largest = max((float(value.abs().max()) for value in values.values()), default=0.0)
        for name, value in values.items():
            other = found[kind][name]
            if other.shape != value.shape:
                return f"{kind} {name!r} has shape {list(other.shape)} and not {list(value.shape)}"
            gap = float((other - value).abs().max())
            if not gap <= TOLERANCE * largest:
                return f"{kind} {name!r} differs by {gap:.1e} (the largest is {largest:.1e})"
    return ""
