"""Whether another process could build a module again."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Callable, Iterator, Mapping
from itertools import zip_longest
from typing import Any

from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from snncompress.errors import ModelError
from snncompress.network.constants import differing_constants
from snncompress.network.leaving import unseeded_generators
from snncompress.network.weight_hooks import require_plain

_ADDRESS = re.compile(r" at 0x[0-9a-f]+")


def require_rebuildable(module: nn.Module, maker: Callable[..., Any], arguments: Mapping[str, Any]) -> None:
    """Raise ModelError unless ``maker(**arguments)`` gives a module like ``module``: the same tensors and settings."""
    _require_callable(maker, arguments)
    require_initialised(module, "the module in hand")
    fresh = built_unseeded(lambda: maker(**arguments))
    require_initialised(fresh, f"what {maker.__qualname__!r} builds")
    require_plain(fresh, f"what {maker.__qualname__!r} builds")
    if (unwrapped := unwrapped_name(module)) and not unwrapped_name(fresh):
        raise ModelError(wrapped_error(module, unwrapped))
    require_repeatable(lambda: maker(**arguments), maker.__qualname__)
    if difference := _differing_dtype(module, fresh):
        raise ModelError(
            f"{maker.__qualname__!r} called with {dict(arguments)} builds tensors of another dtype than the module in hand: "
            f"{difference}; build it in that dtype, or call .float() on the module in hand"
        )
    if difference := next(_differing_tensors(module, fresh), None):
        raise ModelError(
            f"{maker.__qualname__!r} called with {dict(arguments)} builds tensors of other names or shapes than the "
            f"module in hand: {difference}; give declare() the arguments that it was built with"
        )
    if difference := next(_differing_lines(module, fresh), None):
        raise ModelError(
            f"{maker.__qualname__!r} called with {dict(arguments)} builds a module of other settings than the one in "
            f"hand: {difference}; set them where the module is built, so that an artifact builds the same"
        )


def unwrapped_name(module: nn.Module) -> str | None:
    """Return the attribute that holds the network itself, where ``module`` is what torch puts around one."""
    if isinstance(module, (nn.DataParallel, nn.parallel.DistributedDataParallel)):
        return "module"
    return "_orig_mod" if type(module).__name__ == "OptimizedModule" and hasattr(module, "_orig_mod") else None


def wrapped_error(module: nn.Module, name: str) -> str:
    """Say to give the network itself and not what torch puts around it."""
    maker = "torch.compile" if name == "_orig_mod" else f"torch.nn.{type(module).__name__}"
    return f"this module is what {maker} puts around a network; give the network itself: declare(module.{name}, ...)"


def require_repeatable(build: Callable[[], Any], name: str) -> None:
    """Raise ModelError unless a second call of ``build`` gives the same module, whatever the random generators hold.

    Values in the state dict may differ, for an artifact stores them. What else a module draws or counts while it is built
    would be lost.
    """
    one, other = built_unseeded(build), built_unseeded(build)
    require_initialised(one, f"what {name!r} builds")
    known = {id(value): name for name, value in one.named_parameters()}
    if shared := next((name for name, value in other.named_parameters() if id(value) in known), None):
        raise ModelError(
            f"{name!r} returns a module with the very same {shared!r} each time it is called; build every part anew in it"
        )
    differences = (*_differing_tensors(one, other), *_differing_lines(one, other))
    if differences:
        raise ModelError(
            f"{name!r} builds another module each time it is called: {differences[0]}; what is drawn or counted while it is "
            "built is another in each process: give it as an argument"
        )
    if constant := next(differing_constants(one, other), None):
        raise ModelError(
            f"{constant!r} of {name!r} has other values each time the module is built, and its state dict does not hold them, "
            f"so another process would build another network; store them: {_registered(constant)}"
        )


def built_unseeded(build: Callable[[], Any]) -> nn.Module:
    """Return the module that ``build`` gives in another process, where nobody has seeded the generators."""
    with unseeded_generators():
        made = build()
    module: nn.Module = made[0] if isinstance(made, tuple) else made
    return module


def _registered(constant: str) -> str:
    leaf = constant.rpartition(".")[2]
    return f"self.register_buffer({leaf!r}, ...)" if leaf.isidentifier() else "use self.register_buffer(NAME, ...)"


def _require_callable(maker: Callable[..., Any], arguments: Mapping[str, Any]) -> None:
    try:
        inspect.signature(maker).bind(**arguments)
        json.dumps(dict(arguments), allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ModelError(
            f"another process could not build {maker.__qualname__!r} again ({error}); "
            "give declare() the arguments, plain JSON values: declare(module, time, build=..., arguments={...})"
        ) from error


def require_initialised(module: nn.Module, what: str) -> None:
    """Raise ModelError where a parameter or buffer has no shape yet."""
    lazy = [name for name, value in (*module.named_parameters(), *module.named_buffers()) if is_lazy(value)]
    if lazy:
        raise ModelError(
            f"{lazy[0]!r} of {what} is lazy and has no shape yet; run a batch through the module where it is built"
        )


def _differing_tensors(module: nn.Module, fresh: nn.Module) -> Iterator[str]:
    here, there = _tensors(module), _tensors(fresh)
    for name in dict.fromkeys((*here, *there)):
        if here.get(name) != there.get(name):
            yield f"{name!r} is {there.get(name, 'missing')} there and {here.get(name, 'missing')} here"


def _tensors(module: nn.Module) -> dict[str, str]:
    stored = module.state_dict().items()
    return {
        name: f"{str(value.dtype).removeprefix('torch.')} {list(value.shape)}"
        for name, value in stored
        if isinstance(value, Tensor)
    }


def _differing_dtype(module: nn.Module, fresh: nn.Module) -> str | None:
    """Say which tensor differs in its dtype, where names and shapes are the same."""
    here, there = _tensors(module), _tensors(fresh)
    if here.keys() != there.keys() or any(here[name].split(" ", 1)[1] != there[name].split(" ", 1)[1] for name in here):
        return None
    return next(_differing_tensors(module, fresh), None)


def _differing_lines(module: nn.Module, fresh: nn.Module) -> Iterator[str]:
    here, there = (_ADDRESS.sub("", repr(one)).splitlines() for one in (module, fresh))
    for mine, other in zip_longest(here, there, fillvalue="nothing"):
        if mine != other:
            yield f"'{other.strip()}' there and '{mine.strip()}' here"
