"""Weights that a hook computes from other tensors before each run, as torch's pruning and older norms of weights do."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from torch import nn
from torch.nn.utils import prune
from torch.nn.utils.spectral_norm import SpectralNorm
from torch.nn.utils.weight_norm import WeightNorm

from snncompress.errors import ModelError

_KINDS: tuple[tuple[type[Any], Callable[[Any], str], str, str], ...] = (
    (prune.BasePruningMethod, lambda hook: str(hook._tensor_name), "torch.nn.utils.prune", "prune.remove"),  # noqa: SLF001 - its only place
    (WeightNorm, lambda hook: str(hook.name), "torch.nn.utils.weight_norm", "remove_weight_norm"),
    (SpectralNorm, lambda hook: str(hook.name), "torch.nn.utils.spectral_norm", "remove_spectral_norm"),
)
"""The hooks of torch: their class, the tensor that they set, what made them and what bakes them in."""


@dataclass(frozen=True)
class Hooked:
    """A tensor that a hook sets: its full name, what made the hook, and the function of torch.nn.utils that bakes it in."""

    name: str
    maker: str
    remover: str


def hooked_in(root: nn.Module) -> Iterator[Hooked]:
    """Yield the tensors below ``root`` that a hook of torch sets."""
    for path, module in root.named_modules():
        for hook in module._forward_pre_hooks.values():  # noqa: SLF001 - torch has no public way to look at hooks
            for kind, name_of, maker, remover in _KINDS:
                if isinstance(hook, kind):
                    yield Hooked(f"{path}.{name_of(hook)}".removeprefix("."), maker, remover)


def require_plain(root: nn.Module, what: str) -> None:
    """Raise ModelError where a hook computes a weight: the module cannot be copied, and its parameters are not in use."""
    if one := next(hooked_in(root), None):
        path, _, leaf = one.name.rpartition(".")
        raise ModelError(
            f"{one.name!r} of {what} is computed by a hook of {one.maker}, so what is stored is not the weight in use; bake "
            f"it in where the module is built: torch.nn.utils.{one.remover}(module.get_submodule({path!r}), {leaf!r}), and "
            "save a checkpoint after that"
        )
