"""Edits: declarative changes to a network's structure, each replayable from JSON on a freshly built module."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from snncompress.errors import EditError
from snncompress.network.time import Runner, Time
from snncompress.plugins import Host

Structure = tuple[nn.Module, Time]


class Edit(Protocol):
    """One change: ``perform`` it with values, or ``replay`` only its structure; both change the module given."""

    def perform(self, module: nn.Module, time: Time, host: Host) -> Structure:
        """Change structure and set values."""

    def replay(self, module: nn.Module, time: Time, host: Host) -> Structure:
        """Change structure alone; the values come from a file afterwards."""

    def cut(self, name: str, value: Tensor) -> Tensor:
        """Return a mask's or snapshot's tensor at its shape after the edit."""

    def to_json(self) -> dict[str, Any]:
        """Return the edit as JSON data."""


@dataclass(frozen=True)
class Cut:
    """Keep the indices ``keep`` of one tensor along ``axis``.

    With ``joined`` that many axes from there on are one, head beside channel; what goes shortens the last of them.
    """

    tensor: str
    axis: int
    keep: tuple[int, ...]
    joined: int = 1


@dataclass(frozen=True)
class Size:
    """Set one size attribute of a module, such as ``out_channels``."""

    module: str
    attribute: str
    value: int


@dataclass(frozen=True)
class Spikes:
    """Say which indices of a neuron's output remain along ``axis`` (counted in what its forward returns).

    With ``joined`` that many axes from there on are one, head beside channel. Counted from the end, an axis holds for neurons
    that are called step by step too.
    """

    neuron: str
    axis: int
    keep: tuple[int, ...]
    joined: int = 1


@dataclass(frozen=True)
class Slice:
    """Keep chosen indices along an axis of a *group* of tensors, and fix the sizes that depend on it.

    ``spikes`` tells the proof how the outputs of the neurons concerned shrink.
    """

    cuts: tuple[Cut, ...]
    sizes: tuple[Size, ...] = ()
    spikes: tuple[Spikes, ...] = ()

    def perform(self, module: nn.Module, time: Time, host: Host) -> Structure:
        """Cut every tensor of the group; raise EditError where one does not fit."""
        del host
        for cut in self.cuts:
            _cut_tensor(module, cut)
        for size in self.sizes:
            _set_size(module, size)
        return module, time

    replay = perform

    def cut(self, name: str, value: Tensor) -> Tensor:
        """Slice ``value`` along with the tensor of that name."""
        for cut in self.cuts:
            if cut.tensor == name:
                value = _keep(value, cut)
        return value

    def to_json(self) -> dict[str, Any]:
        """Return the slice as JSON data."""
        return {
            "edit": "slice",
            "cuts": [
                {"tensor": cut.tensor, "axis": cut.axis, "keep": list(cut.keep), "joined": cut.joined}
                for cut in self.cuts
            ],
            "sizes": [{"module": size.module, "attribute": size.attribute, "value": size.value} for size in self.sizes],
            "spikes": [
                {"neuron": item.neuron, "axis": item.axis, "keep": list(item.keep), "joined": item.joined}
                for item in self.spikes
            ],
        }


@dataclass(frozen=True)
class Replace:
    """Put a registered module in the place of the subtree at ``path`` (``""`` is the root).

    ``module`` names a builder of the hook ``snncompress_modules``; ``arguments`` are JSON and, together with the old
    structure, decide the new one. A module that stands in several places is replaced in all of them. ``exact`` claims equal
    outputs and spikes: the core then proves it.
    """

    path: str
    module: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    exact: bool = False

    def perform(self, module: nn.Module, time: Time, host: Host) -> Structure:
        """Build the new module and transfer the values of the old one."""
        return self._put(module, time, host, transfer=True)

    def replay(self, module: nn.Module, time: Time, host: Host) -> Structure:
        """Build the new module with whatever values it starts from."""
        return self._put(module, time, host, transfer=False)

    def cut(self, name: str, value: Tensor) -> Tensor:
        """Return ``value`` unchanged: no tensor changes its shape under its old name."""
        del name
        return value

    def to_json(self) -> dict[str, Any]:
        """Return the replacement as JSON data."""
        return {
            "edit": "replace",
            "path": self.path,
            "module": self.module,
            "arguments": dict(self.arguments),
            "exact": self.exact,
        }

    def _put(self, module: nn.Module, time: Time, host: Host, *, transfer: bool) -> Structure:
        old = submodule(module, self.path)
        builder = host.make("modules", self.module)
        new: nn.Module = builder.build(old, self.arguments)
        if transfer:
            builder.transfer(old, new)
            new.to(next((value.device for value in module.parameters()), torch.device("cpu")))
        taken_over = set(old.modules())
        for part in new.modules():
            if part not in taken_over:
                part.training = old.training
        if not self.path:
            return new, time
        for holder in list(module.modules()):
            children = holder._modules  # noqa: SLF001 - containers keep children under numbers
            children.update({name: new for name, part in children.items() if part is old})
        return module, time


@dataclass(frozen=True)
class Timesteps:
    """Change the number of time steps or how time is run."""

    T: int
    runner: Runner | None = None

    def perform(self, module: nn.Module, time: Time, host: Host) -> Structure:
        """Set T where the network keeps it; raise EditError where it cannot be set."""
        del host
        if self.T != time.T and not time.settable:
            raise EditError(f"the number of time steps of this network is fixed at {time.T}; it cannot become {self.T}")
        if time.attribute:
            parent, _, leaf = time.attribute.rpartition(".")
            if not hasattr(submodule(module, parent), leaf):
                raise EditError(f"the network has no attribute {time.attribute!r} to set its time steps")
            setattr(submodule(module, parent), leaf, self.T)
        return module, replace(time, T=self.T, runner=self.runner or time.runner)

    replay = perform

    def cut(self, name: str, value: Tensor) -> Tensor:
        """Return ``value`` unchanged."""
        del name
        return value

    def to_json(self) -> dict[str, Any]:
        """Return the change as JSON data."""
        return {"edit": "timesteps", "T": self.T, "runner": self.runner}


def edit_from_json(data: Mapping[str, Any]) -> Edit:
    """Return the edit that ``to_json`` wrote."""
    match data["edit"]:
        case "slice":
            return Slice(
                tuple(
                    Cut(cut["tensor"], cut["axis"], tuple(cut["keep"]), cut.get("joined", 1)) for cut in data["cuts"]
                ),
                tuple(Size(size["module"], size["attribute"], size["value"]) for size in data["sizes"]),
                tuple(
                    Spikes(item["neuron"], item["axis"], tuple(item["keep"]), item.get("joined", 1))
                    for item in data["spikes"]
                ),
            )
        case "replace":
            return Replace(data["path"], data["module"], dict(data["arguments"]), exact=data["exact"])
        case "timesteps":
            return Timesteps(data["T"], data["runner"])
        case unknown:
            raise EditError(f"unknown edit {unknown!r}; this artifact was written by a newer snncompress")


def submodule(root: nn.Module, path: str) -> nn.Module:
    """Return the module at ``path``; raise EditError where there is none."""
    try:
        return root.get_submodule(path)
    except AttributeError as error:
        raise EditError(f"the network has no module {path!r}") from error


def _cut_tensor(root: nn.Module, cut: Cut) -> None:
    parent, _, leaf = cut.tensor.rpartition(".")
    owner = submodule(root, parent)
    value = getattr(owner, leaf, None)
    if not isinstance(value, Tensor):
        raise EditError(f"the network has no tensor {cut.tensor!r}")
    if leaf not in owner._parameters and leaf not in owner._buffers:  # noqa: SLF001 - not public
        raise EditError(f"{cut.tensor!r} is computed from other tensors, so it cannot be cut")
    if _num_places(root, value) > 1:
        raise EditError(f"{cut.tensor!r} is used in several places, and a cut in one of them would part them")
    kept = _keep(value.detach(), cut)
    if isinstance(value, nn.Parameter):
        setattr(owner, leaf, nn.Parameter(kept, requires_grad=value.requires_grad))
    else:
        owner.register_buffer(leaf, kept, persistent=leaf not in owner._non_persistent_buffers_set)  # noqa: SLF001 - not public


def _num_places(root: nn.Module, value: Tensor) -> int:
    own = (part.named_parameters(recurse=False, remove_duplicate=False) for part in root.modules())
    return sum(other is value for named in own for _, other in named)


def _keep(value: Tensor, cut: Cut) -> Tensor:
    if not -value.dim() <= cut.axis < value.dim():
        raise EditError(f"{cut.tensor!r} of shape {list(value.shape)} has no axis {cut.axis}")
    axis = cut.axis % value.dim()
    flat = value.flatten(axis, axis + cut.joined - 1)
    size = flat.shape[axis]
    if not cut.keep or len(set(cut.keep)) != len(cut.keep) or not all(0 <= index < size for index in cut.keep):
        raise EditError(f"indices to keep of {cut.tensor!r} must be distinct, at least one, and below {size}")
    kept = flat.index_select(axis, torch.tensor(cut.keep, device=value.device)).clone()
    return torch.unflatten(kept, axis, (*value.shape[axis : axis + cut.joined - 1], -1))


def _set_size(root: nn.Module, size: Size) -> None:
    owner = submodule(root, size.module)
    if not hasattr(owner, size.attribute):
        raise EditError(f"module {size.module!r} ({type(owner).__name__}) has no size {size.attribute!r}")
    setattr(owner, size.attribute, size.value)


def survivors(before: Mapping[str, Tensor], edits: Sequence[Edit], now: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Carry named tensors (masks, a snapshot) through ``edits``; those whose tensor is gone or reshaped are dropped."""
    carried: dict[str, Tensor] = {}
    for name, value in before.items():
        cut = value
        for edit in edits:
            cut = edit.cut(name, cut)
        if name in now and now[name].shape == cut.shape:
            carried[name] = cut
    return carried
