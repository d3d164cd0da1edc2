"""Which weights reach their products as something that forward computes from them, so that zeros in them are not zeros in use.

Standardised weights, softplus(w) and base + B @ A are such. What keeps zeros where they are, such as w * mask or w.t(), is not.
One batch shows it: of two runs, each with the other half of a weight at zero, one leaves an entry in use at zero that follows
from the weight at all.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import ExitStack
from types import CodeType
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from snncompress.network.leaving import evaluating, leaving_generators
from snncompress.network.tensors import place_in_memory, tensors_in
from snncompress.network.usage import FOREIGN, SUMMED, few, unclear
from snncompress.network.weights import fan_in_of_layer
from snncompress.selectors import Computed

if TYPE_CHECKING:
    from snncompress.network.network import Network

Met = tuple[frozenset[str], Tensor]
"""The parameters that an operand of a product was computed from, and the operand."""

_NUM_AXES = 2
"""Channels are cut along the first two axes of a weight: its outputs and its inputs."""


def computed_by_forward(network: Network, names: Sequence[str]) -> dict[str, Computed]:
    """Return how the weight in use is computed from those of ``names``, weights in the network, that no product takes as they are.

    Nothing where there is no probe with values, or where every weight belongs to a layer of torch's that uses it as it is.
    The network's state is cleared.
    """
    if network.probe is None or network.device.type == "meta" or not may_compute(network.module, names):
        return {}
    try:
        with leaving_generators(), torch.no_grad():
            return _Trial(network, names).computed()
    except FOREIGN:
        return {}
    finally:
        network.reset()


def needs_a_batch(network: Network) -> bool:
    """Tell whether a batch may say more of which parameters are synaptic weights than layers and shapes do."""
    names = network.inventory.weights(("*",))
    return bool(unclear(network, names)) or may_compute(network.module, names)


def may_compute(root: nn.Module, names: Iterable[str]) -> bool:
    """Tell whether code outside torch's own layers may take one of the weights ``names`` and compute another from it."""
    if any(_is_of_own(root, name) for name in names):
        return True
    others = {type(module) for module in root.modules() if not uses_as_it_is(module)}
    return any(_speaks_of_weights(kind) for kind in others)


def uses_as_it_is(module: nn.Module) -> bool:
    """Tell whether a module runs torch's own code on its weights: a class of torch's, or one that calls it with its inputs.

    Such a class neither names weights in its methods nor has a product of its own.
    """
    own = dict(pair for kind in reversed(_own_classes(type(module))) for pair in vars(kind).items())
    if "forward" in vars(module) or "_conv_forward" in own or "weight" in own or _speaks_of_weights(type(module)):
        return False
    return "forward" not in own or "super" in _words(own["forward"].__code__)


def _is_of_own(root: nn.Module, name: str) -> bool:
    path, _, leaf = name.rpartition(".")
    module = root.get_submodule(path)
    return fan_in_of_layer(module, leaf) is None or not uses_as_it_is(module)


def _own_classes(kind: type[nn.Module]) -> list[type]:
    return [one for one in kind.__mro__ if not one.__module__.startswith("torch.nn.modules.")]


def _speaks_of_weights(kind: type[nn.Module]) -> bool:
    methods = (pair for one in _own_classes(kind) for pair in vars(one).items() if pair[0] != "__init__")
    codes = (getattr(getattr(value, "fget", value), "__code__", None) for _, value in methods)
    return any("weight" in word for code in codes if code is not None for word in _words(code))


def _words(code: CodeType) -> Iterator[str]:
    """Yield the names and the texts in a function, and in the functions within it."""
    yield from code.co_names
    for value in code.co_consts:
        if isinstance(value, CodeType):
            yield from _words(value)
        elif isinstance(value, str):
            yield value


class _Trial:
    """Runs a network on its probe, and copies of it with weights partly at zero."""

    def __init__(self, network: Network, names: Iterable[str]) -> None:
        self.network = network
        values = dict(network.module.named_parameters())
        self.values = {name: values[name] for name in names if values[name].is_floating_point()}
        self.x = few(network)

    def computed(self) -> dict[str, Computed]:
        """Return the weights whose zeros are not zeros in use, and with each all that the operand was computed from."""
        seen = self._watched()
        groups = {names for names, _ in seen.met}
        tried = frozenset[str]().union(*groups) - seen.plain
        return _Trial(self.network.copy(), self.values)._changing(groups, tried) if tried else {}  # noqa: SLF001 - our own class

    def _changing(self, groups: AbstractSet[frozenset[str]], tried: AbstractSet[str]) -> dict[str, Computed]:
        drawn = torch.Generator().manual_seed(0)
        for value in self.network.module.parameters():  # a scale that begins at zero hides what it scales
            if value.is_floating_point():
                value.copy_(_without_zeros(value, drawn))
        lost = {name for one in _rounds(groups, tried) for name in self._lost(one)}
        axes = {name: found for one in _rounds(groups, lost) for name, found in self._axes_apart(one).items()}
        beside = {name: frozenset[str]().union(*(one for one in groups if name in one)) for name in sorted(lost)}
        return {name: Computed(tuple(sorted(others)), axes[name]) for name, others in beside.items()}

    def _lost(self, names: AbstractSet[str]) -> Iterator[str]:
        """Yield those of ``names`` that reach a product with an entry which neither half of their zeros makes zero."""
        drawn = torch.Generator().manual_seed(0)
        alive = {name: self.values[name] for name in names}
        halves = {name: (torch.rand(one.shape, generator=drawn) < 0.5).to(one.device) for name, one in alive.items()}  # noqa: PLR2004
        first = self._met_with({name: one.masked_fill(halves[name], 0) for name, one in alive.items()})
        second = self._met_with({name: one.masked_fill(~halves[name], 0) for name, one in alive.items()})
        for (found, one), (_, other) in zip(first, second, strict=True):
            if bool(((one != other) & (one != 0) & (other != 0)).any()):
                yield from found & names

    def _axes_apart(self, names: AbstractSet[str]) -> dict[str, tuple[int, ...]]:
        """Return the axes of each of ``names`` along which every slice of the weight in use follows from that slice alone.

        Other values in half of the slices then change no more than that part of the operand.
        """
        drawn = torch.Generator().manual_seed(0)
        before = self._met_with({})
        found: dict[str, tuple[int, ...]] = dict.fromkeys(names, ())
        for axis in range(_NUM_AXES):
            changed = {name: _with_another_half(self.values[name], axis, drawn) for name in names}
            after = self._met_with({name: value for name, (value, _) in changed.items()})
            for name, (_, part) in changed.items():
                pairs = [(one, other[1]) for one, other in zip(before, after, strict=True) if name in one[0]]
                if all(int((old != new).sum()) <= part * old.numel() for (_, old), new in pairs):
                    found[name] += (axis,)
        return found

    def _met_with(self, values: Mapping[str, Tensor]) -> list[Met]:
        """Return what products take where some weights have other values, which they lose again."""
        before = {name: self.values[name].clone() for name in values}
        for name, value in values.items():
            self.values[name].copy_(value)
        met = self._watched().met
        for name, value in before.items():
            self.values[name].copy_(value)
        return met

    def _watched(self) -> _Products:
        module = self.network.module
        watch = _Products(self.values, self.x, [*module.parameters(), *module.buffers()])
        self.network.reset()
        with evaluating(module), ExitStack() as stack:
            for part in module.modules():
                if fan_in_of_layer(part, "weight") is not None and uses_as_it_is(part):
                    stack.callback(part.register_forward_pre_hook(watch.enter).remove)
            with watch:
                self.network.own_way(self.x)
        return watch


def _with_another_half(value: Tensor, axis: int, drawn: torch.Generator) -> tuple[Tensor, float]:
    """Return a weight with other values in the first half of its slices along an axis, and how large a part that is."""
    count = (value.shape[axis] + 1) // 2
    changed = value.clone()
    first = changed.narrow(axis, 0, count)
    first += torch.rand(first.shape, generator=drawn).to(first)
    return changed, count / value.shape[axis]


def _without_zeros(value: Tensor, drawn: torch.Generator) -> Tensor:
    """Return a parameter whose entries are neither zero nor infinite: B of B @ A begins at zero."""
    other = torch.rand(value.shape, generator=drawn).add(0.5).to(value)
    return torch.where((value == 0) | ~value.isfinite(), other, value)


def _rounds(groups: Iterable[AbstractSet[str]], names: Iterable[str]) -> list[set[str]]:
    """Return ``names`` in sets that can be tried together: no operand is computed from two of one set."""
    rounds: list[set[str]] = []
    for name in sorted(names):
        others = set[str]().union(*(group for group in groups if name in group)) - {name}
        free = next((one for one in rounds if not one & others), None)
        if free is None:
            rounds.append(free := set())
        free.add(name)
    return rounds


class _Products(TorchDispatchMode):  # type: ignore[no-untyped-call] # torch leaves it untyped
    """Follows what is computed from weights alone into products with what depends on the input.

    Attributes:
        plain: the weights that some product took as they are, or a view of them.
        met: the other operands, with what they were computed from.
    """

    def __init__(self, tried: Mapping[str, Tensor], x: Tensor, stored: Iterable[Tensor]) -> None:
        super().__init__()  # type: ignore[no-untyped-call] # see above
        self.plain: set[str] = set()
        self.met: list[Met] = []
        self._kept = [x]
        self._live = {place_in_memory(x)}
        self._stored = {place_in_memory(value) for value in stored}
        self._weights = {place_in_memory(value): name for name, value in tried.items()}
        self._from = {place: frozenset([name]) for place, name in self._weights.items()}

    def enter(self, _: nn.Module, given: tuple[Any, ...]) -> None:
        """Take what a layer of torch's is given for its input, also where it follows from parameters alone."""
        self._live |= {place_in_memory(value) for value in tensors_in(given)}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run a kernel and look at what it takes."""
        del types
        output = func(*args, **(kwargs or {}))
        given, results = list(tensors_in((args, kwargs))), list(tensors_in(output))
        self._kept += results
        places = {place_in_memory(value) for value in results}
        names = frozenset[str]().union(*map(self._names, given))
        if self._is_of_inputs(func.overloadpacket.__name__, given):
            if names:
                self._look(_factors(func.overloadpacket.__name__, given))
            self._live |= places
        elif names:
            self._from |= {place: names | self._from.get(place, frozenset()) for place in places}
        if any(place_in_memory(value) in self._stored for value in given):
            self._stored |= places
        return output

    def _is_of_inputs(self, kernel: str, given: Sequence[Tensor]) -> bool:
        """Tell whether a kernel takes what depends on the input, or sums over what is in no state dict, such as a first state."""
        if any(place_in_memory(value) in self._live for value in given):
            return True
        sums = kernel in SUMMED or kernel == "convolution"
        return sums and any(place_in_memory(value) not in self._stored for value in _operands(kernel, given))

    def _names(self, value: Tensor) -> frozenset[str]:
        place = place_in_memory(value)
        return frozenset() if place in self._live else self._from.get(place, frozenset())

    def _look(self, factors: Iterable[Tensor]) -> None:
        for factor in factors:
            names, stored = self._names(factor), self._weights.get(place_in_memory(factor))
            if stored is not None:
                self.plain |= names
            elif names:
                self.met.append((names, factor.clone()))


def _factors(kernel: str, given: Sequence[Tensor]) -> Sequence[Tensor]:
    """Return what a kernel multiplies."""
    if kernel in SUMMED or kernel == "convolution":
        return _operands(kernel, given)
    return given[:2] if kernel in ("mul", "mul_") else ()


def _operands(kernel: str, given: Sequence[Tensor]) -> Sequence[Tensor]:
    """Return the two that a kernel of sums multiplies; what it adds is not among them."""
    return given[-2:] if kernel in SUMMED else given[:2]
