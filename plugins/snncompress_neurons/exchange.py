"""Which neuron is exchanged for which, whether that is exact, and what was seen."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from snncompress import EditError, NeuronBackend, NeuronDescription, Offsets, Replace, listed, spike_difference
from snncompress_neurons.shapes import sample_shapes, shape_of

if TYPE_CHECKING:
    from snncompress import Network, NeuronKind, Run
    from snncompress_neurons.substitute import Substitution


@dataclass(frozen=True)
class Exchange:
    """One neuron that another takes the place of.

    Attributes:
        path: where it stands.
        old: its class.
        new: name of the kind that takes its place.
        neuron: what it is.
        obstacles: what of it the new kind cannot do; it fires alike where there are none.
    """

    path: str
    old: str
    new: str
    neuron: NeuronDescription
    obstacles: tuple[str, ...]

    def edit(self, arguments: Mapping[str, Any], *, exact: bool) -> Replace:
        """Return the edit that puts the new neuron in place; ``exact`` lets the core prove that it fires alike."""
        return Replace(self.path, self.new, {"neuron": self.neuron.to_json(), **arguments}, exact=exact)

    def noted(self) -> dict[str, Any]:
        """Return a line for the record."""
        return {"layer": self.path, "was": self.old, "is": self.new, "exact": not self.obstacles}


def exchanged(network: Network, step: Substitution, run: Run) -> Network:
    """Return the network with its neurons exchanged: proved to fire alike or, with ``approximate``, measured."""
    exchanges = exchanges_of(network.neurons, network, step)
    if not exchanges:
        raise EditError(f"selector {list(step.select)!r} picks no neuron of this network")
    changed = _begun_anew(network.edited(_edits(network, exchanges, step)), exchanges)
    run.note("substituted", [one.noted() for one in exchanges])
    if step.approximate and network.probe is not None:
        because = sorted({what for one in exchanges for what in one.obstacles})
        run.note("approximated", {"because": because, **spike_difference(network, changed, network.probe).to_json()})
    return changed


def exchanges_of(neurons: Iterable[Any], network: Network, step: Substitution) -> list[Exchange]:
    """Return which of ``neurons`` is exchanged for what; raise EditError with every one that cannot be, or may not."""
    picked, kinds = network.inventory.select(step.select), step.kinds(network.host)
    found: list[Exchange] = []
    unknown: dict[str, list[str]] = {}
    for item in neurons:
        if item.path in picked:
            one = _exchange(item, kinds, step)
            if isinstance(one, str):
                unknown.setdefault(one, []).append(item.path)
            else:
                found.append(one)
    if unknown:
        raise EditError(f"some neurons cannot be exchanged, leave them out of `select`: {_told(unknown)}")
    if not step.approximate:
        _refuse(found)
    return found


def has_values(item: Any) -> bool:
    """Tell whether a neuron can be described: one that keeps its leak in a tensor cannot without values."""
    return not any(value.is_meta for value in item.module.state_dict().values())


def _exchange(item: Any, kinds: Mapping[str, NeuronKind], step: Substitution) -> Exchange | str:
    """Return what a neuron is exchanged for, or why it cannot be."""
    if not isinstance(item.backend, NeuronBackend):
        return f"the backend {item.backend.name!r} does not describe its neurons"
    library = step.library or item.backend.name
    if library not in kinds:
        return f"there is no neuron {library}.{step.to}"
    if faults := step.faults(kinds[library]):
        return f"{faults[0].what} in {library}"
    neuron = item.backend.describe(item.module)
    if isinstance(neuron, str):
        return neuron
    abroad = library != item.backend.name
    if abroad and neuron.more:
        return "; ".join(neuron.more)
    obstacles = list(kinds[library].obstacles(neuron, abroad=abroad))
    if neuron.by_channel and step.per == "layer":
        obstacles.append("its values differ from channel to channel, and `per: layer` gives it one")
    return Exchange(item.path, type(item.module).__name__, f"{library}.{step.to}", neuron, tuple(obstacles))


def _edits(network: Network, exchanges: Sequence[Exchange], step: Substitution) -> list[Replace]:
    kinds = step.kinds(network.host)
    shapes = sample_shapes(network, [one.path for one in exchanges])
    edits: list[Replace] = []
    for one in exchanges:
        kind = kinds[one.new.rpartition(".")[0]]
        per = step.per or (kind.per[0] if kind.per else "layer")
        learning = {
            "shape": shape_of(one.path, shapes[one.path], per),
            "num_places": max(0, len(shapes[one.path][0]) - 1),
            "learn": list(step.learn or kind.learns),
            "lr_scale": step.lr_scale or 1.0,
        }
        edits.append(one.edit(learning, exact=not step.approximate))
    return edits


def _begun_anew(network: Network, exchanges: Iterable[Exchange]) -> Network:
    """Return the network with the offsets of new neurons in every snapshot: earlier ones counted from another start."""
    placed = {network.module.get_submodule(one.path) for one in exchanges}
    named = network.module.named_modules(remove_duplicate=False)
    places = {path for path, part in named if part in placed and isinstance(part, Offsets)}
    now = {name: value for name, value in network.tensors.items() if name.rpartition(".")[0] in places}
    snapshots = {
        label: {**kept, **{name: value.detach().clone() for name, value in now.items()}}
        for label, kept in network.snapshots.items()
    }
    return replace(network, snapshots=snapshots)


def _refuse(exchanges: Iterable[Exchange]) -> None:
    reasons: dict[str, list[str]] = {}
    for one in exchanges:
        for what in one.obstacles:
            reasons.setdefault(what, []).append(one.path)
    if reasons:
        raise EditError(f"this would compute something else; allow it with `approximate: true`: {_told(reasons)}")


def _told(reasons: Mapping[str, Sequence[str]]) -> str:
    """Say each reason once, with the layers that it holds for."""
    return "; ".join(f"{listed(list(map(repr, paths)), 3)}: {what}" for what, paths in reasons.items())
