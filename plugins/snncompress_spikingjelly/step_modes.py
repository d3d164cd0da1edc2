"""In which step mode the parts of a SpikingJelly network really are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spikingjelly.activation_based import base, layer

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from torch import nn

_KEEP_THEIR_CHILDREN = (
    layer.StepModeContainer,
    layer.MultiStepContainer,
    layer.SeqToANNContainer,
    layer.TLastMultiStepContainer,
    layer.TLastSeqToANNContainer,
    layer.ElementWiseRecurrentContainer,
    layer.LinearRecurrentContainer,
)
"""Containers that run their children step by step in any mode; the library does not reach inside either."""


def step_modes(root: nn.Module) -> dict[str, str]:
    """Return the step mode, ``s`` or ``m``, of each module below ``root`` that has one, by path."""
    return {path: mode for path, module in _reachable(root, "") if (mode := _mode(module))}


def mismatch(modes: Mapping[str, str], wanted: str) -> list[str]:
    """Return the paths of the modules that are not in the step mode ``wanted``."""
    return [path for path, mode in modes.items() if mode != wanted]


def _mode(module: nn.Module) -> str | None:
    mode = getattr(module, "step_mode", None)
    if isinstance(mode, str):
        return mode
    if not isinstance(module, base.StepModule):
        return None
    supported = module.supported_step_mode()  # containers that were never told their mode know only one
    return str(supported[0]) if len(supported) == 1 else None


def _reachable(module: nn.Module, path: str) -> Iterator[tuple[str, nn.Module]]:
    yield path, module
    if not isinstance(module, _KEEP_THEIR_CHILDREN):
        for name, child in module.named_children():
            yield from _reachable(child, f"{path}.{name}" if path else name)
