"""Finding the state dict of a network in what a checkpoint file holds, whatever was wrapped around either."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from snncompress.errors import ModelError

_NESTED = ("state_dict", "model_state_dict", "model_state", "model", "net", "network", "module")
"""Where training programs put the state dict of the network among other things; what they call an average comes last."""

_AVERAGED = ("model_ema", "state_dict_ema", "ema_state_dict", "ema")
_COMPILED, _EXTRA, _COUNT = "_orig_mod.", "_extra_state", "n_averaged"
"""What torch.compile puts into names, what modules store besides tensors, and what AveragedModel adds."""

_MOST_LEVELS = 3
_MOST_PREFIXES = 4


@dataclass(frozen=True)
class _Found:
    """A state dict and the keys that lead to it."""

    place: tuple[str, ...]
    tensors: dict[str, Tensor]


def state_dict_in(read: Any, wanted: Mapping[str, Tensor], what: str) -> dict[str, Tensor] | None:
    """Return the state dict that fits ``wanted`` best, its names as the network has them; None where there is none.

    Names are tried as they are, then without what parallel, compiled and averaged wrappers, or a program's own, put before
    them. The first that fits is taken; where none does, the one that has most names in common.

    Raises:
        ModelError: if ``what`` holds two that fit and differ, and no usual name says which is meant.
    """
    every = [_Found(one.place, names) for one in _state_dicts(read) for names in _renamed(one.tensors)]
    if fitting := [one for one in every if one.tensors.keys() == wanted.keys()]:
        return _only(fitting, wanted, what)
    found = [one.tensors for one in every]
    for state in found:
        if state.keys() < wanted.keys():  # all that it has is wanted: tied tensors may be there once
            return state
    return max(found, key=lambda state: len(state.keys() & wanted.keys()), default=None)


def _only(fitting: Sequence[_Found], wanted: Mapping[str, Tensor], what: str) -> dict[str, Tensor]:
    """Return the first that fits; of those whose names say nothing, one that fits in its shapes too."""
    rivals = [fitting[0], *(one for one in fitting[1:] if _are_rivals(fitting[0].place, one.place))]
    shaped = [one for one in rivals if all(value.shape == wanted[name].shape for name, value in one.tensors.items())]
    first = (shaped or rivals)[0]
    if other := next((one for one in shaped if one is not first and not _equal(one.tensors, first.tensors)), None):
        names = " and ".join(repr(".".join(one.place)) for one in (first, other))
        raise ModelError(
            f"{what} holds two state dicts that fit the network and differ, {names}; save the one that is meant: "
            "torch.save(module.state_dict(), ...)"
        )
    return first.tensors


def _are_rivals(one: Sequence[str], other: Sequence[str]) -> bool:
    """Tell whether two places part at names that do not say which of them holds the network."""
    parting = next(((a, b) for a, b in zip(one, other, strict=False) if a != b), None)
    return parting is not None and not {*parting} & {*_NESTED, *_AVERAGED}


def _equal(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> bool:
    return all(torch.equal(value, other[name]) for name, value in one.items())


def _state_dicts(read: Any, place: tuple[str, ...] = ()) -> Iterator[_Found]:
    if not isinstance(read, Mapping) or len(place) > _MOST_LEVELS:
        return
    tensors = {name: value for name, value in read.items() if not str(name).endswith(_EXTRA)}
    if tensors and all(isinstance(name, str) and isinstance(value, Tensor) for name, value in tensors.items()):
        yield _Found(place, tensors)
    others = [name for name in read if name not in (*_NESTED, *_AVERAGED)]
    for name in (*_NESTED, *others, *_AVERAGED):
        if name in read:
            yield from _state_dicts(read[name], (*place, str(name)))


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
