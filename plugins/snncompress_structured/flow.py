"""What follows what: one batch flows through a network, and every tensor says which layer its channels come from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from math import prod
from typing import Any

from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

_LAYERS = (nn.Linear, nn.Conv1d, nn.Conv2d)
NORMS = (nn.BatchNorm1d, nn.BatchNorm2d)
_POOLS = {
    kind: dims
    for dims, kinds in (
        (1, (nn.MaxPool1d, nn.AvgPool1d, nn.AdaptiveMaxPool1d, nn.AdaptiveAvgPool1d)),
        (2, (nn.MaxPool2d, nn.AvgPool2d, nn.AdaptiveMaxPool2d, nn.AdaptiveAvgPool2d)),
    )
    for kind in kinds
}
"""Over how many of the last axes a module pools."""

_BY_CHANNEL = (*_POOLS, nn.Identity, nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.ReLU, nn.GELU, nn.Flatten)
"""Modules that work on each channel by itself, so that a silent channel stays silent."""

_RESHAPING = frozenset(
    (
        *("view", "_unsafe_view", "_reshape_alias", "reshape", "unsqueeze", "squeeze", "select", "slice", "alias"),
        *("detach", "clone", "unbind", "stack", "expand", "_to_copy", "contiguous"),
    )
)
"""Operations that move whole values and mix none; whether channels stay together is read off the shapes."""

_ALONG_AN_AXIS = frozenset(("select", "unbind", "stack"))
"""Those of them that take an axis away or add one, behind which another of the same size could pass for the channels."""


@dataclass(frozen=True)
class Tag:
    """Say of a tensor that it holds the channels of a layer.

    Attributes:
        layer: path of the layer.
        tail: the last sizes, channels first: (C,), (C, H, W), or (C * H * W,) where places were flattened behind channels.
        via: the norms and neurons that it went through.
        state_of: path of the neuron whose state it is, where a neuron returns that too; only that one may take it.
    """

    layer: str
    tail: tuple[int, ...]
    via: tuple[str, ...] = ()
    state_of: str = ""


@dataclass
class Flow:
    """What was seen.

    Attributes:
        into: the layers that read a layer's channels, each with the tag with which they arrived.
        stops: layers whose channels went somewhere else too: into a sum, out of the network, into an unknown module.
        outputs: for each norm or neuron on the way, the tail of its output.
        given: for each layer, norm and neuron, whose channels it was given; None for anything else.
        borrowed: modules whose tensors the network takes itself, for a product of its own or another.
    """

    into: dict[str, dict[str, Tag]] = field(default_factory=dict)
    stops: set[str] = field(default_factory=set)
    outputs: dict[str, tuple[int, ...]] = field(default_factory=dict)
    given: dict[str, set[str | None]] = field(default_factory=dict)
    borrowed: set[str] = field(default_factory=set)

    def rows(self) -> Iterator[tuple[str, str, Tag]]:
        """Yield each layer whose channels one other layer alone reads, that layer, and the tag with which they arrive.

        What stands in between, and the layer that reads, may be given nothing else; nothing else may be given the channels.
        """
        for layer, readers in self.into.items():
            if layer not in self.stops and len(readers) == 1:
                ((reader, tag),) = readers.items()
                between = {path for path, given in self.given.items() if layer in given}
                if (
                    reader != layer
                    and between == {*tag.via, reader}
                    and all(len(self.given[one]) == 1 for one in between)
                    and not self.borrowed & {layer, *between}
                ):
                    yield layer, reader, tag


def flow_of(root: nn.Module, neurons: dict[nn.Module, str], run: Any) -> Flow:
    """Return what ``run()`` shows of ``root``; ``neurons`` are modules that fire, by path."""
    tensors = (*root.named_parameters(), *root.named_buffers())
    watcher = _Watcher(neurons, {id(value): name.rpartition(".")[0] for name, value in tensors})
    paths = {module: path for path, module in root.named_modules()}
    with ExitStack() as stack:
        for module, path in paths.items():
            if watcher.knows(module):
                stack.callback(module.register_forward_pre_hook(watcher.entering).remove)
                stack.callback(module.register_forward_hook(watcher.leaving(path), with_kwargs=True).remove)
            elif not any(True for _ in module.children()):
                stack.callback(module.register_forward_hook(watcher.reading, with_kwargs=True).remove)
        stack.enter_context(watcher)
        output = run()
    for value in tensors_in(output):
        watcher.stop(value)
    return watcher.flow


class _Watcher(TorchDispatchMode):  # type: ignore[no-untyped-call] # torch leaves it untyped
    """Keeps the tags of tensors; operations inside of a known module are its own affair."""

    def __init__(self, neurons: dict[nn.Module, str], owners: dict[int, str]) -> None:
        super().__init__()  # type: ignore[no-untyped-call] # see above
        self.owners = owners
        self.neurons = neurons
        self.flow = Flow()
        self._tags: dict[int, Tag] = {}
        self._alive: list[Tensor] = []
        self._depth = 0

    def knows(self, module: nn.Module) -> bool:
        """Tell whether a module is watched as a whole, whatever it holds."""
        return module in self.neurons or isinstance(module, (*_LAYERS, *NORMS, *_BY_CHANNEL))

    def entering(self, module: nn.Module, inputs: tuple[Any, ...]) -> None:
        del module, inputs
        self._depth += 1

    def leaving(self, path: str) -> Any:
        """Return a hook that tags what a known module returns."""

        def leave(module: nn.Module, inputs: tuple[Any, ...], named: dict[str, Any], output: Any) -> None:
            self._depth -= 1
            if not self._depth:
                self._passed(path, module, list(tensors_in((inputs, named))), output)

        return leave

    def reading(self, module: nn.Module, inputs: tuple[Any, ...], named: dict[str, Any], output: Any) -> None:
        """Say that an unknown module reads channels; what it does inside is watched like all else.

        One without values that hands its input on, as a library's own dropout does in evaluation, reads nothing.
        """
        has_values = any(True for _ in (*module.parameters(), *module.buffers()))
        if not self._depth:
            for value in tensors_in((inputs, named)):
                if has_values or value is not output:
                    self.stop(value)

    def stop(self, value: Tensor) -> None:
        """Say that the channels of a tensor are read by something that is no layer."""
        if tag := self._tags.get(id(value)):
            self.flow.stops.add(tag.layer)

    def _keep(self, value: Tensor, tag: Tag) -> None:
        self._tags[id(value)] = tag
        self._alive.append(value)

    def _passed(self, path: str, module: nn.Module, inputs: list[Tensor], output: Any) -> None:
        tags = {id(value): self._tags.get(id(value)) for value in inputs if value.numel()}
        if not isinstance(module, _BY_CHANNEL):
            self.flow.given.setdefault(path, set()).update(tag.layer if tag else None for tag in tags.values())
        self.flow.stops |= {tag.layer for tag in tags.values() if tag and tag.state_of not in ("", path)}
        given = [value for value in inputs if (tag := tags.get(id(value))) and not tag.state_of]
        first = output[0] if isinstance(output, tuple | list) and module in self.neurons else output
        if isinstance(module, _LAYERS):
            self._read(path, module, given)
            self._keep(output, Tag(path, tuple(output.shape[-_num_dims(module) :])))
        elif len(given) == 1:
            for value in tensors_in(output):
                self._through(path, module, self._tags[id(given[0])], value, first)
        else:
            for value in given:
                self.stop(value)

    def _read(self, path: str, module: Any, given: list[Tensor]) -> None:
        for value in given:
            tag = self._tags[id(value)]
            width = module.in_features if isinstance(module, nn.Linear) else module.in_channels
            if tag.tail[0] != width or len(tag.tail) != _num_dims(module) or getattr(module, "groups", 1) > 1:
                self.flow.stops.add(tag.layer)
            known = self.flow.into.setdefault(tag.layer, {}).setdefault(path, tag)
            if known.tail[:1] != tag.tail[:1] or known.via != tag.via:
                self.flow.stops.add(tag.layer)

    def _through(self, path: str, module: nn.Module, tag: Tag, value: Tensor, first: Any) -> None:
        """Tag one output of a norm, a neuron, or a module that works on each channel by itself."""
        changes = module in self.neurons or isinstance(module, NORMS)
        is_flat = isinstance(module, nn.Flatten)
        tail = _reshaped(tag.tail, value) if is_flat else tuple(value.shape[-len(tag.tail) :])
        if tail is None or (tail[0] != tag.tail[0] and not is_flat) or not _takes_channels(module, value, tail):
            self.flow.stops.add(tag.layer)
            return
        if changes and value is not first:
            self._keep(value, Tag(tag.layer, tail, state_of=path))
            return
        if changes:
            self.flow.outputs[path] = tail
        self._keep(value, Tag(tag.layer, tail, (*tag.via, path) if changes else tag.via))

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run an operation, and see where between modules it takes channels."""
        del types
        output = func(*args, **(kwargs or {}))
        if self._depth:
            return output
        self.flow.borrowed |= {
            self.owners[id(value)] for value in tensors_in((args, kwargs)) if id(value) in self.owners
        }
        given = [value for value in tensors_in((args, kwargs)) if id(value) in self._tags]
        tags = {self._tags[id(value)] for value in given}
        if not tags:
            return output
        name = func.overloadpacket.__name__
        if name in _RESHAPING and len(tags) == 1 and _leaves_tail(name, args, next(iter(tags)).tail, len(given)):
            (tag,) = tags
            for value in tensors_in(output):
                tail = _reshaped(tag.tail, value)
                if tail is None:
                    self.flow.stops.add(tag.layer)
                else:
                    self._keep(value, replace(tag, tail=tail))
            return output
        self.flow.stops |= {tag.layer for tag in tags}
        return output


def _takes_channels(module: nn.Module, value: Tensor, tail: tuple[int, ...]) -> bool:
    """Tell whether a norm's channels, or the one in front of what a module pools over, are those in front of the tail."""
    if isinstance(module, NORMS):
        num_before = 2 if getattr(module, "step_mode", "s") == "m" else 1
        return value.dim() - len(tail) == num_before
    return all(dims == len(tail) - 1 for kind, dims in _POOLS.items() if isinstance(module, kind))


def _leaves_tail(name: str, args: tuple[Any, ...], tail: tuple[int, ...], num_tagged: int) -> bool:
    """Tell whether an operation along an axis keeps off the tail, and joins nothing that has none."""
    if name not in _ALONG_AN_AXIS:
        return True
    tensors = [args[0]] if isinstance(args[0], Tensor) else list(args[0])
    num_axes = tensors[0].dim() + (name == "stack")
    axis = (args[1] if len(args) > 1 else 0) % num_axes
    return num_tagged == len(tensors) and axis < num_axes - len(tail)


def _reshaped(tail: tuple[int, ...], value: Tensor) -> tuple[int, ...] | None:
    """Return the tail of a tensor that was reshaped; None where channels no longer stand by themselves."""
    shape = tuple(value.shape)
    if shape[-len(tail) :] == tail:
        return tail
    if shape and shape[-1] == prod(tail):
        return (shape[-1],)
    return None


def _num_dims(module: Any) -> int:
    return 1 if isinstance(module, nn.Linear) else len(module.kernel_size) + 1


def tensors_in(value: Any) -> Iterator[Tensor]:
    """Yield the tensors in what a module or an operation takes or returns, however deep in tuples, lists and mappings."""
    if isinstance(value, Tensor):
        yield value
    for inner in value.values() if isinstance(value, Mapping) else value if isinstance(value, (tuple, list)) else ():
        yield from tensors_in(inner)
