"""What one batch shows of a network before anything else is done with it.

Declared and seen are compared: what reset leaves behind, how the network runs in time, and whether another process would
build one that computes the same.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from math import isinf, isnan
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from snncompress.errors import ModelError, StateError
from snncompress.network.constants import differing_constants
from snncompress.network.leaving import evaluating, leaving_generators, unseeded_generators
from snncompress.network.proof import DOES_NOT_RUN
from snncompress.network.stepping import require_attribute_read, require_own_state, require_steps, steps_beside
from snncompress.network.tensors import tensors_in
from snncompress.plugins import guarded

if TYPE_CHECKING:
    from snncompress.network.network import Network
    from snncompress.network.output import Output

_TOLERANCE = 1e-8
"""Largest difference of sums that counts as equal, as a fraction of the sum of sizes."""

_FRAMES_REPEATED = 4
"""Dimensions of event frames [B, T, N] that were taken for still images, repeated in time: [T, B, T, N]."""

NUM_TRIED = 8
"""Samples that a network is tried on: enough for neurons to fire, too few to cost anything."""


@dataclass(frozen=True)
class Digest:
    """What is remembered of a tensor: its shape, and three sums, because every activation of a large network is too much."""

    shape: torch.Size
    total: float
    size: float
    weighted: float

    @classmethod
    def of(cls, value: Tensor) -> Digest:
        """Sum the values, their sizes, and the values times a ramp from 1 to 2, which sees where they stand."""
        flat = (torch.view_as_real(value) if value.is_complex() else value).detach().double().flatten()
        ramp = torch.linspace(1, 2, len(flat), dtype=torch.float64, device=flat.device)
        return cls(value.shape, float(flat.sum()), float(flat.abs().sum()), float(flat @ ramp))

    def same(self, other: Digest) -> bool:
        """Compare within what another order of summation moves; a spike in ten million values moves more."""
        if self.shape != other.shape:
            return False
        if isnan(self.size) or isinf(self.size):
            return repr(self) == repr(other)
        pairs = ((self.total, other.total), (self.size, other.size), (self.weighted, other.weighted))
        return all(abs(one - another) <= _TOLERANCE * self.size for one, another in pairs)


@dataclass(frozen=True)
class Call:
    """One call of a module: the tensors that it took and those that it gave."""

    path: str
    kind: str
    taken: tuple[Digest, ...]
    given: tuple[Digest, ...]

    def __str__(self) -> str:
        return f"{self.path!r} ({self.kind})" if self.path else f"the network itself ({self.kind})"


def try_out(network: Network, x: Tensor, *, split: str, rebuild: bool = False) -> Output:
    """Run a few samples of ``x`` (as ``forward`` takes them) twice and return the first output.

    Args:
        network: is left reset, its modes and the global generators as they were.
        x: a batch; up to 8 samples of it are run.
        split: where it comes from, for errors: ``training`` or ``test``.
        rebuild: whether to compare with the network that another process would build, too.

    Raises:
        StateError: if the same batch gives something else after a reset.
        ModelError: if the network changes its input, runs another number of steps than it declares, cannot run on such a batch,
            or would compute something else in another process.
    """
    few = few_of(network, x)
    given = few.clone()
    what = f"running the network on {str(x.dtype).removeprefix('torch.')} {list(x.shape)} of the {split} data"
    with leaving_generators():
        before = generators()
        output, first = _first_called(network, given, what, _frames_hint(network, x))
    _require_input_kept(few, given)
    _require_each_step(network, few, first)
    with leaving_generators():
        _, second = called(network, few.clone())
        draws = before != generators()
    if culprit := _first_difference(first, second):
        raise StateError(
            f"{culprit} answers differently to the same input after a reset: it keeps state that no backend clears, or draws "
            "from a generator of its own; keep its state where its library clears it (SpikingJelly: self.register_memory), "
            "clear it where forward begins, or provide a backend that owns it (hook snncompress_backends); noise: draw it from "
            "torch's global generator, or seed its generator where forward begins"
        )
    if rebuild:
        _require_same_elsewhere(network, few, first, draws=draws)
    return output


def few_of(network: Network, x: Tensor) -> Tensor:
    """Return a few samples, not as many as there are time steps: [B, T, C] then cannot pass for [T, B, C]."""
    axis = 0 if network.time.input == "static" else 1
    number = min(NUM_TRIED, x.shape[axis])
    if number == network.time.T > 1:
        number -= 1
    return x.narrow(axis, 0, number)


def _first_called(network: Network, x: Tensor, what: str, hint: str) -> tuple[Output, list[Call]]:
    try:
        return guarded(lambda: called(network, x), what, ModelError)
    except ModelError as error:
        if not hint:
            raise
        raise ModelError(f"{error}{hint}") from error


def called(network: Network, x: Tensor) -> tuple[Output, list[Call]]:
    """Run the network from a cleared state, in evaluation mode, and return every call of a module in the order of their ends."""
    calls: list[Call] = []
    with _recording(network.module, calls), evaluating(network.module), torch.no_grad():
        network.reset()
        output = network.forward(x)
        network.reset()
    return output, calls


@contextmanager
def _recording(root: nn.Module, calls: list[Call]) -> Iterator[None]:
    taken: list[tuple[Digest, ...]] = []

    def begins(_: nn.Module, arguments: tuple[Any, ...], named: Mapping[str, Any]) -> None:
        taken.append(tuple(map(Digest.of, tensors_in((arguments, named)))))

    with ExitStack() as stack:
        for path, module in root.named_modules():

            def ends(module: nn.Module, _: Any, output: Any, path: str = path) -> None:
                given = tuple(map(Digest.of, tensors_in(output)))
                calls.append(Call(path, type(module).__name__, taken.pop(), given))

            stack.callback(module.register_forward_pre_hook(begins, with_kwargs=True).remove)
            stack.callback(module.register_forward_hook(ends).remove)
        yield


def _first_difference(first: Sequence[Call], second: Sequence[Call]) -> Call | None:
    """Return the first call that took the same and gave something else.

    Where none did and a call took something else, the code of the module around it differs, though not in what it returns.
    """
    pairs = list(zip(first, second, strict=False))
    for one, other in pairs:
        if one.path != other.path or (_same(one.taken, other.taken) and not _same(one.given, other.given)):
            return one
    if reached := next((one for one, other in pairs if not _same(one.taken, other.taken)), None):
        around = reached.path.rpartition(".")[0]
        return next((call for call in first if call.path == around), first[-1])
    return first[-1] if len(first) != len(second) else None


def _same(one: Sequence[Digest], other: Sequence[Digest]) -> bool:
    return len(one) == len(other) and all(a.same(b) for a, b in zip(one, other, strict=True))


def _require_input_kept(few: Tensor, given: Tensor) -> None:
    if not torch.equal(few.nan_to_num(), given.nan_to_num()):
        raise ModelError(
            "forward changes its input in place (as x -= 0.5 and x.sub_(0.5) do), so whatever runs on the same batch next would "
            "see other values; let it make a new tensor: x = x - 0.5"
        )


def _require_each_step(network: Network, few: Tensor, calls: Sequence[Call]) -> None:
    require_steps(network, calls)
    require_own_state(network, few)
    if beside := steps_beside(network):
        with leaving_generators():
            try:
                _, others = called(beside, few.clone())
            except DOES_NOT_RUN:  # a part for this number of steps alone, which is read then
                return
        require_attribute_read(network, calls, beside, others)


def _frames_hint(network: Network, x: Tensor) -> str:
    """Name ``kind`` where still images were repeated whose second axis may be time."""
    time = network.time
    if (
        time.input == "static"
        or x.dim() < _FRAMES_REPEATED
        or x.shape[2] != time.T
        or not torch.equal(x[:1].expand_as(x), x)
    ):
        return ""
    return f"; if axis 1 of each batch is time ({time.T} steps), these are event frames: give kind='frames'"


def _require_same_elsewhere(network: Network, few: Tensor, calls: Sequence[Call], *, draws: bool) -> None:
    """Compare with the network that another process would build.

    A module that draws at its first call and keeps what it drew is seen because the other one runs on other generators; where
    forward draws each time, both must run on the same.
    """
    twin = network.rebuilt()
    with leaving_generators() if draws else unseeded_generators():
        _, others = called(twin, few.clone())
    culprit = _first_difference(calls, others)
    if culprit is None or _same_in_float64(network, twin, few):
        return
    held = next(_differing_values(network.module, twin.module), "")
    raise ModelError(
        f"another process would build a network that computes something else, although every stored tensor is equal: {culprit} "
        f"answers differently{held}; set where the module is built what the module in hand was given later, and keep values "
        "that it draws in the state dict: self.register_buffer(NAME, ...)"
    )


def _same_in_float64(network: Network, twin: Network, few: Tensor) -> bool:
    """Compare where rounding cannot turn a spike: in float32 tensors that lie otherwise in memory may do that."""
    try:
        with leaving_generators():
            _, calls = called(network.in_float64(), few.double())
        with leaving_generators():
            _, others = called(twin.in_float64(), few.double())
    except DOES_NOT_RUN:  # a constant in float32, say: the difference stands
        return False
    return _first_difference(calls, others) is None


def _differing_values(module: nn.Module, twin: nn.Module) -> Iterator[str]:
    """Yield what two modules hold that is not the same: arrays, and numbers in attributes."""
    yield from (f", and its {name!r} differs" for name in differing_constants(module, twin))
    others = dict(twin.named_modules())
    for path, part in module.named_modules():
        for name, value in vars(part).items():
            other = getattr(others.get(path), name, value)
            if isinstance(value, (bool, int, float)) and isinstance(other, (bool, int, float)) and value != other:
                yield f", and its {f'{path}.{name}'.removeprefix('.')!r} is {other!r} there and {value!r} here"


def generators() -> tuple[Any, ...]:
    """Return the state of the global generators, to see whether anything draws from them."""
    drawn: Any = np.random.get_state(legacy=False)  # noqa: NPY002 - libraries draw from it
    of_numpy = drawn["state"]["key"].tobytes(), drawn["state"]["pos"], drawn["gauss"]
    return torch.get_rng_state().numpy().tobytes(), random.getstate(), of_numpy
