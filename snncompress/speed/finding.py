"""Finding the fast way through a network: what can be fused, and whether it computes the same."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, get_args

import torch
from torch import Tensor, nn

from snncompress.compilers import compiler
from snncompress.errors import InputError, ModelError, ProofError, did_you_mean
from snncompress.network import evaluating, leaving_generators
from snncompress.speed.fast import Fast, Ways
from snncompress.speed.kernels import PRECISIONS, Kernels
from snncompress.speed.layout import is_constant
from snncompress.speed.native.expressions import UntranslatableError
from snncompress.speed.native.library import native_norm, native_rule
from snncompress.speed.proving import difference
from snncompress.speed.rule import Fusible
from snncompress.speed.structure import Structure, structure_of

if TYPE_CHECKING:
    from snncompress.components import Backend
    from snncompress.network import Network

Path = Literal["reference", "fused", "compiled"]

_PROBED, _PROBED_OF_LARGE, _LARGE = 8, 2, 1_000_000
"""Samples on which ways are compared, and of a network of so many parameters: in float64 that takes its time."""


@dataclass(frozen=True)
class Acceleration:
    """Say what was found for one network.

    Attributes:
        network: forward takes the fast way where there is one.
        path: ``reference`` where there is none.
        layers: how each neuron, norm and convolution runs, by path.
        remarks: what is not done, and why.
        ways: what is taken; None where nothing is.
        modes: whether it is taken in training, and in evaluation.
        num_kernels: how many kernels were compiled; none where they were compiled before, on this machine.
        compile_seconds: how long that took.
    """

    network: Network
    path: Path
    layers: Mapping[str, str]
    remarks: tuple[str, ...] = ()
    ways: Ways | None = None
    modes: frozenset[bool] = frozenset()
    num_kernels: int = 0
    compile_seconds: float = 0.0

    def to_json(self) -> dict[str, Any]:
        """Return what was found as JSON data: the layers by how they run, and what is not done and why."""
        by_way: dict[str, list[str]] = {}
        for layer, how in self.layers.items():
            by_way.setdefault(how, []).append(layer)
        return {"path": self.path, "layers": by_way, "remarks": list(self.remarks)}


def accelerated(network: Network, path: Path = "fused", *, probe: Tensor | None = None) -> Network:
    """Return the network with a ``forward`` that takes the fast way: the same module, the same results, sooner.

    Every way is first compared with the network's own in float64, on a few samples of ``probe`` (or of the network's
    own probe), in training and in evaluation; what differs is not taken.

    Args:
        network: the network; its module is shared, and trains as before.
        path: ``fused`` in pure torch; ``compiled``, which needs a C compiler; ``reference``, the library's own way.
        probe: a batch as ``forward`` takes it.

    Raises:
        InputError: if the path is unknown.
        ModelError: if no batch is given, or no compiler is found for ``compiled``.
    """
    return acceleration(network, path, probe=probe).network


def acceleration(
    network: Network, path: Path, *, probe: Tensor | None = None, known: Acceleration | None = None
) -> Acceleration:
    """Find the fast way and say what it is; see ``accelerated``.

    ``known`` is what was found for a network of the same structure: it is then taken without another proof.
    """
    if path not in get_args(Path):
        raise InputError(f"the path {path!r} is unknown; {did_you_mean(path, get_args(Path))}")
    own = replace(network, fast=None)
    if path == "reference":
        return Acceleration(own, path, {}, ("switched off",))
    if path == "compiled" and compiler() is None:
        raise ModelError("no C compiler is found: install gcc, or choose the path 'fused'")
    x = probe if probe is not None else network.probe
    if x is None:
        raise ModelError("a probe batch is needed to compare the fast way: accelerated(network, probe=x)")
    if network.time.runner == "none" or not network.neurons:
        return Acceleration(own, "reference", {}, ("it has no spiking neuron",))
    with torch.inference_mode(mode=False):  # where nothing could be derived
        return _taken_again(own, known, _few(own, x)) if known else _found(own, path, _few(own, x))


def _taken_again(network: Network, known: Acceleration, x: Tensor) -> Acceleration:
    if known.ways is None:
        return replace(known, network=network)
    fast = Fast(network, _fusible(network), _structure(network, x), known.ways, known.modes)
    return replace(known, network=replace(network, fast=fast), num_kernels=0, compile_seconds=0.0)


def _found(network: Network, path: Path, x: Tensor) -> Acceleration:
    refused = dict(_refused(network))
    if network.time.runner == "per_step" and refused:
        where, why = next(iter(refused.items()))
        remark = f"steps run one by one, because of {where!r}: {why}"
        return Acceleration(network, "reference", _described(network, None, refused), (remark,))
    fusible = _fusible(network)
    if not fusible:
        return Acceleration(network, "reference", _described(network, None, refused), ("no neuron states its rule",))
    kernels = _kernels(network, path)
    started = time.monotonic()
    num_kernels = _make_ready(fusible) if kernels == "native" else 0
    seconds = time.monotonic() - started if num_kernels else 0.0
    try:
        best, modes, remarks = _best(network, x, kernels)
    except ProofError as error:
        return Acceleration(network, "reference", _described(network, None, refused), (str(error),))
    if best is None:
        return Acceleration(network, "reference", _described(network, None, refused), remarks)
    fast = Fast(network, fusible, _structure(network, x), best, modes)
    layers = _described(network, fast, refused)
    return Acceleration(replace(network, fast=fast), path, layers, remarks, best, modes, num_kernels, seconds)


def _best(network: Network, x: Tensor, kernels: Kernels) -> tuple[Ways | None, frozenset[bool], tuple[str, ...]]:
    """Return the fastest ways that are equal in most modes, those modes, and how the others differ."""
    best: Ways | None = None
    modes: frozenset[bool] = frozenset()
    remarks: list[str] = []
    for ways in _candidates(kernels, once=_batch_of(network, x) > 1):
        faults = {training: _fault(network, x, ways, training=training) for training in (True, False)}
        equal = frozenset(training for training, fault in faults.items() if not fault)
        if len(equal) > len(modes):
            best, modes = ways, equal
        if len(modes) == len(faults):
            break
        spoken = "; ".join(f"{'training' if mode else 'evaluation'}: {why}" for mode, why in faults.items() if why)
        remarks.append(f"{ways.named()}: {spoken}")
    return best, modes, tuple(remarks)


def _make_ready(fusible: Mapping[nn.Module, tuple[Backend, Fusible]]) -> int:
    """Load what the network needs, also in the precision of the comparison, and return how many kernels were compiled."""
    rules = {(how.rule, len(how.parameters)) for _, how in fusible.values()}
    num_compiled = 0
    for rule, num_parameters in rules:
        with suppress(UntranslatableError):  # torch runs it
            for precision in PRECISIONS:
                num_compiled += native_rule(rule, num_parameters, precision).was_compiled()
    return num_compiled + sum(native_norm(precision).was_compiled() for precision in PRECISIONS)


def _kernels(network: Network, path: Path) -> Kernels:
    if path == "fused":
        return "torch"
    return "native" if network.device.type == "cpu" else "inductor"


def _candidates(kernels: Kernels, *, once: bool) -> Iterator[Ways]:
    """Yield ways, the fastest first; ``once`` needs two samples, for one sample broadcasts where many do not."""
    for repeated, linked in ((True, True), (False, True), (False, False)):
        if repeated and not once:
            continue
        yield Ways(once=repeated, linked=linked, compiled=kernels != "torch", kernels=kernels)


def _fault(network: Network, x: Tensor, ways: Ways, *, training: bool) -> str:
    proved = replace(ways, kernels="torch") if ways.kernels == "inductor" else ways  # that takes minutes in float64

    def make(other: Network) -> Fast:
        return Fast(other, _fusible(other), _structure(other, x.double()), proved)

    faults = (difference(network, make, given, training=training) for given in _forms(network, x, ways))
    return next(filter(None, faults), "")


def _forms(network: Network, x: Tensor, ways: Ways) -> list[Tensor]:
    """Return what the ways are compared on: where equal steps run once, a batch of equal and one of different steps."""
    if not ways.once or network.time.input == "static" or len(x) == 1:
        return [x]
    if not is_constant(x):
        return [x[:1].expand_as(x), x]
    return [x, torch.stack([x_B * (1 - step / (2 * len(x))) for step, x_B in enumerate(x)])]


def _structure(network: Network, x: Tensor) -> Structure:
    """Watch one batch, in evaluation, from a cleared state."""
    network.reset()
    with evaluating(network.module), leaving_generators():
        return structure_of(network, x[0] if network.time.runner == "per_step" else x)


def _batch_of(network: Network, x: Tensor) -> int:
    return len(x) if network.time.input == "static" else x.shape[1]


def _few(network: Network, x: Tensor) -> Tensor:
    large = sum(value.numel() for value in network.module.parameters()) > _LARGE
    count = _PROBED_OF_LARGE if large else _PROBED
    return x[:count] if network.time.input == "static" else x[:, :count]


def _fusible(network: Network) -> dict[nn.Module, tuple[Backend, Fusible]]:
    stated = ((item, _statement(network, item.backend, item.module)) for item in network.neurons)
    return {item.module: (item.backend, how) for item, how in stated if isinstance(how, Fusible)}


def _refused(network: Network) -> Iterator[tuple[str, str]]:
    """Yield the stateful modules that go their own way, and why."""
    for item in network.owners.owned:
        if not item.is_neuron:
            yield item.path, "it keeps state and is no spiking neuron"
        elif isinstance(how := _statement(network, item.backend, item.module), str):
            yield item.path, how
    for path in network.owners.unknown:
        yield path, "no backend knows it"


def _statement(network: Network, backend: Backend, module: nn.Module) -> Fusible | str:
    how = backend.fusible(module)
    if isinstance(how, str):
        return how
    if network.time.runner == "per_step" and how.takes_sequence:
        return "it takes whole sequences"
    if network.time.runner != "per_step" and not how.takes_sequence:
        return "it is called step by step"
    return how


def _described(network: Network, fast: Fast | None, refused: Mapping[str, str]) -> dict[str, str]:
    if fast is None:
        return {path: f"its own way: {why}" for path, why in refused.items()}
    found = {path: fast.described(module) for path, module in network.module.named_modules()}
    return {path: how for path, how in found.items() if how} | {
        path: f"its own way: {why}" for path, why in refused.items()
    }
