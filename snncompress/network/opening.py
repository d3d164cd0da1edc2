"""Opening a model reference, and declaring a module that a user has in hand."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import nn

from snncompress.arguments import list_of, mapping_of, shown
from snncompress.code import import_object, place_of
from snncompress.components import Architecture
from snncompress.errors import ModelError
from snncompress.network.checkpoint import read_checkpoint
from snncompress.network.edits import Timesteps
from snncompress.network.inventory import require_roles
from snncompress.network.network import Network
from snncompress.network.rebuild import require_rebuildable, require_repeatable
from snncompress.network.source import FromArchitecture, InHand
from snncompress.network.time import Time
from snncompress.plugins import Host, guarded


def open_architecture(
    architecture: Architecture, host: Host, *, timesteps: int | None = None, values: bool = True
) -> Network:
    """Build a network and, unless ``values`` is false, load its checkpoint or artifact.

    Without values the network stands on the meta device where its library can build there.
    """
    if opened := getattr(architecture, "opened", None):
        network: Network = opened(host, values=values)
    else:
        source = FromArchitecture(architecture)
        what = f"building the model {architecture.use!r}"
        with torch.device("cpu" if values or not architecture.builds_on_meta else "meta"):
            module, time = guarded(source.build, what, ModelError)
        network = Network(module, time, source, host)
        if architecture.needs_code:
            guarded(lambda: _require_own_code(network), what, ModelError)
        if values and (file := architecture.checkpoint_path()):
            network = network.with_weights(read_checkpoint(file, network.tensors))
    if timesteps is not None and timesteps != network.time.T and network.time.runner != "none":
        network = network.edited([Timesteps(timesteps)])
    return network


def _require_own_code(network: Network) -> None:
    """Raise ModelError where a user's own module cannot be built again, or has no part of the name that it gives one."""
    reference = network.source.reference
    require_repeatable(network.source.initialised, str(reference.get("function", reference["use"])))
    require_roles(network.module, network.source.roles())


def require_network(value: Any, verb: str) -> None:
    """Raise ModelError unless a user gave a network, with what to do about a plain module."""
    if isinstance(value, nn.Module):
        raise ModelError(
            f"{verb} takes a network, which knows how the module runs in time, not a plain {type(value).__name__!r}; "
            "use declare(): snncompress.declare(module, snncompress.Time(...))"
        )
    if not isinstance(value, Network):
        raise ModelError(
            f"{verb} takes a network, from snncompress.declare() or snncompress.load(), not {shown(value)}"
        )


def declare(
    module: nn.Module,
    time: Time,
    *,
    build: Callable[..., Any] | str | None = None,
    arguments: Mapping[str, Any] | None = None,
    stem: str | Sequence[str] = (),
    head: str | Sequence[str] = (),
    host: Host | None = None,
) -> Network:
    """Return the network of a module in hand.

    Args:
        module: a trained (or fresh) module.
        time: how it runs in time.
        build: the class or function that builds the architecture anew in another process; by default the module's class.
        arguments: what ``build`` is called with.
        stem: a glob over the module paths of the stem, or several.
        head: a glob over the module paths of the classifier, or several.
        host: the plugins; those installed by default.

    Raises:
        ModelError: if no other process could build the module from ``build`` and ``arguments``, or ``stem`` or ``head``
            match nothing.
    """
    if not isinstance(module, nn.Module) or not isinstance(time, Time):
        given = f"{type(module).__name__!r} and {type(time).__name__!r}"
        raise ModelError(f"declare takes a torch module and a snncompress.Time, not {given}")
    host = host or Host.from_environment()
    roles = {
        name: (globs,) if isinstance(globs, str) else tuple(list_of(globs, name, '["fc2"]'))
        for name, globs in (("stem", stem), ("head", head))
    }
    if build is None and type(module) in (nn.Sequential, nn.ModuleList, nn.ModuleDict):
        raise ModelError(
            f"{type(module).__name__!r} alone does not say what it was built from; give build=, a function at the top level of "
            "a module of yours that returns such a network"
        )
    maker = build if build is not None else type(module)
    place = maker if isinstance(maker, str) else place_of(maker)
    reference = {
        "use": "python",
        "time": time.to_json(),
        "function": place,
        "arguments": mapping_of({} if arguments is None else arguments, "arguments"),
        **{name: list(globs) for name, globs in roles.items()},
    }
    network = Network(module, time, InHand(module, time, reference, roles), host)
    network.reset()
    require_roles(module, roles)
    require_rebuildable(module, import_object(place) if isinstance(maker, str) else maker, dict(arguments or {}))
    pristine = copy.deepcopy(module)
    return Network(module, time, InHand(pristine, time, reference, roles), host)
