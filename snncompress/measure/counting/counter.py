"""The exact counter: sees every function that a network calls, and counts those that multiply.

It works on torch's function protocol, one level above the kernels: ``F.linear``, ``conv2d``, ``matmul``, ``einsum`` or
``scaled_dot_product_attention`` are seen with their operands as the network wrote them, whatever module, container, pruning
hook or parametrisation they come from, and also under ``inference_mode``. That is the cheapest place that is exact: a hook
on known module classes misses functional calls and attention, and a counter of kernels has lost the shapes that tell time.
What is below is not trusted to be complete: ``audit`` compares it with the kernels that really ran.
"""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from snncompress.counts import Kind, OperationCounts
from snncompress.errors import CountError
from snncompress.measure.counting.calls import FunctionCall
from snncompress.measure.counting.handing import hand_on
from snncompress.measure.counting.marks import enliven, fix, forget, is_fixed, is_live, untag, version_of
from snncompress.measure.counting.rows import OperandState, RowBuilder
from snncompress.measure.counting.rules import Rule, refuse, rule_of
from snncompress.measure.counting.tags import Tag, spikes_in, tag_of, tagged
from snncompress.measure.counting.weighted import count_elements
from snncompress.network.owners import backends_in_use

if TYPE_CHECKING:
    from snncompress.network import Network, Time

T = TypeVar("T")

_LOOKING = frozenset(
    ("dim", "size", "numel", "ndimension", "is_contiguous", "stride", "storage_offset", "element_size", "__len__")
)
"""Functions that look at no value; they are called often."""

_PRODUCTS_IN_PLACE = frozenset(("mul_", "multiply_", "__imul__"))

_UNTRACKED = frozenset(("data", "__set__", "numpy", "__array__"))
"""Functions behind which a tensor can change without a new version: it is judged by its values from there on."""


class Counter(TorchFunctionMode):
    """Count the operations of a network while it runs within ``counting()``."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network
        self.samples = 0
        self.rows: dict[tuple[str, str], RowBuilder] = {}
        self.stack: list[str] = []
        self.ran: set[str] = set()
        self.batch = 0
        self.size = 0
        self.touched: set[int] = set()
        self.is_counting = False
        self.among_weights: Tally[str] = Tally()
        self._names = {id(value): name for name, value in network.module.named_parameters()}
        self._places = {_place(value) for value in network.module.parameters() if value.numel()}
        self.neurons = {item.path: item for item in network.neurons}
        self._owned = {item.path for item in network.owners.owned}
        self._backends = tuple(backends_in_use(network.host))
        self._ordinals: list[Tally[str]] = []
        self._of_weights: dict[tuple[int, str], tuple[Tensor, int, Any]] = {}

    # ---- what rules ask

    @property
    def path(self) -> str:
        """The full path of the module that is running."""
        return self.stack[-1] if self.stack else ""

    @property
    def place(self) -> str:
        """The module that is running, as messages name it."""
        kind = type(self.network.module.get_submodule(self.path)).__name__
        return f"{self.path or 'the root'} ({kind})"

    @property
    def is_inside_state(self) -> bool:
        """Whether a neuron or another stateful module is running its own update."""
        return self.path in self._owned

    def num_steps(self, x: Tensor) -> int:
        """Return T where the first axis of x holds the steps, slowest, and 1 where x holds one step or no time."""
        if self.network.time.input == "static" and x.numel() == self.size and tag_of(x).is_input:
            return 1  # the image itself: as many samples as steps are no steps
        return steps_in(x, self.network.time, self.batch)

    def name_of(self, weight: Tensor) -> str:
        """Return the name of a parameter, or an empty one for a tensor computed from parameters."""
        return self._names.get(id(weight), "")

    def of_weight(self, weight: Tensor, what: str, work: Callable[[], T]) -> T:
        """Return what ``work`` says of a weight; remembered for a parameter while it does not change."""
        version = version_of(weight)
        if version < 0 or not self.name_of(weight):  # a tensor computed anew for each call
            return work()
        kept = self._of_weights.get((id(weight), what))
        if kept is None or kept[0] is not weight or kept[1] != version:
            kept = self._of_weights[id(weight), what] = (weight, version, work())
        found: T = kept[2]
        return found

    def scale_of(self, module: nn.Module, output: Tensor) -> Any:
        """Return the scale that a module's spikes carry, as it declares it (``spike_scale``) or as its backend knows it."""
        declared = getattr(module, "spike_scale", None)
        if declared is not None:
            return declared
        scales = (backend.spike_scale(module, output) for backend in self._backends)
        return next((scale for scale in scales if scale is not None), None)

    def row(self, operation: str, kind: Kind, num_operands: int = 0, *, merge: bool = False) -> RowBuilder:
        """Return the row of the operation that is running; the second one of a name in one module call is another row.

        ``merge`` takes all calls of that name in the module as one row.
        """
        if not merge and self._ordinals:
            self._ordinals[-1][operation] += 1
            ordinal = self._ordinals[-1][operation]
            operation = operation if ordinal == 1 else f"{operation} {ordinal}"
        key = (self.path, operation)
        if key not in self.rows:
            self.rows[key] = RowBuilder(self.path, operation, kind, [OperandState() for _ in range(num_operands)])
        return self.rows[key]

    # ---- running

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run a function, count it, and hand on what is known of its operands."""
        named, name = kwargs or {}, func.__name__
        if name in _LOOKING:
            return func(*args, **named)
        rule = rule_of(name)
        if rule is refuse:
            refuse(self, FunctionCall(name, func, args, named))
        given = args
        if name in _PRODUCTS_IN_PLACE:  # what it held is gone afterwards
            given = (tagged(args[0].clone(), tag_of(args[0])), *args[1:])
            enliven(given[:1] if is_live(args[0]) else ())
            fix(given[:1] if is_fixed(args[0]) else ())
        result = func(*args, **named)
        if name == "__get__" and not isinstance(result, Tensor):  # x.shape, x.device; but x.T is a tensor
            return result
        if name == "__get__":
            name = "data" if getattr(func.__self__, "__name__", "") == "data" else "view"
        called = FunctionCall(name, func, given, named, result)
        if name == "__iter__":
            parts = tuple(result)
            called = FunctionCall("unbind", torch.unbind, args, named, parts)
            result = iter(parts)
        self._look(called, rule)
        return result

    def _look(self, call: FunctionCall, rule: Rule | None) -> None:
        """Count a call and hand on what is known of its operands; what this computes is not the network's."""
        self.is_counting = True
        try:
            self._require_whole(call)
            if call.name not in ("detach", "numpy"):
                self.touched |= {place for value in call.tensors if (place := _place(value)) in self._places}
            if rule is not None:
                rule(self, call)
            if call.name in _UNTRACKED:
                untag(call.tensors[:1])
            hand_on(call)
        finally:
            self.is_counting = False

    @contextmanager
    def counting(self, x: Tensor, *, repeats: bool) -> Iterator[None]:
        """Count one forward pass over a batch x_T... (or x_B... where the network's input is static)."""
        is_static = self.network.time.input == "static"
        self.batch, self.size = x.shape[0 if is_static else 1], x.numel()
        with ExitStack() as stack:
            stack.enter_context(torch.compiler.set_stance("force_eager"))  # compiled code shows no functions
            for path, module in self.network.module.named_modules():
                stack.callback(module.register_forward_pre_hook(self._enter(path)).remove)
                stack.callback(module.register_forward_hook(self._leave(path), always_call=True).remove)
            stack.callback(lambda: forget([x, *self._fixed(), *self._kept()]))
            fix(self._fixed())
            with self:
                yield
        self.samples += self.batch
        time = self.network.time
        for row in self.rows.values():
            row.repeats = row.repeats and repeats
            row.close(time.T, calls_are_steps=time.runner in ("per_step", "inside") and time.T > 1)

    def result(self) -> OperationCounts:
        """Return what has been counted.

        Raises:
            CountError: if a layer that holds weights ran, and none of its operations was counted, or if one was given
                average-pooled spikes and something else.
        """
        self._require_live_layers()
        self._require_one_count()
        rows = tuple(row.row() for row in self.rows.values())
        return OperationCounts(samples=self.samples, timesteps=self.network.time.T, rows=rows)

    def _fixed(self) -> list[Tensor]:
        """Return parameters and buffers; the state of neurons is not among them."""
        modules = [part for path, part in self.network.module.named_modules() if path not in self._owned]
        return [
            *self.network.module.parameters(),
            *(value for part in modules for value in part.buffers(recurse=False)),
        ]

    def _kept(self) -> list[Any]:
        """Return what modules keep as attributes, tensors among it."""
        return [value for part in self.network.module.modules() for value in vars(part).values()]

    def _enter(self, path: str) -> Any:
        def enter(_: nn.Module, arguments: Any) -> None:
            self.stack.append(path)
            self._ordinals.append(Tally())
            self.ran.add(path)
            if len(self.stack) == 1:
                for value in arguments:
                    if isinstance(value, Tensor):
                        enliven(tagged(value, Tag(is_input=True)))

        return enter

    def _leave(self, path: str) -> Any:
        def leave(module: nn.Module, _: Any, output: Any) -> None:
            if path in self.neurons and output is not None:
                spikes = self.neurons[path].backend.spikes(module, output)
                enliven(spikes)
                self._declare(module, spikes)
                count_elements(self, type(module).__name__, "neuron", spikes)
            elif path not in self._owned and isinstance(output, Tensor) and self.scale_of(module, output) is not None:
                self._declare(module, output)
            self.stack.pop()
            self._ordinals.pop()

        return leave

    def _declare(self, module: nn.Module, output: Tensor) -> None:
        tag = spikes_in(output, self.scale_of(module, output))
        if tag.operand is not None:
            tagged(output, tag)

    def _require_whole(self, call: FunctionCall) -> None:
        if any(torch._C._functorch.is_functorch_wrapped_tensor(x) for x in call.tensors):  # noqa: SLF001 - torch offers it nowhere else
            raise CountError(
                f"{self.place} runs under torch.vmap or another transform of torch.func, which hides the samples; "
                "write it over the whole batch"
            )

    def _require_one_count(self) -> None:
        for row in self.rows.values():
            if any(state.known == "spike_counts" and not state.is_binary for state in row.states):
                kind = type(self.network.module.get_submodule(row.path)).__name__
                raise CountError(
                    f"{row.path or 'the root'} ({kind}) was given average-pooled spikes in one call and other values in "
                    f"another, and counts of {row.operation!r} cannot say both; give each its own module"
                )

    def _require_live_layers(self) -> None:
        for name, value in self.network.module.named_parameters():
            path = name.rpartition(".")[0]
            if value.dim() > 1 and path in self.ran and path not in self._owned and _place(value) not in self.touched:
                kind = type(self.network.module.get_submodule(path)).__name__
                raise CountError(
                    f"{path or 'the root'} ({kind}) ran, but no counted operation used its weights {name!r}; "
                    "write it with functions of torch that have a rule (linear, convolutions, matmul, einsum, attention)"
                )


def steps_in(x: Tensor, time: Time, batch: int) -> int:
    """Return T where the first axis of x holds the steps, slowest, and 1 where x holds one step or no time."""
    if time.T == 1 or time.runner == "per_step" or x.dim() < 2 or not x.shape[0]:  # noqa: PLR2004 - a vector is one sample
        return 1
    leads = x.shape[0] == time.T and x.shape[1] == batch
    return time.T if leads or x.shape[0] % (time.T * batch) == 0 else 1


def _place(x: Tensor) -> int:
    return x.untyped_storage().data_ptr() if x.layout is torch.strided and not x.is_meta else 0
