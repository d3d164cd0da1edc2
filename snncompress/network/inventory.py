"""What selectors see of a torch module."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import nn

from snncompress.errors import ModelError, did_you_mean
from snncompress.network.owners import Owners
from snncompress.selectors import Inventory, Part, TensorPart, assign_roles, is_weight

_NORMS = ("BatchNorm", "LayerNorm", "GroupNorm", "InstanceNorm", "RMSNorm", "LocalResponseNorm")


def inventory_of(root: nn.Module, globs: Mapping[str, Sequence[str]], owners: Owners) -> Inventory:
    """List the modules below ``root`` with their roles, and their parameters.

    A module is a ``synapse`` if it holds a weight itself (two or more dimensions, and no table of biases or embeddings) and
    is neither a norm nor a neuron: recurrent weights inside a neuron are modules of their own, thresholds and leaks are not
    synapses.
    """
    modules = dict(root.named_modules())
    named = assign_roles({path: type(module).__name__ for path, module in modules.items()}, globs)
    stateful = {item.path: item.is_neuron for item in owners.owned}
    parts = tuple(
        Part(path, type(module).__name__, named[path] | _roles(module, stateful.get(path)))
        for path, module in modules.items()
    )
    tensors = tuple(
        TensorPart(name, name.rpartition(".")[0], tuple(value.shape))
        for name, value in root.named_parameters(remove_duplicate=True)
    )
    return Inventory(parts, tensors)


def require_roles(root: nn.Module, globs: Mapping[str, Sequence[str]]) -> None:
    """Raise ModelError where a glob by which a user names the stem or the head matches no module."""
    paths = [path for path, _ in root.named_modules() if path]
    for role, patterns in globs.items():
        for pattern in patterns:
            if not any(role in found for found in assign_roles(dict.fromkeys(paths, ""), {role: [pattern]}).values()):
                raise ModelError(f"{role} {pattern!r} matches no module of the network; {did_you_mean(pattern, paths)}")


def _roles(module: nn.Module, is_neuron: bool | None) -> frozenset[str]:  # noqa: FBT001 - a lookup's three answers
    if is_neuron is not None:
        return frozenset({"neuron"} if is_neuron else ())
    if any(norm in type(module).__name__ for norm in _NORMS):
        return frozenset({"norm"})
    own = module.named_parameters(recurse=False)
    return frozenset({"synapse"} if any(is_weight(name, value.shape) for name, value in own) else ())
