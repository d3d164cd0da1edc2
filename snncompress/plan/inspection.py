"""What a network consists of, seen without reading weights or data."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from snncompress.compilers import compiler
from snncompress.components import Inputs
from snncompress.errors import InputError, ModelError, SnncompressError
from snncompress.plan.blank import recognised
from snncompress.plan.reference import inputs_behind, inputs_of, is_pipeline, open_reference
from snncompress.plugins import Host, guarded

if TYPE_CHECKING:
    from snncompress.anatomy import Block
    from snncompress.network import Network
    from snncompress.speed import Acceleration, Path


_SHAPE, _NUM_CLASSES = "3,32,32", 10
"""What a model reference is sized for where nothing is said."""

_NUM_IMAGES = 8
"""Random images on which the fast way is compared with the network's own."""


@dataclass(frozen=True)
class Inspection:
    """The parts of a network: how it runs in time, its neurons, its modules with roles and tensors, how each trains.

    Attributes:
        blocks: what was recognised, and the inner dimensions that can be cut, a line each.
        speed: the fast way through it: ``path`` and ``remarks``; each module says its own under ``runs``.
    """

    reference: dict[str, Any]
    time: dict[str, Any]
    num_parameters: int
    neurons: dict[str, int]
    unknown: tuple[str, ...]
    edits: tuple[str, ...]
    blocks: tuple[str, ...]
    modules: tuple[dict[str, Any], ...]
    speed: dict[str, Any]

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
        yield from (f"block: {block}" for block in self.blocks)
        yield f"training: {self.speed['path']}" + "".join(f"; {remark}" for remark in self.speed["remarks"])
        yield ""
        width = max((len(part["path"]) for part in self.modules), default=0)
        for part in self.modules:
            tensors = ", ".join(f"{name} {'x'.join(map(str, shape))}" for name, shape in part["tensors"].items())
            runs = f"[{part['runs']}]" if part["runs"] else ""
            yield f"{part['path']:{width}}  {part['type']:20}  {', '.join(part['roles']):24}  {tensors}  {runs}".rstrip()


def inspect(
    reference: str,
    host: Host,
    *,
    shape: str | None = None,
    num_classes: int | None = None,
    overrides: Sequence[str] = (),
    allow_code: bool = False,
) -> Inspection:
    """Inspect an artifact folder, a run's, a pipeline file's model, or a model reference sized for images of ``shape``.

    A pipeline file and a run know the sizes of their data; elsewhere ``shape`` (C,H,W) is 3,32,32 by default, for 10 classes.
    """
    inputs = _inputs(reference, host, shape, num_classes, overrides, allow_code=allow_code)
    found = _fast_way(reference, host, inputs, overrides, allow_code=allow_code)
    network = open_reference(reference, host, inputs, overrides, allow_code=allow_code, values=False)
    kinds = Counter(f"{type(item.module).__name__} ({item.backend.name})" for item in network.neurons)
    return Inspection(
        network.source.reference,
        network.time.to_json(),
        network.inventory.num_parameters(),
        dict(kinds),
        network.owners.unknown,
        tuple(str(edit.to_json()["edit"]) for edit in network.edits),
        tuple(map(str, _blocks(network, Inputs(_shape(network, inputs), inputs.num_classes)))),
        tuple(_modules(network, found.layers)),
        {"path": found.path, "remarks": list(found.remarks)},
    )


def _inputs(
    reference: str,
    host: Host,
    shape: str | None,
    num_classes: int | None,
    overrides: Sequence[str],
    *,
    allow_code: bool,
) -> Inputs:
    known = inputs_behind(reference, host, overrides, allow_code=allow_code)
    if known is None or (not is_pipeline(reference) and (shape, num_classes) != (None, None)):
        return inputs_of(shape or _SHAPE, num_classes or _NUM_CLASSES)
    if (shape, num_classes) != (None, None):
        raise InputError(f"{reference!r} brings data of its own; --input and --classes size a model reference")
    return known


def _fast_way(
    reference: str, host: Host, inputs: Inputs, overrides: Sequence[str], *, allow_code: bool
) -> Acceleration:
    """Find the fast way through the network on random images, as a run finds it on its data."""
    import torch

    from snncompress.network import leaving_generators
    from snncompress.speed import Acceleration, acceleration

    with leaving_generators():
        network = open_reference(reference, host, inputs, overrides, allow_code=allow_code)
        images = torch.rand(_NUM_IMAGES, *_shape(network, inputs))
        x = images if network.time.input == "static" else images.expand(network.time.T, *images.shape)
        path: Path = "compiled" if compiler() else "fused"
        try:
            return guarded(lambda: acceleration(network, path, probe=x), "trying the fast way", ModelError)
        except SnncompressError as error:
            return Acceleration(network, "reference", {}, (str(error),))


def _blocks(network: Network, inputs: Inputs) -> tuple[Block, ...]:
    """Return what is recognised of a network that takes images of this shape; nothing where it takes none."""
    try:
        return recognised(network, inputs)
    except SnncompressError:
        return ()


def _shape(network: Network, inputs: Inputs) -> tuple[int, ...]:
    """Return the shape of a sample at one time step, [C, H, W] of an image: its own where the settings say it."""
    settings = network.source.reference
    if "in_channels" in settings and settings.get("image_size"):
        return (settings["in_channels"], *settings["image_size"])
    return inputs.shape[1:] if inputs.kind == "frames" else inputs.shape


def _modules(network: Network, ways: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    own: dict[str, dict[str, list[int]]] = {}
    for tensor in network.inventory.tensors:
        own.setdefault(tensor.module, {})[tensor.name.rpartition(".")[2]] = list(tensor.shape)
    for part in network.inventory.parts:
        if part.path and (part.path in own or "neuron" in part.roles):
            yield {
                "path": part.path,
                "type": part.type,
                "roles": sorted(part.roles),
                "tensors": own.get(part.path, {}),
                "runs": ways.get(part.path, ""),
            }
