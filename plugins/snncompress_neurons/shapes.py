"""The shapes of what neurons take, found by running a batch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from snncompress import EditError, StepError, evaluating

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor, nn

    from snncompress import Network, Per


def sample_shapes(network: Network, paths: Sequence[str]) -> dict[str, list[tuple[int, ...]]]:
    """Return the shapes [C, ...] of one sample at one step of what each neuron takes: several where it is called with several.

    Raises:
        StepError: if the network has no probe batch.
        EditError: if the network never calls one of them.
    """
    import torch

    if network.probe is None:
        raise StepError("a probe batch is needed to find the shapes of neurons; network.with_probe(x)")
    shapes: dict[str, list[tuple[int, ...]]] = {}
    modules = {item.path: item for item in network.neurons if item.path in paths}
    hooks = [
        item.module.register_forward_pre_hook(_recorder(shapes, path, leading=_leading(item)))
        for path, item in modules.items()
    ]
    try:
        with torch.no_grad(), evaluating(network.module):
            network.reset()
            network.forward(network.probe)
            network.reset()
    finally:
        for hook in hooks:
            hook.remove()
    if missing := [path for path in paths if path not in shapes]:
        raise EditError(f"the network never calls the neuron {missing[0]!r}; leave it out of `select`")
    return shapes


def shape_of(path: str, samples: Sequence[tuple[int, ...]], per: Per) -> list[int]:
    """Return the shape of a trainable value of a neuron for samples [C, ...].

    Raises:
        EditError: if one sample needs another shape than the next.
    """
    if per == "layer":
        return []
    found = {(sample[:1] if per == "channel" else sample, len(sample)) for sample in samples}
    if len(found) > 1:
        told = " and ".join(str(list(sample)) for sample in dict.fromkeys(samples))
        raise EditError(
            f"{path!r} is called with samples of shape {told}: it has no value per {per}; take `per: layer`"
        )
    return list(found.pop()[0])


def _leading(item: Any) -> int:
    """Return how many dimensions stand in front of a sample's own: time and batch, or the batch alone."""
    return 2 if item.backend.describe(item.module).takes_sequence else 1


def _recorder(shapes: dict[str, list[tuple[int, ...]]], path: str, *, leading: int) -> Callable[..., None]:
    def record(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        shapes.setdefault(path, []).append(tuple(inputs[0].shape[leading:]))

    return record
