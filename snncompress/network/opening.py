"""Opening a model reference, and declaring a module that a user has in hand."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from snncompress.code import import_object, place_of
from snncompress.components import Architecture
from snncompress.errors import ModelError
from snncompress.network.checkpoint import read_checkpoint
from snncompress.network.edits import Timesteps
from snncompress.network.network import Network
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
        with torch.device("cpu" if values or not architecture.builds_on_meta else "meta"):
            module, time = guarded(source.build, f"building the model {architecture.use!r}", ModelError)
        network = Network(module, time, source, host)
        if values and (file := architecture.checkpoint_path()):
            network = network.with_weights(read_checkpoint(file, network.tensors))
    if timesteps is not None and timesteps != network.time.T and network.time.runner != "none":
        network = network.edited([Timesteps(timesteps)])
    return network


def declare(
    module: nn.Module,
    time: Time,
    *,
    build: Callable[..., Any] | str | None = None,
    arguments: Mapping[str, Any] | None = None,
    stem: tuple[str, ...] = (),
    head: tuple[str, ...] = (),
    host: Host | None = None,
) -> Network:
    """Return the network of a module in hand.

    Args:
        module: a trained (or fresh) module.
        time: how it runs in time.
        build: the class or function that builds the architecture anew in another process; by default the module's class.
        arguments: what ``build`` is called with.
        stem: globs over the module paths of the stem.
        head: globs over the module paths of the classifier.
        host: the plugins; those installed by default.

    Raises:
        ModelError: if no other process could build the module from ``build`` and ``arguments``.
    """
    host = host or Host.from_environment()
    maker = build if build is not None else type(module)
    place = maker if isinstance(maker, str) else place_of(maker)
    reference = {
        "use": "python",
        "time": time.to_json(),
        "function": place,
        "arguments": dict(arguments or {}),
        "stem": list(stem),
        "head": list(head),
    }
    network = Network(module, time, InHand(module, time, reference, {"stem": stem, "head": head}), host)
    network.reset()
    _require_rebuildable(network, import_object(place) if isinstance(maker, str) else maker, dict(arguments or {}))
    pristine = copy.deepcopy(module)
    return Network(module, time, InHand(pristine, time, reference, {"stem": stem, "head": head}), host)


def _require_rebuildable(network: Network, maker: Callable[..., Any], arguments: dict[str, Any]) -> None:
    try:
        inspect.signature(maker).bind(**arguments)
    except TypeError as error:
        raise ModelError(
            f"another process could not build {maker.__qualname__!r} again ({error}); "
            "give declare() the arguments: declare(module, time, build=..., arguments={...})"
        ) from error
    state = torch.get_rng_state()
    made = maker(**arguments)
    torch.set_rng_state(state)
    fresh = made[0] if isinstance(made, tuple) else made
    expected = {name: value.shape for name, value in network.tensors.items()}
    if expected != {name: value.shape for name, value in fresh.state_dict().items() if isinstance(value, Tensor)}:
        raise ModelError(
            f"{maker.__qualname__!r} called with {arguments} builds tensors of other names or shapes than the module in hand; "
            "give declare() the arguments that it was built with"
        )
