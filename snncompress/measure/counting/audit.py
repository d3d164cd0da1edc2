"""The audit: what the counter has counted, against the kernels that ran.

The counter sees functions of Python. A product hidden from it (in a custom autograd function, a compiled extension, a
function that no rule knows) still ends in torch's kernels; here their multiply-accumulates are summed by module, and a
module whose kernels did more than was counted is an error that names it.
"""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Callable, Sequence
from math import prod
from typing import TYPE_CHECKING, Any

from torch.utils._python_dispatch import TorchDispatchMode

from snncompress.errors import CountError
from snncompress.measure.counting.rules import multiplies

if TYPE_CHECKING:
    from snncompress.measure.counting.counter import Counter


class Audit(TorchDispatchMode):  # type: ignore[no-untyped-call] # torch leaves its modes untyped
    """Sum the multiply-accumulates of torch's kernels, by the module that runs."""

    def __init__(self, counter: Counter) -> None:
        super().__init__()  # type: ignore[no-untyped-call] # see above
        self._counter = counter
        self.found: Tally[str] = Tally()
        self.kernels: dict[str, set[str]] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run a kernel and add up its products."""
        result = func(*args, **(kwargs or {}))
        name = func.overloadpacket.__name__
        if not self._counter.is_counting and (name in _KERNELS or multiplies(name)):
            path = self._counter.path
            self.kernels.setdefault(path, set()).add(name)
            if name not in _KERNELS:
                raise CountError(f"{path or 'the root'} runs the kernel {func}, whose operations cannot be counted")
            self.found[path] += _KERNELS[name](args, result)
        return result

    def require_counted(self) -> None:
        """Raise CountError where kernels multiplied more than the counter's rows say."""
        counted = Tally(self._counter.among_weights)
        for (path, _), row in self._counter.rows.items():
            if row.kind in ("synapse", "attention"):
                counted[path] += sum(row.totals["dense"])
        for path, found in self.found.items():
            if found > counted[path]:
                module = self._counter.network.module.get_submodule(path)
                kernels = ", ".join(sorted(self.kernels[path]))
                raise CountError(
                    f"{path or 'the root'} ({type(module).__name__}) made {found:,} multiply-accumulates in {kernels}, of which "
                    f"{counted[path]:,} were counted; a product is hidden from the counter (a custom autograd function?): "
                    "write it with functions of torch"
                )


def _product(a: int, b: int) -> Callable[[Sequence[Any], Any], int]:
    """Count a (batched) matrix product of the operands at positions a and b."""

    def count(arguments: Sequence[Any], _: Any) -> int:
        left, right = arguments[a].shape, arguments[b].shape
        return int(prod(left) * (right[-1] if len(right) > 1 else 1))

    return count


def _convolution(arguments: Sequence[Any], result: Any) -> int:
    x, weight = arguments[0].shape, arguments[1].shape
    is_transposed = len(arguments) > 6 and arguments[6] is True  # noqa: PLR2004 - the position in aten::convolution
    return int((prod(x) if is_transposed else prod(result.shape)) * prod(weight[1:]))


def _attention(arguments: Sequence[Any], _: Any) -> int:
    q, k, v = (x.shape for x in arguments[:3])
    return int(prod(q[:-1]) * k[-2] * (q[-1] + v[-1]))


_KERNELS: dict[str, Callable[[Sequence[Any], Any], int]] = {
    **dict.fromkeys(("mm", "bmm", "mv", "dot", "vdot"), _product(0, 1)),
    **dict.fromkeys(("addmm", "baddbmm", "addmv"), _product(1, 2)),
    **dict.fromkeys(("convolution", "convolution_overrideable", "_convolution"), _convolution),
    **dict.fromkeys(
        (
            "_scaled_dot_product_flash_attention_for_cpu",
            "_scaled_dot_product_flash_attention",
            "_scaled_dot_product_efficient_attention",
            "_scaled_dot_product_cudnn_attention",
            "_scaled_dot_product_fused_attention_overrideable",
        ),
        _attention,
    ),
}
