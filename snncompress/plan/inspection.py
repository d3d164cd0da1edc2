"""What a network consists of, seen without reading weights or data."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from snncompress.components import Inputs
from snncompress.errors import InputError, ModelError
from snncompress.pipeline import load_pipeline, read_model
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
    network = _open(reference, host, _inputs(shape, num_classes), overrides, allow_code=allow_code)
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


def _open(reference: str, host: Host, inputs: Inputs, overrides: Sequence[str], *, allow_code: bool) -> Network:
    from snncompress.network import load_network, open_architecture

    if (Path(reference) / "network.json").is_file():
        return load_network(Path(reference), host, allow_code=allow_code, values=False)
    timesteps = None
    if reference.endswith((".yaml", ".yml")) or reference.startswith("recipe:"):
        pipeline = load_pipeline(reference, host, overrides=overrides).pipeline
        model, inputs, timesteps = pipeline.model, pipeline.data.inputs(), pipeline.timesteps
    else:
        model = read_model(reference, host, overrides=overrides)
    if model.needs_code and not allow_code:
        raise ModelError(f"{model.use!r} runs your own code; allow it with --allow-code")
    return open_architecture(model.resolved(inputs, timesteps), host, timesteps=timesteps, values=False)


def _inputs(shape: str, num_classes: int) -> Inputs:
    sizes = shape.split(",")
    if not all(size.strip().isdigit() for size in sizes) or len(sizes) not in (3, 4):
        raise InputError(f"--input should be C,H,W (or T,C,H,W for event frames), not {shape!r}")
    numbers = tuple(int(size) for size in sizes)
    return Inputs(numbers, num_classes, "static" if len(numbers) == 3 else "frames")  # noqa: PLR2004 - C, H, W


def _modules(network: Network) -> Iterator[dict[str, Any]]:
    own: dict[str, dict[str, list[int]]] = {}
    for tensor in network.inventory.tensors:
        own.setdefault(tensor.module, {})[tensor.name.rpartition(".")[2]] = list(tensor.shape)
    for part in network.inventory.parts:
        if part.path and (part.path in own or "neuron" in part.roles):
            yield {"path": part.path, "type": part.type, "roles": sorted(part.roles), "tensors": own.get(part.path, {})}
