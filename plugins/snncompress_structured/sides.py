"""What of a module goes when channels go: its tensors and their axes, and its numbers of channels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from math import prod

from torch import Tensor, nn

from snncompress_structured.groups import Side

_CONVOLUTION = nn.modules.conv._ConvNd  # noqa: SLF001 - torch gives the base of all convolutions no public name
NORM = nn.modules.batchnorm._NormBase  # noqa: SLF001 - the same for norms of single channels
_CHANNELWISE = (NORM, nn.PReLU)
SYNAPSES = (_CONVOLUTION, nn.Linear)
"""The layers whose outputs are cut."""

_PRODUCTS = (nn.Linear, nn.Conv1d, nn.Conv2d)


class UncuttableError(Exception):
    """Tell why the channels that a module takes part in cannot be cut."""


def side_of(path: str, module: nn.Module, tensors: Mapping[str, Tensor], *, is_output: bool) -> Side:
    """Return one side of a layer, or of a norm; raise UncuttableError where it mixes channels or is not known."""
    if isinstance(module, _CONVOLUTION):
        side = _of_convolution(path, module, is_output=is_output)
    elif isinstance(module, nn.Linear):
        side = _of_linear(path, module, is_output=is_output)
    elif isinstance(module, _CHANNELWISE):
        side = _of_channelwise(path, module, tensors)
    else:
        raise UncuttableError(f"{path!r} ({type(module).__name__}) works across channels")
    kept = tuple(item for item in side.tensors if item[0] in tensors)
    if not any(name == f"{path}.weight" for name, _ in kept) and isinstance(module, SYNAPSES):
        raise UncuttableError(f"{path!r} ({type(module).__name__}) computes its weight from other tensors")
    return Side(side.path, kept, side.attributes, side.size, side.groups)


def side_of_neuron(path: str, module: nn.Module, width: int, shape: Sequence[int], *, is_neuron: bool) -> Side:
    """Return what of a neuron layer (or another stateful module) goes with its channels.

    Args:
        path: of the module.
        module: it computes each channel by itself.
        width: number of its channels.
        shape: of what its forward returns for one sample.
        is_neuron: whether that are spikes.
    """
    if holds_synapse(module):
        raise UncuttableError(f"{path!r} ({type(module).__name__}) joins channels by weights of its own")
    axis = next((axis - len(shape) for axis in range(1, len(shape)) if shape[axis] == width), None)
    if axis is None:
        raise UncuttableError(f"no axis of what {path!r} returns, {list(shape)}, holds its {width} channels")
    held = tuple(_held(path, module, width, shape, axis))
    return Side(path, held, (), width, spikes=axis if is_neuron else None)


def is_product(layer: nn.Module) -> bool:
    """Tell whether a layer is known to compute nothing but a product with its weight.

    That are torch's own layers, and classes directly derived from them that add a step mode.
    """
    kind = type(layer)
    has_step_mode = isinstance(getattr(layer, "step_mode", None), str)
    return kind in _PRODUCTS or (has_step_mode and kind.__bases__[0] in _PRODUCTS)


def used_twice(root: nn.Module) -> frozenset[str]:
    """Return the names of parameters that stand in several places; cut or replaced in one, they would part."""
    named = dict(root.named_parameters(remove_duplicate=False))
    uses = Counter(map(id, named.values()))
    return frozenset(name for name, value in named.items() if uses[id(value)] > 1)


def side_of_parameter(name: str, value: Tensor, axis: int, width: int) -> Side:
    """Return a parameter that no known module holds, along the axis on which torch-pruning takes its channels to be."""
    if value.shape[axis] != width:
        raise UncuttableError(f"the last axis of {name!r}, {list(value.shape)}, does not hold its {width} channels")
    return Side(name, ((name, axis),), (), width)


def _of_convolution(path: str, conv: nn.modules.conv._ConvNd, *, is_output: bool) -> Side:
    weight, bias = f"{path}.weight", (f"{path}.bias", 0)
    if is_depthwise(conv):
        return Side(path, ((weight, 0), bias), ("in_channels", "out_channels", "groups"), conv.out_channels)
    if conv.transposed and conv.groups > 1:
        raise UncuttableError(f"{path!r} is a transposed convolution of {conv.groups} groups")
    out_axis, in_axis = (1, 0) if conv.transposed else (0, 1)
    if is_output:
        return Side(path, ((weight, out_axis), bias), ("out_channels",), conv.out_channels, conv.groups)
    return Side(path, ((weight, in_axis),), ("in_channels",), conv.in_channels, conv.groups)


def is_depthwise(module: nn.Module) -> bool:
    """Tell whether a convolution computes each channel by itself, so that its inputs are its outputs."""
    return isinstance(module, _CONVOLUTION) and module.groups == module.out_channels == module.in_channels > 1


def _of_linear(path: str, linear: nn.Linear, *, is_output: bool) -> Side:
    if is_output:
        tensors = ((f"{path}.weight", 0), (f"{path}.bias", 0))
        return Side(path, tensors, ("out_features",), linear.out_features)
    return Side(path, ((f"{path}.weight", 1),), ("in_features",), linear.in_features)


def _of_channelwise(path: str, module: nn.Module, tensors: Mapping[str, Tensor]) -> Side:
    attribute = "num_parameters" if isinstance(module, nn.PReLU) else "num_features"
    own = (*module.named_parameters(recurse=False), *module.named_buffers(recurse=False))
    held = tuple((f"{path}.{name}", 0) for name, value in own if value.dim() and f"{path}.{name}" in tensors)
    return Side(path, held, (attribute,), getattr(module, attribute))


def holds_synapse(module: nn.Module) -> bool:
    """Tell whether a stateful module has layers with weights inside, as recurrent neurons do."""
    return any("." in name and value.dim() > 1 for name, value in module.named_parameters())


def _held(path: str, module: nn.Module, width: int, shape: Sequence[int], axis: int) -> Iterator[tuple[str, int]]:
    """Yield the tensors that hold a value for each channel, and the axis; those with one value for all need no cut."""
    for name, value in module.state_dict(keep_vars=True).items():
        if prod(value.shape) > 1:
            found = _axis_of_channels(f"{path}.{name}", value.shape, width, shape, axis)
            if found is not None:
                yield f"{path}.{name}", found


def _axis_of_channels(name: str, held: Sequence[int], width: int, shape: Sequence[int], axis: int) -> int | None:
    """Return the axis of a neuron's tensor that holds the channels, None if every channel has the same values.

    Broadcast as torch does it, the tensor's last axis lies on the last one of a step. Where that does not fit, a tensor
    whose first axis has the channels is one that the neuron itself lays over them.
    """
    at = axis + len(held)
    is_broadcast = all(one in (1, other) for one, other in zip(reversed(held), reversed(shape), strict=False))
    if is_broadcast and at >= 0:
        return at if held[at] == width else None
    if held[0] == width:
        return 0
    if is_broadcast:
        return None
    raise UncuttableError(f"no axis of {name!r}, {list(held)}, holds the {width} channels")
