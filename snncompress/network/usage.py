"""How a network uses matrices of its own: in sums over a fan-in, entry by entry, or along time.

Shapes do not tell a scale [C, H, W] from a weight, nor a matrix that mixes time steps from one that mixes as many channels.
One batch does: every kernel shows what it multiplies, and a change of the last step alone shows which axis is time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from snncompress.errors import SnncompressError
from snncompress.network.leaving import evaluating, leaving_generators
from snncompress.network.tensors import place_in_memory, tensors_in
from snncompress.network.weights import fan_in_of_layer

if TYPE_CHECKING:
    from snncompress.network.network import Network

SUMMED = {"mm": (-1, -2), "bmm": (-1, -2), "addmm": (-1, -2), "baddbmm": (-1, -2), "mv": (-1, -1), "addmv": (-1, -1)}
"""Kernels of products: the axis that is summed over of each of their last two tensors."""

_LOOKUPS = frozenset(("embedding", "index", "index_select", "gather", "cat", "stack"))
_BY_ENTRY = frozenset(("mul", "mul_", "div", "div_", "addcmul", "lerp", "native_layer_norm", "native_group_norm"))
_COMPARING = frozenset(
    (
        *("add", "add_", "sub", "sub_", "rsub", "maximum", "minimum"),
        *("cdist", "_cdist_forward", "_euclidean_dist"),
    )
)
"""Kernels that multiply nothing, whatever shapes they take: prototypes are compared with inputs."""

FOREIGN = (
    *(RuntimeError, ValueError, LookupError, TypeError, AttributeError, AssertionError, ArithmeticError),
    SnncompressError,
)
"""What a network raises that does not run on its probe; whatever uses it next says so better."""

Sum = tuple[Tensor, tuple[int, ...]]
"""An operand of a product with a parameter, and its axes that are summed over."""


@dataclass
class Uses:
    """Hold the sums of products with each parameter, which ones met inputs entry by entry, and which in some other way."""

    sums: dict[str, list[Sum]] = field(default_factory=dict)
    by_entry: set[str] = field(default_factory=set)
    unknown: set[str] = field(default_factory=set)


def beside_by_use(network: Network, names: Sequence[str]) -> frozenset[str]:
    """Return those of ``names``, matrices in the network, that its probe shows to be no synaptic weights.

    Those are parameters that meet their input entry by entry, and those that are summed over time steps alone. Nothing where
    there is no probe with values. The network's state is cleared.
    """
    values = dict(network.module.named_parameters())
    tried = {name: values[name] for name in unclear(network, names)}
    if network.probe is None or not tried or network.device.type == "meta":
        return frozenset()
    try:
        with evaluating(network.module), leaving_generators(), torch.no_grad():
            return _beside(network, tried)
    except FOREIGN:
        return frozenset()
    finally:
        network.reset()


def unclear(network: Network, names: Sequence[str]) -> tuple[str, ...]:
    """Return those of ``names`` whose layer and shape do not tell what they are."""
    return tuple(name for name in names if _is_unclear(network, name))


def _is_unclear(network: Network, name: str) -> bool:
    """Tell whether a weight is not one of torch's layers, or has as many inputs as there are time steps."""
    path, _, leaf = name.rpartition(".")
    fan_in = fan_in_of_layer(network.module.get_submodule(path), leaf)
    return fan_in is None or (network.time.T > 1 and fan_in == network.time.T)


def _beside(network: Network, tried: Mapping[str, Tensor]) -> frozenset[str]:
    x = few(network)
    calls, watch = _Calls(network, x), _Watch(tried, [x])
    network.reset()
    with calls, watch:
        network.own_way(x)
    uses = watch.uses
    entrywise = uses.by_entry - set(uses.sums) - uses.unknown
    over_time = {name for name in uses.sums if calls.mixes_time(tried[name], name)}
    return frozenset(entrywise | over_time)


def few(network: Network) -> Tensor:
    """Return samples of the probe, another number of them than there are time steps."""
    assert network.probe is not None  # noqa: S101 - the caller asked
    count = 2 if network.time.T != 2 else 3  # noqa: PLR2004 - two samples, unless that is the number of steps
    return network.probe[:count] if network.time.input == "static" else network.probe[:, :count]


class _Calls:
    """Keeps what modules with time in front were given, and runs them again with another last step."""

    def __init__(self, network: Network, x: Tensor) -> None:
        self.network = network
        self.front = (network.time.T, x.shape[0 if network.time.input == "static" else 1])
        self.given: dict[str, tuple[tuple[Any, ...], dict[str, Any]]] = {}
        self._whole = (x,)
        self._stack = ExitStack()

    def __enter__(self) -> None:
        for path, module in self.network.module.named_modules():
            handle = module.register_forward_pre_hook(self._keeper(path), with_kwargs=True)
            self._stack.callback(handle.remove)

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _keeper(self, path: str) -> Any:
        def keep(_: nn.Module, given: tuple[Any, ...], named: dict[str, Any]) -> None:
            if given and isinstance(given[0], Tensor) and _leads(given[0], self.front):
                self.given.setdefault(path, (given, named))

        return keep

    def mixes_time(self, value: Tensor, name: str) -> bool:
        """Tell whether every sum over a parameter runs over time steps: after another last step only those entries differ.

        The innermost module around it that is given all steps is run again; where none is, the network repeats its input
        itself, and the first tensor of all steps is changed.
        """
        steps = self.network.time.T
        if steps == 1:
            return False
        path = next((one for one in _ancestors(name) if one in self.given), None)
        given, named = (self._whole, {}) if path is None else self.given[path]
        other = given if path is None else (_other_end(given[0]), *given[1:])
        before = self._sums(path or "", given, named, _Watch({name: value}, [given[0]]))
        change = self.front if path is None else None
        after = self._sums(path or "", other, named, _Watch({name: value}, [other[0]], change))
        pairs = list(zip(before, after, strict=True))
        return bool(pairs) and all(_differs_last(one, two, steps) for one, two in pairs)

    def _sums(self, path: str, given: tuple[Any, ...], named: dict[str, Any], watch: _Watch) -> list[Sum]:
        self.network.reset()
        with watch:
            self.network.module.get_submodule(path)(*given, **named)
        return [one for sums in watch.uses.sums.values() for one in sums]


def _leads(x: Tensor, front: tuple[int, int]) -> bool:
    """Tell whether a tensor holds all steps of all samples, time first."""
    return x.is_floating_point() and x.shape[:2] == front


def _other_end(x: Tensor) -> Tensor:
    """Return a tensor whose last step is another one."""
    noise = torch.randn(x[-1].shape, generator=torch.Generator().manual_seed(0)).to(x)
    return torch.cat([x[:-1], (x[-1] + noise)[None]])


def _ancestors(name: str) -> Iterator[str]:
    """Yield the path of a parameter's module, and those of the modules around it, the root last."""
    path = name
    while path:
        path = path.rpartition(".")[0]
        yield path


def _differs_last(one: Sum, other: Sum, steps: int) -> bool:
    """Tell whether two operands differ, and only in the last of ``steps`` entries of an axis that is summed over."""
    (before, axes), (after, _) = one, other
    if before.shape != after.shape:
        return False
    for axis in axes:
        at = axis % before.dim()
        if before.shape[at] != steps:
            return False
        differing = (before != after).movedim(at, 0).flatten(1).any(1)
        if not bool(differing[-1]) or bool(differing[:-1].any()):
            return False
    return True


class _Watch(TorchDispatchMode):  # type: ignore[no-untyped-call] # torch leaves it untyped
    """Follows what depends on the input and what follows from parameters alone, by the memory that it lies in."""

    def __init__(
        self, tried: Mapping[str, Tensor], live: Sequence[Tensor], change: tuple[int, int] | None = None
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call] # see above
        self.uses = Uses()
        self._change = change
        self._kept: list[Tensor] = [*live]
        self._live = {place_in_memory(x) for x in live}
        self._from = {place_in_memory(value): {name} for name, value in tried.items()}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run a kernel and look at what it takes."""
        del types
        output = func(*args, **(kwargs or {}))
        given = list(tensors_in((args, kwargs)))
        if (
            self._change
            and isinstance(output, Tensor)
            and _leads(output, self._change)
            and any(map(self._is_live, given))
        ):
            output, self._change = _other_end(output), None
        results = list(tensors_in(output))
        names = set().union(
            *(self._from.get(place_in_memory(value), set()) for value in given if not self._is_live(value))
        )
        self._kept += results
        if any(map(self._is_live, given)):
            if names:
                self._look(func.overloadpacket.__name__, given, results, names)
            self._live |= {place_in_memory(value) for value in results}
        elif names:
            for value in results:
                self._from.setdefault(place_in_memory(value), set()).update(names)
        return output

    def _is_live(self, value: Tensor) -> bool:
        return place_in_memory(value) in self._live

    def _look(self, kernel: str, given: Sequence[Tensor], results: Sequence[Tensor], names: set[str]) -> None:
        factors = given[-2:] if kernel in SUMMED else given[:2]
        is_factor = any(
            self._from.get(place_in_memory(value), set()) & names and not self._is_live(value) for value in factors
        )
        inputs = [value for value in given if self._is_live(value)]
        if kernel in _LOOKUPS or kernel in _COMPARING or not is_factor:
            self.uses.by_entry |= names  # looked up, compared, or added to a product
        elif kernel in SUMMED:
            position = 0 if self._is_live(factors[0]) else 1
            self._sum(names, factors[position], (SUMMED[kernel][position],))
        elif kernel == "convolution":
            weight = given[1]
            axes = (1,) if weight.shape[1] > 1 else tuple(at for at in range(2, weight.dim()) if weight.shape[at] > 1)
            self._sum(names, given[0], axes or (1,))
        elif kernel in _BY_ENTRY and results[0].numel() == inputs[0].numel():
            self.uses.by_entry |= names
        else:
            self.uses.unknown |= names  # for example an outer product, of which a sum may follow

    def _sum(self, names: set[str], operand: Tensor, axes: tuple[int, ...]) -> None:
        for name in names:
            self.uses.sums.setdefault(name, []).append((operand.detach().clone(), axes))
