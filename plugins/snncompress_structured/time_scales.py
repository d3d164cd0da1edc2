"""Parameters that lie along time: a scale for each step has no entry for a channel, whatever its size."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn, no_grad
from torch.overrides import TorchFunctionMode

from snncompress import Network, evaluating
from snncompress_structured.flow import tensors_in

_RESHAPES = frozenset(("view", "reshape", "unsqueeze", "getitem", "expand"))
_ELEMENTWISE = frozenset(("mul", "rmul", "multiply", "add", "radd", "sub", "rsub", "div", "truediv", "true_divide"))


def over_time(network: Network, x: Tensor) -> frozenset[str]:
    """Return the names of parameters that meet the first axis of what they are multiplied with or added to.

    That axis is time, or the batch, and never the channels. The network's state is cleared afterwards.
    """
    watch = _Watch(x)
    with evaluating(network.module), no_grad(), watch:
        network.own_way(x)
    network.reset()
    return frozenset(name for name, value in network.module.named_parameters() if id(value) in watch.found)


class _Watch(TorchFunctionMode):
    """Follows parameters through reshapes to what they are combined with, and what depends on the input ``x``."""

    def __init__(self, x: Tensor) -> None:
        super().__init__()
        self.found: set[int] = set()
        self._live = {id(x): x}
        self._views: dict[int, tuple[Tensor, Tensor]] = {}

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run the operation and look at what it takes."""
        del types
        result = func(*args, **(kwargs or {}))
        given = list(tensors_in((args, kwargs)))
        if isinstance(result, Tensor):
            self._look(func.__name__.strip("_"), given, result)
        if any(id(one) in self._live for one in given):
            self._live |= {id(one): one for one in tensors_in(result)}
        return result

    def _look(self, name: str, given: Sequence[Tensor], result: Tensor) -> None:
        for value in given:
            _, parameter = self._views.get(id(value), (value, value))
            if not isinstance(parameter, nn.Parameter):
                continue
            if name in _RESHAPES:
                self._views[id(result)] = (result, parameter)
            elif name in _ELEMENTWISE and any(id(one) in self._live for one in given):
                first = result.dim() - value.dim()
                if [axis for axis, size in enumerate(value.shape, first) if size > 1] == [0]:
                    self.found.add(id(parameter))
