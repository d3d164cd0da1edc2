"""Finding the state dict of a network in what a checkpoint file holds, whatever was wrapped around either."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from torch import Tensor

_NESTED = ("state_dict", "model_state_dict", "model_state", "model", "net", "network", "module")
"""Where training programs put the state dict of the network among other things; what they call an average comes last."""

_AVERAGED = ("model_ema", "state_dict_ema", "ema_state_dict", "ema")
_COMPILED, _EXTRA, _COUNT = "_orig_mod.", "_extra_state", "n_averaged"
"""What torch.compile puts into names, what modules store besides tensors, and what AveragedModel adds."""

_MOST_LEVELS = 3
_MOST_PREFIXES = 4


def state_dict_in(read: Any, wanted: Mapping[str, Tensor]) -> dict[str, Tensor] | None:
    """Return the state dict that fits ``wanted`` best, its names as the network has them; None where there is none.

    Names are tried as they are, then without what parallel, compiled and averaged wrappers, or a program's own, put before
    them. The first that fits is taken; where none does, the one that has most names in common.
    """
    found = [renamed for state in _state_dicts(read) for renamed in _renamed(state)]
    for state in found:
        if state.keys() == wanted.keys():
            return state
    for state in found:
        if state.keys() < wanted.keys():  # all that it has is wanted: tied tensors may be there once
            return state
    return max(found, key=lambda state: len(state.keys() & wanted.keys()), default=None)


def _state_dicts(read: Any, level: int = 0) -> Iterator[dict[str, Tensor]]:
    if not isinstance(read, Mapping) or level > _MOST_LEVELS:
        return
    tensors = {name: value for name, value in read.items() if not str(name).endswith(_EXTRA)}
    if tensors and all(isinstance(name, str) and isinstance(value, Tensor) for name, value in tensors.items()):
        yield tensors
    others = [name for name in read if name not in (*_NESTED, *_AVERAGED)]
    for name in (*_NESTED, *others, *_AVERAGED):
        if name in read:
            yield from _state_dicts(read[name], level + 1)


def _renamed(state: dict[str, Tensor]) -> Iterator[dict[str, Tensor]]:
    """Yield a state dict as it is, then with one more prefix that all of its names share taken away, and so on."""
    plain = {name.replace(_COMPILED, ""): value for name, value in state.items()}
    for start in (state, plain, _without_count(plain)):
        names = start
        for _ in range(_MOST_PREFIXES):
            yield names
            first = {name.partition(".")[0] for name in names}
            if len(first) != 1 or any("." not in name for name in names):
                break
            names = {name.partition(".")[2]: value for name, value in names.items()}
    yield {name.removeprefix("module."): value for name, value in state.items()}


def _without_count(state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: value for name, value in state.items() if name != _COUNT}
