"""The activity of neuron layers, gathered while a network runs: rates over time, dead and saturated neurons, a raster."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from snncompress.counts import Activity, LayerActivity
from snncompress.measure.counting.counter import steps_in
from snncompress.measure.counting.tags import tag_of

if TYPE_CHECKING:
    from snncompress.network import Network
    from snncompress.network.owners import Owned

_RASTER = 48


@dataclass(frozen=True)
class _Call:
    """Hold one call of a layer: spikes of each neuron at each step, [S, K], and those of the first sample."""

    fired_SK: Tensor
    shown_SK: Tensor

    @classmethod
    def of(cls, spikes: Tensor, steps: int, batch: int) -> _Call:
        known = (
            tag_of(spikes).is_positive and spikes.dtype is torch.float32
        )  # ones and zeros already, as the counter saw
        fired_SBK = (spikes if known else spikes.ne(0).to(torch.float32)).reshape(steps, batch, -1)
        width = fired_SBK.shape[2]
        chosen = torch.linspace(0, width - 1, min(_RASTER, width)).round().long()
        return cls(fired_SBK.sum(1).double(), fired_SBK[:, 0, chosen.to(spikes.device)].cpu())


@dataclass
class _Layer:
    kind: str
    calls: list[tuple[_Call, _Call]] = field(default_factory=list)
    fired: list[Tensor] = field(default_factory=list)
    spikes: list[int] = field(default_factory=list)
    outputs: list[int] = field(default_factory=list)
    shown: list[Tensor] = field(default_factory=list)
    most: int = 0


class Watcher:
    """Watch every neuron layer of a network; memory grows with its neurons, not with the samples."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self.samples = 0
        self._layers: dict[str, _Layer] = {}

    @contextmanager
    def watching(self, batch: int) -> Iterator[None]:
        """Watch one forward pass of ``batch`` samples."""
        with ExitStack() as stack:
            for neuron in self.network.neurons:
                stack.callback(neuron.module.register_forward_hook(self._hook(neuron, batch)).remove)
            yield
        for layer in self._layers.values():
            self._close(layer, batch)
        self.samples += batch

    def result(self) -> Activity:
        """Return what was seen, layers in the order in which they first ran."""
        return Activity(
            samples=self.samples,
            timesteps=self.network.time.T,
            layers=tuple(self._result(path, layer) for path, layer in self._layers.items()),
        )

    def _hook(self, neuron: Owned, batch: int) -> Any:
        def hook(module: Any, _: Any, output: Any) -> None:
            spikes = neuron.backend.spikes(module, output)
            layer = self._layers.setdefault(neuron.path, _Layer(type(module).__name__))
            time, steps = self.network.time, steps_in(spikes, self.network.time, batch)
            call = _Call.of(spikes, steps, batch)
            is_open = time.runner == "inside" and steps > 1 and (spikes.shape[0] == batch or spikes.shape[0] > time.T)
            layer.calls.append((call, _Call.of(spikes, 1, batch) if is_open else call))

        return hook

    def _close(self, layer: _Layer, batch: int) -> None:
        """Add the calls of one forward: all steps at once, or one call after the other."""
        found, layer.calls = layer.calls, []
        if not found:
            return
        num_steps = self.network.time.T
        comes_around = len(found) % num_steps == 0  # a loop calls it at each step: T samples are no T steps
        calls = [as_step if comes_around else call for call, as_step in found]
        each = num_steps if all(len(call.fired_SK) == num_steps for call in calls) else 1
        are_steps = each == 1 and comes_around and num_steps > 1
        width, group = (num_steps, len(calls) // num_steps) if are_steps else (each, len(calls))
        layer.spikes, layer.outputs = _longer(layer.spikes, width), _longer(layer.outputs, width)
        for index, call in enumerate(calls):
            position = index % group
            if position == len(layer.fired):
                layer.fired.append(torch.zeros_like(call.fired_SK[0]))
            layer.fired[position] += call.fired_SK.sum(0)
            if position == 0 and not self.samples:
                layer.shown.append(call.shown_SK)
            first = index // group if are_steps else 0
            for step, number in enumerate(call.fired_SK.sum(1).tolist()):
                at = first + step if width > 1 else 0
                layer.spikes[at] += int(number)
                layer.outputs[at] += call.fired_SK.shape[1] * batch
        layer.most += batch * (sum(len(call.fired_SK) for call in calls) // group)

    def _result(self, path: str, layer: _Layer) -> LayerActivity:
        fired = torch.cat([one.flatten() for one in layer.fired])
        return LayerActivity(
            path=path,
            kind=layer.kind,
            neurons=fired.numel(),
            spikes=tuple(layer.spikes),
            outputs=tuple(layer.outputs),
            dead=int((fired == 0).sum()),
            saturated=int((fired == layer.most).sum()),
            raster=_raster(layer.shown),
        )


def _longer(numbers: list[int], width: int) -> list[int]:
    return numbers if len(numbers) == width else [*numbers, *[0] * (width - len(numbers))]


def _raster(shown: list[Tensor]) -> tuple[str, ...]:
    widths = {one.shape[1] for one in shown}
    if len(widths) != 1:  # a neuron module that serves layers of several widths
        return ()
    fired_TK = torch.cat(shown).bool()
    return tuple("".join("1" if spike else "0" for spike in train) for train in fired_TK.T.tolist())
