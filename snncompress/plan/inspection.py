"""What a network consists of, seen without reading weights or data."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from snncompress.plan.reference import inputs_of, open_reference
from snncompress.plugins import Host

if TYPE_CHECKING:
    from snncompress.network import Network


@dataclass(frozen=True)
class Inspection:
    """The parts of a network: how it runs in time, its neurons, its modules with roles and tensors."""

    reference: dict[str, Any]
    time: dict[str, Any]
    num_parameters: int
    neurons: dict[str, int]
    unknown: tuple[str, ...]
    edits: tuple[str, ...]
    modules: tuple[dict[str, Any], ...]

    def to_json(self) -> dict[str, Any]:
        """Return the inspection as JSON data."""
        return dict(vars(self))

    def as_text(self) -> str:
        """Return the inspection as lines of text."""
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        settings = ", ".join(f"{name}={value}" for name, value in self.reference.items() if name != "use")
        yield f"{self.reference['use']} ({settings})" if settings else str(self.reference["use"])
        yield f"time: runner {self.time['runner']}, T {self.time['T']}, input {self.time['input']}, output {self.time['output']}"
        yield f"parameters: {self.num_parameters:,}"
        yield "neurons: " + (
            ", ".join(f"{count} {kind}" for kind, count in self.neurons.items()) or "none that a backend knows"
        )
        if self.unknown:
            yield "keeps state that no backend owns: " + ", ".join(self.unknown)
        if self.edits:
            yield "edits: " + ", ".join(self.edits)
        yield ""
        width = max((len(part["path"]) for part in self.modules), default=0)
        for part in self.modules:
            tensors = ", ".join(f"{name} {'x'.join(map(str, shape))}" for name, shape in part["tensors"].items())
            yield f"{part['path']:{width}}  {part['type']:20}  {', '.join(part['roles']):24}  {tensors}".rstrip()


def inspect(
    reference: str, host: Host, *, shape: str, num_classes: int, overrides: Sequence[str] = (), allow_code: bool = False
) -> Inspection:
    """Inspect an artifact folder, a pipeline file's model, or a model reference sized for images of ``shape`` (C,H,W)."""
    inputs = inputs_of(shape, num_classes)
    network = open_reference(reference, host, inputs, overrides, allow_code=allow_code, values=False)
    kinds = Counter(f"{type(item.module).__name__} ({item.backend.name})" for item in network.neurons)
    return Inspection(
        network.source.reference,
        network.time.to_json(),
        network.inventory.num_parameters(),
        dict(kinds),
        network.owners.unknown,
        tuple(str(edit.to_json()["edit"]) for edit in network.edits),
        tuple(_modules(network)),
    )


def _modules(network: Network) -> Iterator[dict[str, Any]]:
    own: dict[str, dict[str, list[int]]] = {}
    for tensor in network.inventory.tensors:
        own.setdefault(tensor.module, {})[tensor.name.rpartition(".")[2]] = list(tensor.shape)
    for part in network.inventory.parts:
        if part.path and (part.path in own or "neuron" in part.roles):
            yield {"path": part.path, "type": part.type, "roles": sorted(part.roles), "tensors": own.get(part.path, {})}
