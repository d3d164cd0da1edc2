"""What torch-pruning misreads in a network whose tensors begin with time: reshapes, expansions, joins of channels.

It takes every reshape between a map of C channels and a layer of C * H * W inputs for the one that flattens;
a network that folds time into the batch and out again has many. Each then multiplies the indices, and tracing seems to
stall. Here the shapes before and after decide.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import prod
from typing import Any

from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch_pruning.dependency.shape_infer import infer_in_channels_recursively, infer_out_channels_recursively
from torch_pruning.ops import OPTYPE


class ShapesSeen(TorchFunctionMode):
    """Remember the shape of what each operation returns, by its node of the autograd graph."""

    def __init__(self) -> None:
        super().__init__()
        self.of: dict[Any, tuple[int, ...]] = {}

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run the operation and look at what it returns."""
        del types
        result = func(*args, **(kwargs or {}))
        if isinstance(result, Tensor) and result.grad_fn is not None:
            self.of[result.grad_fn] = tuple(result.shape)
        return result


def mend(graph: Any, seen: ShapesSeen, channel_axis: int) -> None:
    """Correct what torch-pruning's graph of a network takes its operations for; ``channel_axis`` is that of the input."""
    graph._2d_4d = True  # noqa: SLF001 - a linear layer over [T, B, C] would make it overlook all reshapes
    for node in graph.module2node.values():
        if _leaves_channels_alone(graph, node, seen):
            node.type = OPTYPE.ELEMENTWISE
        if node.type == OPTYPE.CONCAT and getattr(node.grad_fn, "_saved_dim", None) == channel_axis:
            node.grad_fn = None  # joins are read along axis 1 only; without this, the numbers of channels decide
        for dependency in node.dependencies:
            dependency.index_mapping = [None, None]  # what was read so far; each group is read anew


def _leaves_channels_alone(graph: Any, node: Any, seen: ShapesSeen) -> bool:
    """Tell whether a reshape flattens no channels; expansions of five axes are mistaken for attention's shared keys."""
    return node.type == OPTYPE.EXPAND or (node.type == OPTYPE.RESHAPE and not _flattens(graph, node, seen))


def _flattens(graph: Any, node: Any, seen: ShapesSeen) -> bool:
    before, after = getattr(node.grad_fn, "_saved_self_sym_sizes", None), seen.of.get(node.grad_fn)
    if before is None or after is None:
        return False
    channels = (infer_out_channels_recursively(graph, one, [0]) for one in node.inputs)
    features = (infer_in_channels_recursively(graph, one, [0]) for one in node.outputs)
    num_channels, num_features = next(channels, None), next(features, None)
    blocks = list(merged(before, after)), list(merged(after, before))
    return (num_channels, num_features) in blocks[0] or (num_features, num_channels) in blocks[1]


def merged(before: Sequence[int], after: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Yield the first size, and the product, of each run of axes that a reshape makes one axis; axes of size 1 aside."""
    sizes = [size for size in before if size > 1]
    for size in after:
        run: list[int] = []
        while sizes and prod(run) < size:
            run.append(sizes.pop(0))
        if prod(run) != size:
            return
        if len(run) > 1:
            yield run[0], size
