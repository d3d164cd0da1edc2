"""What selectors see of a torch module."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

from torch import nn

from snncompress.errors import ModelError, did_you_mean
from snncompress.network.owners import Owners
from snncompress.network.weights import derived_in, is_synaptic
from snncompress.selectors import Computed, Derived, Inventory, Part, TensorPart, assign_roles

_NORMS = ("BatchNorm", "LayerNorm", "GroupNorm", "InstanceNorm", "RMSNorm", "LocalResponseNorm")


def inventory_of(
    root: nn.Module,
    globs: Mapping[str, Sequence[str]],
    owners: Owners,
    beside: frozenset[str] = frozenset(),
    computed: Mapping[str, Computed] = MappingProxyType({}),
) -> Inventory:
    """List the modules below ``root`` with their roles, and their parameters.

    A module is a ``synapse`` if it holds a synaptic weight itself and is neither a norm nor a neuron: recurrent weights
    inside a neuron are modules of their own, thresholds and leaks are not synapses. ``beside`` names parameters that are no
    synaptic weights although their layer and shape say so. ``computed`` names those from which forward computes the weight in
    use.
    """
    modules = dict(root.named_modules())
    named = assign_roles({path: type(module).__name__ for path, module in modules.items()}, globs)
    roles = _Roles(
        dict(root.named_modules(remove_duplicate=False)),
        {item.path: item.is_neuron for item in owners.owned},
        beside | owners.beside_synapses,
    )
    derived = tuple(one for one in derived_in(root) if one.name not in beside and roles.may_weigh(one.module))
    tensors = tuple(_tensors(root, roles.weighs))
    weighing = {path for tensor in tensors for path in tensor.weighs_in()} | {one.module for one in derived}
    derived += tuple(
        Derived(tensor.name, layer, tensor.shape, computed[tensor.name].originals, (), computed[tensor.name].axes)
        for tensor in tensors
        if tensor.name in computed
        for layer in tensor.weighs_in()
    )
    tensors = tuple(replace(tensor, layers=()) if tensor.name in computed else tensor for tensor in tensors)
    parts = tuple(
        Part(path, type(module).__name__, named[path] | roles.of(path, is_synapse=path in weighing))
        for path, module in modules.items()
    )
    return Inventory(parts, tensors, derived)


def require_roles(root: nn.Module, globs: Mapping[str, Sequence[str]]) -> None:
    """Raise ModelError where a glob by which a user names the stem or the head matches no module."""
    paths = [path for path, _ in root.named_modules() if path]
    for role, patterns in globs.items():
        for pattern in patterns:
            if not any(role in found for found in assign_roles(dict.fromkeys(paths, ""), {role: [pattern]}).values()):
                raise ModelError(f"{role} {pattern!r} matches no module of the network; {did_you_mean(pattern, paths)}")


def _tensors(root: nn.Module, weighs: Callable[[str, Sequence[int]], bool]) -> list[TensorPart]:
    """Describe every parameter once, under its first name; a tied one may be a weight under any of its names."""
    names: dict[int, list[str]] = {}
    values = dict(root.named_parameters(remove_duplicate=False))
    for name, value in values.items():
        names.setdefault(id(value), []).append(name)
    found = []
    for first, *others in names.values():
        shape = tuple(values[first].shape)
        layers = tuple(name.rpartition(".")[0] for name in (first, *others) if weighs(name, shape))
        found.append(TensorPart(first, first.rpartition(".")[0], shape, layers))
    return found


class _Roles:
    """Tell what modules are to selectors, and which of their parameters are weights."""

    def __init__(self, modules: Mapping[str, nn.Module], stateful: Mapping[str, bool], beside: frozenset[str]) -> None:
        self.modules = modules
        self.stateful = stateful
        self.beside = beside

    def of(self, path: str, *, is_synapse: bool) -> frozenset[str]:
        if path in self.stateful:
            return frozenset({"neuron"} if self.stateful[path] else ())
        if _is_norm(self.modules[path]):
            return frozenset({"norm"})
        return frozenset({"synapse"} if is_synapse else ())

    def may_weigh(self, path: str) -> bool:
        """Tell whether a module may hold synaptic weights: neurons, norms and parts of parametrisations do not."""
        return not (path in self.stateful or _is_norm(self.modules[path]) or "parametrizations" in path.split("."))

    def weighs(self, name: str, shape: Sequence[int]) -> bool:
        path, _, leaf = name.rpartition(".")
        return name not in self.beside and self.may_weigh(path) and is_synaptic(self.modules[path], leaf, shape)


def _is_norm(module: nn.Module) -> bool:
    return any(norm in type(module).__name__ for norm in _NORMS)
