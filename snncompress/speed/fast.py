"""The fast way through one network: which part is run how, and the parts' own forwards set aside while it runs."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from snncompress.speed.kernels import Kernels, has_kernel, run_rule
from snncompress.speed.layout import from_rows, is_constant, rows_of
from snncompress.speed.norms import NormKind, by_channel, keep_statistics, knows, normed, split
from snncompress.speed.structure import CONVOLUTIONS, NORMS, is_watched_between
from snncompress.speed.synapses import convolved, folded, folds, is_plain_linear, linear

if TYPE_CHECKING:
    from snncompress.components import Backend
    from snncompress.network import Network
    from snncompress.speed.rule import Fusible
    from snncompress.speed.structure import Structure


@dataclass(frozen=True)
class Ways:
    """Say which of the ways are taken.

    Attributes:
        once: whether layers before the first neuron run once where the input is the same at each step.
        linked: whether norms are run with their neighbours: folded into convolutions in evaluation, and, where compiled,
            joined with neurons in training.
        compiled: whether norms and neurons in training go the way that is compiled.
        kernels: what runs it; torch as it is may stand in for a compiler, to prove the same ways.
    """

    once: bool
    linked: bool
    compiled: bool
    kernels: Kernels

    def named(self) -> str:
        """Say the ways in words."""
        return "everything" if self.once and self.linked else "each step" if self.linked else "neurons alone"


class Fast:
    """Run one network's module the fast way; the module itself stays as it is."""

    def __init__(
        self,
        network: Network,
        fusible: dict[nn.Module, tuple[Backend, Fusible]],
        structure: Structure,
        ways: Ways,
        modes: frozenset[bool] = frozenset((True, False)),
    ) -> None:
        self.module, self.time, self.runner = network.module, network.time, network.own_way
        self.fusible, self.structure, self.ways = fusible, structure, ways
        self.modes = modes
        self.convolution_of = {norm: conv for conv, norm in structure.norm_of.items()}
        self.norm_of = {neuron: norm for norm, neuron in structure.neuron_of.items()}
        self.constant, self.batch, self.steps = False, 0, 1
        self._left: set[nn.Module] = set()
        self._faces = {neuron: _face(neuron, how) for neuron, (_, how) in fusible.items()}
        self._patches = list(self._all_patches())

    # ---- running

    def __call__(self, x: Tensor) -> Any:
        """Return what the module returns for x_T... (or x_B...), by the fast way where it was found equal."""
        if self.module.training not in self.modes or not self._is_as_found():
            return self.runner(x)
        self._left.clear()
        sequence = self.time.input == "sequence"
        self.steps = len(x)
        self.constant = self.ways.once and sequence and self.steps > 1 and is_constant(x)
        with self._patched():
            if self.time.runner != "per_step":
                self.batch = x.shape[1] if sequence else len(x)
                return self.module(x[:1] if self.constant else x)
            self.batch = x.shape[1]
            return self._unfolded(self.module(x[0] if self.constant else x.flatten(0, 1)))

    def _is_as_found(self) -> bool:
        """Take new settings and tensors of the neurons, and tell whether each can still be run the same way."""
        for neuron, (backend, before) in self.fusible.items():
            face, known = _face(neuron, before), self._faces[neuron]
            if len(face) == len(known) and all(map(operator.is_, face, known)):
                continue
            now = backend.fusible(neuron)
            if isinstance(now, str) or (now.takes_sequence, now.returns_membranes) != (
                before.takes_sequence,
                before.returns_membranes,
            ):
                return False
            self.fusible[neuron], self._faces[neuron] = (backend, now), face
        return True

    def _unfolded(self, returned: Any) -> Any:
        if isinstance(returned, Tensor):
            return torch.unflatten(returned, 0, (-1, self.batch))
        return tuple(self._unfolded(one) for one in returned)

    @contextmanager
    def _patched(self) -> Iterator[None]:
        """Put the fast forwards in the place of the modules' own, and those back afterwards."""
        before = [(module, name, module.__dict__.get(name)) for module, name, _ in self._patches]
        for module, name, forward in self._patches:
            module.__dict__[name] = forward
        try:
            yield
        finally:
            for module, name, known in before:
                if known is None:
                    del module.__dict__[name]
                else:
                    module.__dict__[name] = known

    def _all_patches(self) -> Iterator[tuple[nn.Module, str, Callable[..., Any]]]:
        for neuron in self.fusible:
            yield neuron, "forward", partial(self._neuron, neuron)
        for module in self.module.modules():
            if isinstance(module, NORMS) and module.affine:
                yield module, "forward", partial(self._norm, module, module.forward)
            if isinstance(module, CONVOLUTIONS) and module.padding_mode == "zeros" and self.ways.linked:
                yield module, "_conv_forward", partial(self._convolution, module)
            if is_plain_linear(module) and self.ways.linked and self.ways.compiled:
                yield module, "forward", partial(linear, module)

    def described(self, module: nn.Module) -> str:
        """Say how a module runs; an empty text where it runs as ever."""
        if module in self.fusible:
            norm = self.norm_of.get(module)
            kernel = "compiled" if self.ways.compiled else "torch"
            joined = "; in training with the norm in front" if norm is not None and self.ways.compiled else ""
            return f"all steps at once, {kernel}{joined}"
        if not self.ways.linked:
            return ""
        if isinstance(module, NORMS) and module.affine:
            training = ["in training compiled"] if self.ways.compiled else []
            folded = ["in evaluation folded into the convolution"] if module in self.convolution_of else []
            return "; ".join(training + folded)
        if isinstance(module, CONVOLUTIONS):
            return "channels last" if self.ways.compiled else "in evaluation channels last"
        return ""

    # ---- neurons

    def _neuron(self, neuron: nn.Module, x: Tensor) -> Any:
        backend, how = self.fusible[neuron]
        folded = self.time.runner == "per_step"
        x_T = torch.unflatten(x, 0, (-1, self.batch)) if folded else x
        steps = self.steps if self.constant and len(x_T) == 1 else len(x_T)
        norm = self.norm_of.get(neuron)
        kept = backend.membrane(neuron, x_T[0])
        if norm in self._left:
            self._left.discard(norm)
            spikes, last = self._norm_and_neuron(norm, how, x_T, steps, kept)
            outputs = [spikes]
        else:
            outputs, last = self._rule(how, x_T, steps, kept)
        backend.keep_membrane(neuron, last)
        done = [one.flatten(0, 1) if folded else one for one in outputs]
        return tuple(done) if how.returns_membranes else done[0]

    def _rule(self, how: Fusible, x_T: Tensor, steps: int, kept: Tensor | None) -> tuple[list[Tensor], Tensor]:
        x, record = _in_full(x_T), how.returns_membranes
        v_B = None if kept is None else _in_full(kept)
        spikes, found = run_rule(how.rule, x, v_B, how.tensors(), steps=steps, record=record, kernels=self.ways.kernels)
        if not record:
            return [spikes.to(x_T.dtype)], found
        return [spikes.to(x_T.dtype), found.to(x_T.dtype)], found[-1]

    def _joins(self, norm: Any) -> bool:
        """Tell whether a norm runs in the kernel of the neuron behind it.

        Not where somebody looks in between, and not where the neuron's tensors vary from place to place.
        """
        neuron = self.structure.neuron_of.get(norm)
        if neuron not in self.fusible or not (self.ways.linked and self.ways.compiled and norm.training):
            return False
        how = self.fusible[neuron][1]
        if any(value.numel() not in (1, norm.num_features) for value in how.parameters):
            return False
        return has_kernel(how, self.ways.kernels) and not (how.returns_membranes or is_watched_between(norm, neuron))

    def _norm_and_neuron(
        self, norm: Any, how: Fusible, y_T: Tensor, steps: int, kept: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        if kept is not None:
            values = self._normed(norm, y_T, None, (), len(y_T))[0]
            (spikes,), last = self._rule(how, values, steps, kept)
            return spikes, last
        return self._normed(norm, y_T, how, how.tensors(), steps)

    # ---- norms

    def _norm(self, norm: Any, own: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
        conv = self.convolution_of.get(norm)
        if conv in self._left:
            self._left.discard(conv)
            return x
        if not norm.training or not knows(norm, x):
            return own(x)
        if self._joins(norm):
            self._left.add(norm)
            return x
        if self.ways.linked and self.ways.compiled:
            leading, values = split(norm, x)
            found = self._normed(norm, values, None, (), len(values))[0]
            return found.reshape(*leading, *found.shape[2:])
        return self._counted_as_repeated(norm, own, x) if self._is_repeated(norm, x) else own(x)

    def _is_repeated(self, norm: nn.Module, x: Tensor) -> bool:
        """Tell whether ``x`` stands for T equal steps."""
        leading, _ = split(norm, x)
        return self.constant and leading[0] * (leading[1] if len(leading) > 1 else 1) == self.batch

    def _normed(
        self, norm: Any, y_T: Tensor, how: Fusible | None, p: Sequence[Tensor], steps: int
    ) -> tuple[Tensor, Any]:
        """Normalise y_TBC..., with or without the neuron behind, and keep the running statistics as the norm would."""
        y = _in_full(y_T)
        rows = rows_of(y)
        repeated = self.constant and rows.shape[0] * rows.shape[1] == self.batch
        constant = how is not None and repeated
        kind = NormKind(how.rule if how else None, steps, constant=constant, eps=norm.eps)
        affine = norm.weight.to(rows.dtype), norm.bias.to(rows.dtype)
        tensors = [by_channel(value) for value in p]
        found = normed(kind, rows, *affine, tensors, kernels=self.ways.kernels)
        repeats = self.steps if repeated else 1
        keep_statistics(norm, found.mean_C, found.variance_C, repeats * rows.shape[0] * rows.shape[1] * rows.shape[2])
        places = tuple(y.shape[3:])
        output = from_rows(found.output, places).to(y_T.dtype)
        return output, None if found.membrane is None else from_rows(found.membrane.unsqueeze(0), places)[0]

    def _counted_as_repeated(self, norm: Any, own: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
        """Run the norm's own forward on one of T equal steps; the variance that it keeps counts them all."""
        _, values = split(norm, x)
        dims = [dim for dim in range(values.dim()) if dim != 2]  # noqa: PLR2004 - channels
        with torch.no_grad():
            variance, mean = torch.var_mean(values, dims, correction=0)
        kept = {name: getattr(norm, name) for name in ("running_mean", "running_var", "num_batches_tracked")}
        try:
            for name, value in kept.items():
                norm._buffers[name] = None if value is None else value.clone()  # noqa: SLF001 - put back below
            output = own(x)
        finally:
            norm._buffers.update(kept)  # noqa: SLF001 - see above
        keep_statistics(norm, mean, variance, self.steps * values.numel() // values.shape[2])
        return output

    # ---- convolutions

    def _convolution(self, conv: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Any:
        norm: Any = self.structure.norm_of.get(conv)
        if folds(conv, norm):
            self._left.add(conv)
            weight, bias = folded(norm, weight, bias)
        elif conv.training and not self.ways.compiled:
            return type(conv)._conv_forward(conv, x, weight, bias)  # noqa: SLF001 - set aside on the instance
        return convolved(conv, x, weight, bias)


def _in_full(value: Tensor) -> Tensor:
    """Return a value of half precision in float32: a membrane adds up small differences."""
    return value.float() if value.dtype in (torch.bfloat16, torch.float16) else value


def _face(neuron: nn.Module, how: Fusible) -> list[object]:
    """Return the objects that a neuron's rule can depend on: its settings, those of its surrogate, and its tensors."""
    found: list[object] = []
    for part in (neuron, *neuron._modules.values()):  # noqa: SLF001 - without the cost of names, at each call
        if part is not None:
            found += [value for value in vars(part).values() if type(value) is not dict]
            found += part._parameters.values()  # noqa: SLF001 - see above
    known = {id(value) for value in how.parameters}
    return found + [value for value in neuron._buffers.values() if id(value) in known]  # noqa: SLF001 - see above
