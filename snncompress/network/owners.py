"""Who looks after which stateful module."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from inspect import Parameter, signature

from torch import nn

from snncompress.components import Backend, SynapseBackend
from snncompress.errors import StateError, listed
from snncompress.plugins import Host

_RESETS = ("reset", "reset_mem", "reset_state", "reset_states", "reset_hidden")


@dataclass(frozen=True)
class Owned:
    """Name one stateful module and the backend that looks after it."""

    path: str
    module: nn.Module
    backend: Backend
    is_neuron: bool


@dataclass(frozen=True)
class Owners:
    """List the stateful modules of a network: owned ones, and those that no backend knows."""

    owned: tuple[Owned, ...]
    unknown: tuple[str, ...]
    beside_synapses: frozenset[str] = frozenset()
    """Names of parameters inside layers that a library uses for something else than synapses, as its backend says."""

    @property
    def neurons(self) -> tuple[Owned, ...]:
        """The owned modules that emit spikes."""
        return tuple(item for item in self.owned if item.is_neuron)

    def reset(self) -> None:
        """Clear every state; raise StateError where a stateful module has no owner."""
        if self.unknown:
            raise StateError(
                f"{listed(self.unknown, 5)} keeps state that no backend can reset; provide a backend that owns it "
                "(hook snncompress_backends), or derive it from its library's neuron class"
            )
        for item in self.owned:
            item.backend.reset(item.module)

    def adopt(self, module: nn.Module) -> None:
        """Make a copy of this network's module known to the libraries that keep lists of instances."""
        for backend in {id(item.backend): item.backend for item in self.owned}.values():
            backend.adopt(module)


def backends_in_use(host: Host) -> Iterator[Backend]:
    """Yield the backends whose library has been imported; no other library can have made a module."""
    for name in host.catalogue["backends"]:
        if name in sys.modules:
            yield host.make("backends", name)


def find_owners(root: nn.Module, host: Host) -> Owners:
    """Ask every backend in use about every module below ``root``."""
    backends = tuple(backends_in_use(host))
    owned: list[Owned] = []
    unknown: list[str] = []
    beside: set[str] = set()
    for path, module in root.named_modules():
        backend = next((known for known in backends if known.owns(module)), None)
        if backend is not None:
            owned.append(Owned(path, module, backend, backend.is_neuron(module)))
        elif _keeps_state(module):
            unknown.append(f"{path or 'the root'} ({type(module).__name__})")
        beside.update(f"{path}.{name}".removeprefix(".") for name in _beside_synapses(backends, module))
    return Owners(tuple(owned), tuple(unknown), frozenset(beside))


def _beside_synapses(backends: Iterable[Backend], module: nn.Module) -> Iterator[str]:
    """Yield what backends say of parameters below a module; a backend need not say anything."""
    for backend in backends:
        if isinstance(backend, SynapseBackend):
            yield from backend.beside_synapses(module)


def _keeps_state(module: nn.Module) -> bool:
    return any(_can_be_called_alone(getattr(type(module), name, None)) for name in _RESETS)


def _can_be_called_alone(method: object) -> bool:
    """Tell whether a method needs nothing but its object; ``reset(num_classes)`` replaces a classifier, and clears no state."""
    if not callable(method):
        return False
    given = list(signature(method).parameters.values())[1:]
    kinds = (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD)
    return all(one.default is not Parameter.empty or one.kind in kinds for one in given)
