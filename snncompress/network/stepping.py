"""Whether a network takes as many steps as it declares, and hands its state from one step to the next."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from inspect import Parameter, signature
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from snncompress.errors import ModelError, did_you_mean
from snncompress.network.edits import Timesteps
from snncompress.network.leaving import evaluating, leaving_generators
from snncompress.network.proof import DOES_NOT_RUN
from snncompress.network.tensors import tensors_in

if TYPE_CHECKING:
    from snncompress.network.network import Network
    from snncompress.network.time import Time
    from snncompress.network.trial import Call

_NAMES_OF_STATE = ("mem", "state", "hidden", "syn", "volt")


def require_attribute(module: nn.Module, time: Time) -> None:
    """Raise ModelError where a module has no attribute of the name that its declaration gives the number of steps."""
    if time.attribute is None:
        return
    path, _, leaf = time.attribute.rpartition(".")
    parts = dict(module.named_modules())
    if path not in parts:
        raise ModelError(f"attribute {time.attribute!r}: the module has no part {path!r}; {did_you_mean(path, parts)}")
    if not hasattr(parts[path], leaf):
        known = [name for name, value in vars(parts[path]).items() if type(value) is int and not name.startswith("_")]
        raise ModelError(
            f"attribute {time.attribute!r}: the module has no attribute {leaf!r} that could hold its number of steps; "
            f"{did_you_mean(leaf, known)}"
        )


def require_steps(network: Network, calls: Sequence[Call]) -> None:
    """Raise ModelError where the neurons show another number of steps than the network declares."""
    counts = _neuron_calls(network, calls)
    if not counts or network.time.T == 1:
        return
    if network.time.runner == "inside" and min(counts.values()) > 1:
        _require_loop(network.time, counts)
    if network.time.runner == "per_step":
        _require_single_steps(network.time, counts, calls)


def _neuron_calls(network: Network, calls: Sequence[Call]) -> Counter[str]:
    """Return how often each neuron was called."""
    neurons = {item.path for item in network.neurons}
    return Counter(call.path for call in calls if call.path in neurons)


def _require_loop(time: Time, counts: Counter[str]) -> None:
    if all(number % time.T for number in counts.values()):
        path = min(counts, key=lambda name: counts[name])
        raise ModelError(
            f"the network declares T={time.T}, but its neuron {path!r} runs {counts[path]} times; "
            "declare the number of steps that forward loops over"
        )


def _require_single_steps(time: Time, counts: Counter[str], calls: Sequence[Call]) -> None:
    """Tell a loop over time inside a step from a neuron that is used several times: the loop begins with the same again."""
    ends = [index for index, call in enumerate(calls) if not call.path]
    if len(ends) != time.T or any(number % time.T**2 for number in counts.values()):
        return
    step = calls[: ends[0]]
    often = Counter(call.path for call in step)
    first = next(call for call in step if often[call.path] % time.T == 0)
    if all(_same(call, first) for call in step if call.path == first.path):
        path = min(counts, key=lambda name: counts[name])
        raise ModelError(
            f"the network declares T={time.T} and runner 'per_step', but its neuron {path!r} runs {counts[path]} times, "
            f"{counts[path] // time.T} in each step: forward loops over time itself, so declare runner 'inside' "
            "(input='static' where it takes a still image)"
        )


def _same(one: Call, other: Call) -> bool:
    return len(one.taken) == len(other.taken) and all(a.same(b) for a, b in zip(one.taken, other.taken, strict=True))


def steps_beside(network: Network) -> Network | None:
    """Return a network whose steps have been changed with another number of them, to see that its attribute is read."""
    time = network.time
    changed = any(isinstance(edit, Timesteps) for edit in network.edits)
    if time.runner != "inside" or time.output != "averaged" or not time.attribute or not time.settable or not changed:
        return None
    fresh = network.copy()
    other = time.T - 1 if time.T > 1 else 2
    module, now = Timesteps(other).perform(fresh.module, time, network.host)
    return replace(fresh, module=module, time=now)


def require_attribute_read(network: Network, calls: Sequence[Call], beside: Network, others: Sequence[Call]) -> None:
    """Raise ModelError where another value of the attribute changes nothing about how often the neurons run."""
    counts, there = _neuron_calls(network, calls), _neuron_calls(network, others)
    if counts and counts == there:
        path = min(counts, key=lambda name: counts[name])
        raise ModelError(
            f"the number of steps has been set in {network.time.attribute!r}, but forward does not read it: neuron {path!r} "
            f"runs {counts[path]} times with {network.time.T} and with {beside.time.T}; name the attribute that the loop in "
            "forward reads, or declare settable=False"
        )


def require_own_state(network: Network, x: Tensor) -> None:
    """Raise ModelError where a step would have to be given what the step before returned, which per_step does not do.

    It is seen by what happens: forward is run with what it returned, and without it.
    """
    if network.time.runner != "per_step" or len(x) == 1:
        return
    with evaluating(network.module), leaving_generators(), torch.no_grad():
        for names, values in _handed_on(network, x):
            if _is_state(network, x, names, values):
                raise ModelError(
                    f"forward takes {names[0]!r} and returns it for the next step, but runner 'per_step' hands nothing on: "
                    "each step would begin anew; loop over time inside forward and declare runner 'inside', or let the "
                    "neurons keep their state (snnTorch: init_hidden=True)"
                )
    network.reset()


def _handed_on(network: Network, x: Tensor) -> Iterator[tuple[list[str], slice]]:
    """Yield the optional arguments of forward and which of the values beside the output could be meant for them."""
    names = [name for name, one in list(signature(network.module.forward).parameters.items())[1:] if _is_optional(one)]
    network.reset()
    beside = len(_beside(network.module(x[0])))
    if not names or not beside:
        return
    number = min(len(names), beside)
    yield names[:number], slice(0, number)
    if beside > number:
        yield names[:number], slice(beside - number, beside)


def _is_optional(one: Parameter) -> bool:
    named = one.kind in (Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY)
    return named and (one.default is None or type(one.default) in (int, float))


def _beside(returned: Any) -> Sequence[Any]:
    return returned[1:] if isinstance(returned, (tuple, list)) else ()


def _is_state(network: Network, x: Tensor, names: list[str], values: slice) -> bool:
    """Compare the last step with and without what is handed on.

    An argument that only happens to take such values, a mask say, is not all that a step needs from the one before.
    """
    try:
        alone, _ = _last_step(network, x, None)
        handed, state = _last_step(network, x, (names, values))
        network.reset()
        with leaving_generators():
            anew = network.module(x[-1], **state)
    except (*DOES_NOT_RUN, TypeError, AttributeError):  # what it returns is not what the argument takes
        return False
    if _equal(alone, handed):
        return False
    return _equal(anew, handed) or any(word in names[0].lower() for word in _NAMES_OF_STATE)


def _last_step(network: Network, x: Tensor, handing: tuple[list[str], slice] | None) -> tuple[Any, dict[str, Any]]:
    network.reset()
    returned: Any = None
    state: dict[str, Any] = {}
    with leaving_generators():
        for number, x_B in enumerate(x):
            if number and handing:
                names, values = handing
                state = dict(zip(names, _beside(returned)[values], strict=True))
            returned = network.module(x_B, **state)
    return returned, state


def _equal(one: Any, other: Any) -> bool:
    here, there = list(tensors_in(one)), list(tensors_in(other))
    return len(here) == len(there) and all(
        a.shape == b.shape and torch.allclose(a, b, equal_nan=True) for a, b in zip(here, there, strict=True)
    )
