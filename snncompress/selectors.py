"""The one grammar by which strategies pick layers.

A selector is a list of terms. A term is

- a role: ``synapse``, ``neuron``, ``norm``, ``stem``, ``head``, ``attention``, ``mlp``, ``attention.qk``, ``attention.v``;
- ``type:Conv2d``: the class of a module;
- anything else: a glob over module paths, ``blocks.*.mlp.*`` (``*`` crosses dots);
- any of these behind ``!``: taken away from what the terms before it picked.

A term picks modules; a module picked by a role or a glob brings the modules below it along.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from math import prod

from snncompress.errors import near

ROLES = ("synapse", "neuron", "norm", "stem", "head", "attention", "attention.qk", "attention.v", "mlp")


@dataclass(frozen=True)
class Part:
    """Describe one module to selectors: its path, class name and roles."""

    path: str
    type: str
    roles: frozenset[str]


@dataclass(frozen=True)
class Unmatched:
    """Name a term that picked nothing, and names near it."""

    term: str
    near: tuple[str, ...]


def select(terms: Sequence[str], parts: Iterable[Part]) -> tuple[frozenset[str], tuple[Unmatched, ...]]:
    """Return the paths that ``terms`` pick, and the terms that matched nothing."""
    known = tuple(parts)
    picked: set[str] = set()
    unmatched: list[Unmatched] = []
    for position, term in enumerate(terms):
        remove = term.startswith("!")
        hits = _matches(term.removeprefix("!"), known)
        if not hits:
            unmatched.append(Unmatched(term, _near_names(term.removeprefix("!"), known)))
        if remove and position == 0:
            picked.update(part.path for part in known)
        picked = picked - hits if remove else picked | hits
    return frozenset(picked), tuple(unmatched)


def assign_roles(paths: Mapping[str, str], globs: Mapping[str, Sequence[str]]) -> dict[str, frozenset[str]]:
    """Give each module path the roles whose globs match it or one of its ancestors."""
    return {
        path: frozenset(role for role, patterns in globs.items() if any(_covers(pattern, path) for pattern in patterns))
        for path in paths
    }


def _matches(term: str, parts: Sequence[Part]) -> set[str]:
    if term.startswith("type:"):
        return {part.path for part in parts if fnmatchcase(part.type, term.removeprefix("type:"))}
    if term in ROLES:
        return {part.path for part in parts if any(role == term or role.startswith(term + ".") for role in part.roles)}
    return {part.path for part in parts if _covers(term, part.path)}


def _covers(pattern: str, path: str) -> bool:
    pieces = path.split(".")
    return any(fnmatchcase(".".join(pieces[: end + 1]), pattern) for end in range(len(pieces)))


def _near_names(term: str, parts: Sequence[Part]) -> tuple[str, ...]:
    if term.startswith("type:"):
        return tuple(f"type:{name}" for name in near(term.removeprefix("type:"), {part.type for part in parts}))
    roles = {role for part in parts for role in part.roles}
    return tuple(near(term, {part.path for part in parts if part.path} | roles))


_ADDED = ("bias", "pos_embed", "cls_token", "reg_token")
"""What the names of parameters say that are added to activations or stand beside them, and multiply none."""


def is_weight(name: str, shape: Sequence[int]) -> bool:
    """Tell whether a parameter is a matrix of weights, by its name and shape.

    Tables of biases and embeddings are added. What has one axis of more than one entry, a gain [C, 1, 1, 1] or a scale of
    time steps, multiplies one index at a time.
    """
    leaf = name.rpartition(".")[2]
    return sum(size > 1 for size in shape) > 1 and not any(word in leaf for word in _ADDED)


@dataclass(frozen=True)
class TensorPart:
    """Describe one parameter.

    Attributes:
        name: its full name, the first one where it has several.
        module: the path of its module.
        shape: its shape.
        layers: paths of the modules in which it is a synaptic weight, several where layers share it; where None, its name
            and shape tell.
    """

    name: str
    module: str
    shape: tuple[int, ...]
    layers: tuple[str, ...] | None = None

    def weighs_in(self) -> tuple[str, ...]:
        """Return the paths of the modules in which it is a synaptic weight."""
        if self.layers is not None:
            return self.layers
        return (self.module,) if is_weight(self.name, self.shape) else ()


@dataclass(frozen=True)
class Computed:
    """Say what forward computes the weight in use from: the parameters, and along which axes each slice by itself."""

    originals: tuple[str, ...]
    axes: tuple[int, ...]


@dataclass(frozen=True)
class Derived:
    """Describe a synaptic weight that is computed from other tensors, by a parametrisation or within forward.

    Attributes:
        name: of the weight as its layer uses it; of one that forward computes, the parameter that it begins with.
        module: the path of the layer.
        shape: of the weight.
        originals: the parameters that it is computed from.
        kinds: the classes of the parametrisations; none where forward computes it.
        axes: along which forward computes each slice by itself, so that it can be cut.
    """

    name: str
    module: str
    shape: tuple[int, ...]
    originals: tuple[str, ...]
    kinds: tuple[str, ...]
    axes: tuple[int, ...] = ()

    @property
    def fault(self) -> str:
        """Why it cannot be pruned, and what to do."""
        if not self.kinds:
            left = f"leave {self.module!r} out of select" if self.module else "name the layers to prune with select"
            return (
                f"forward computes the weight in use from {' and '.join(map(repr, self.originals))}, so zeros in "
                f"{self.name!r} are not zeros of the weight in use; {left}, or take the weight as it is in forward"
            )
        leaf = self.name.rpartition(".")[2]
        return (
            f"{self.name!r} is computed from {' and '.join(map(repr, self.originals))} by a parametrisation "
            f"({', '.join(self.kinds)}), so zeros there are not zeros of the weight in use; call "
            f"torch.nn.utils.parametrize.remove_parametrizations(module.get_submodule({self.module!r}), {leaf!r}) "
            "where the module is built, or leave the layer out of select"
        )


@dataclass(frozen=True)
class Inventory:
    """List the modules and parameters of a network, for selectors, without torch."""

    parts: tuple[Part, ...]
    tensors: tuple[TensorPart, ...]
    derived: tuple[Derived, ...] = ()

    def select(self, terms: Sequence[str]) -> frozenset[str]:
        """Return the paths of the modules that ``terms`` pick."""
        return select(terms, self.parts)[0]

    def unmatched(self, terms: Sequence[str]) -> tuple[Unmatched, ...]:
        """Return the terms that pick nothing, with near names."""
        return select(terms, self.parts)[1]

    def weights(self, terms: Sequence[str]) -> tuple[str, ...]:
        """Return the names of the synaptic weights in the modules that ``terms`` pick, each once."""
        picked = self._picked_synapses(terms)
        return tuple(tensor.name for tensor in self.tensors if picked.intersection(tensor.weighs_in()))

    def derived_weights(self, terms: Sequence[str]) -> tuple[Derived, ...]:
        """Return the synaptic weights in the modules that ``terms`` pick which are computed, or that others are computed from."""
        picked = self._picked_synapses(terms)
        return tuple({one.name: one for one in self.derived if one.module in picked}.values())

    def _picked_synapses(self, terms: Sequence[str]) -> frozenset[str]:
        return self.select(terms) & {part.path for part in self.parts if "synapse" in part.roles}

    def inner_terms(self) -> tuple[str, ...]:
        """Return a selector for all synapses but those of the stem and the head, where the network names them."""
        named = {role for part in self.parts for role in part.roles}
        return ("synapse", *(f"!{role}" for role in ("stem", "head") if role in named))

    def num_parameters(self) -> int:
        """Return the number of parameters."""
        return sum(prod(tensor.shape) for tensor in self.tensors)
