"""Opening a model reference, and declaring a module that a user has in hand."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from os import PathLike
from typing import Any

import torch
from torch import nn

from snncompress.arguments import list_of, mapping_of
from snncompress.code import import_object, place_of
from snncompress.components import Architecture
from snncompress.errors import ModelError
from snncompress.network.copying import copied
from snncompress.network.edits import Timesteps
from snncompress.network.finite import require_finite
from snncompress.network.inventory import require_roles
from snncompress.network.network import Network
from snncompress.network.rebuild import (
    require_initialised,
    require_rebuildable,
    require_repeatable,
    unwrapped_name,
    wrapped_error,
)
from snncompress.network.source import FromArchitecture, InHand
from snncompress.network.stepping import require_attribute
from snncompress.network.ties import require_whole
from snncompress.network.time import Time
from snncompress.network.weight_hooks import require_plain
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
            network = network.with_weights(network.read_checkpoint(file))
    if values:
        require_finite(network.module, f"the model {architecture.use!r}")
    if timesteps is not None and timesteps != network.time.T and network.time.runner != "none":
        network = network.edited([Timesteps(timesteps)])
    return network


def _require_own_code(network: Network) -> None:
    """Raise ModelError where a user's own module cannot be built again, or has no part of the name that it gives one."""
    reference = network.source.reference
    require_repeatable(network.source.initialised, str(reference.get("function", reference["use"])))
    require_roles(network.module, network.source.roles())
    require_attribute(network.module, network.time)


def require_declared(network: Any, verb: str) -> None:
    """Raise ModelError unless ``network`` is a Network: a plain module does not say how it runs in time."""
    if isinstance(network, Network):
        return
    if isinstance(network, nn.Module):
        raise ModelError(
            f"{verb} takes a declared network, not the module itself; use declare(): "
            f"{verb}(snncompress.declare(module, snncompress.Time(...)), ...)"
        )
    hint = "; open it with snncompress.load(...)" if isinstance(network, (str, PathLike)) else ""
    raise ModelError(f"{verb} takes a network from declare() or load(), not {type(network).__name__!r}{hint}")


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
    if build is None and (inner := unwrapped_name(module)):
        raise ModelError(wrapped_error(module, inner))
    require_plain(module, "the module in hand")
    require_initialised(module, "the module in hand")
    require_whole(module)
    require_finite(module, "the module in hand")
    require_attribute(module, time)
    host = host or Host.from_environment()
    roles = {
        name: (globs,) if isinstance(globs, str) else tuple(list_of(globs, name, '["fc2"]'))
        for name, globs in (("stem", stem), ("head", head))
    }
    if build is None and type(module).__module__.partition(".")[0] == "torch" and not arguments:
        raise ModelError(
            f"no class of yours builds this {type(module).__name__!r}; put what builds it into a function of a module, and "
            "give build=: declare(module, time, build=that_function)"
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
    network.owners.adopt(module)
    pristine = copied(module)
    return Network(module, time, InHand(pristine, time, reference, roles), host)
