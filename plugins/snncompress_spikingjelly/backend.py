"""The backend for SpikingJelly: whose state is whose, and how time runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from spikingjelly.activation_based import base, layer, neuron
from spikingjelly.activation_based.ann2snn.modules import ChannelVoltageScaler, VoltageScaler
from torch import Tensor, nn

from snncompress import ModelError
from snncompress_spikingjelly.description import describe, intrinsics
from snncompress_spikingjelly.rules import fusible, keep_membrane, membrane
from snncompress_spikingjelly.step_modes import mismatch, step_modes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from snncompress import Fusible, Intrinsic, NeuronDescription, Time

_NEURONS = neuron.__name__ + "."
_STATE_IN_ATTRIBUTES = (
    neuron.NonSpikingBaseNode,
    neuron.ILCBaseNode,
    neuron.NoisyBaseNode,
    neuron.NoisyNonSpikingBaseNode,
)
_SILENT = (neuron.NonSpikingBaseNode, neuron.NoisyNonSpikingBaseNode, neuron.LIAFNode)
_MODE_OF_RUNNER = {"multi_step": "m", "per_step": "s"}


class SpikingJellyBackend:
    """Reset, read and run the modules of ``spikingjelly.activation_based``."""

    name = "spikingjelly"

    def owns(self, module: nn.Module) -> bool:
        """Tell whether ``module`` is a neuron of the library or holds its state (``MemoryModule``)."""
        return isinstance(module, base.MemoryModule) or _is_of_neuron_package(module)

    def is_neuron(self, module: nn.Module) -> bool:
        """Tell whether ``module`` is a neuron of the library that emits spikes, not potentials or activations."""
        return _is_of_neuron_package(module) and not isinstance(module, _SILENT)

    def reset(self, module: nn.Module) -> None:
        """Clear the state of one owned module; neurons without memory hold none, and colored noise stays."""
        if isinstance(module, base.MemoryModule):
            module.reset()
        if isinstance(module, _STATE_IN_ATTRIBUTES):
            for name in ("v", "c"):
                module.__dict__.pop(name, None)

    def spikes(self, module: nn.Module, output: Any) -> Tensor:
        """Return the spikes: the output itself, or its first part (online learning returns traces behind them)."""
        del module
        spikes: Tensor = output[0] if isinstance(output, tuple | list) else output
        return spikes

    def spike_scale(self, module: nn.Module, output: Tensor) -> Tensor | None:
        """Return the scale of a converted network's scaler, which stands behind its neurons."""
        if isinstance(module, ChannelVoltageScaler) and module.scale.dim():
            axis = module.channel_dim + (1 if module.step_mode == "m" else 0)
            shape = [-1 if axis == other else 1 for other in range(output.dim())]
            scale: Tensor = module.scale.reshape(shape)
            return scale
        return module.scale if isinstance(module, VoltageScaler | ChannelVoltageScaler) else None

    def beside_synapses(self, module: nn.Module) -> Sequence[str]:
        """Name the weights of the attention over time steps: they mix the steps of one channel, not channels."""
        if not isinstance(module, layer.TemporalWiseAttention | layer.MultiDimensionalAttention):
            return ()
        over_time = "ta." if isinstance(module, layer.MultiDimensionalAttention) else ""
        return tuple(name for name, _ in module.named_parameters() if name.startswith(over_time))

    def fusible(self, module: nn.Module) -> Fusible | str:
        """Return how the fast path may run a neuron, or why it may not."""
        return fusible(module)

    def describe(self, module: nn.Module) -> NeuronDescription | str:
        """Return what a neuron is, without its library; or why that cannot be said."""
        return describe(module)

    def intrinsics(self, module: nn.Module) -> Mapping[Intrinsic, Tensor]:
        """Return threshold and leak of a neuron that is described."""
        return intrinsics(module)

    def membrane(self, module: nn.Module, x_B: Tensor) -> Tensor | None:
        """Return the membrane that a fusible neuron kept, as the library takes it for ``x_B``; None where it begins.

        Raises:
            StateError: if a neuron that the library does not begin anew for another shape was given one.
        """
        return membrane(module, x_B)

    def keep_membrane(self, module: nn.Module, v_B: Tensor) -> None:
        """Leave the membrane where the library resets, detaches and reads it."""
        keep_membrane(module, v_B)

    def forward(self, module: nn.Module, x: Tensor, time: Time) -> Any:
        """Run the root module over time.

        Raises:
            ModelError: if a part is in another step mode than the runner needs: the output would be silently wrong.
        """
        _require_step_mode(module, time)
        if time.runner == "per_step":
            return _stacked([module(x_t) for x_t in x])
        return module(x)

    def runs(self, module: nn.Module, time: Time) -> bool:
        """Tell whether ``module`` holds a part of the library and ``time`` is one of a spiking network.

        Raises:
            ModelError: if a part is in another step mode than the runner needs.
        """
        if time.runner == "none" or not any(_is_of_library(part) for part in module.modules()):
            return False
        _require_step_mode(module, time)
        return True

    def to_float64(self, module: nn.Module) -> None:
        """Turn a copied module to float64 in place; neurons told to compute in a lower precision forget that."""
        module.double()
        for part in module.modules():
            if getattr(part, "_neuron_precision", None) is not None:
                part._neuron_precision = None  # type: ignore[assignment] # noqa: SLF001 - the library offers no way to lift it

    def adopt(self, module: nn.Module) -> None:
        """Do nothing: SpikingJelly keeps no lists of instances."""


def _is_of_neuron_package(module: nn.Module) -> bool:
    return any(kind.__module__.startswith(_NEURONS) for kind in type(module).__mro__)


def _is_of_library(module: nn.Module) -> bool:
    return isinstance(module, base.MemoryModule | base.StepModule)


def _require_step_mode(module: nn.Module, time: Time) -> None:
    wanted = _MODE_OF_RUNNER.get(time.runner)
    if wanted is None:
        return
    modes = step_modes(module)
    if not (wrong := mismatch(modes, wanted)):
        return
    path = wrong[0]
    kind = type(module.get_submodule(path)).__name__
    others = f" and {len(wrong) - 1} more" if len(wrong) > 1 else ""
    raise ModelError(
        f"runner {time.runner!r} needs step mode {wanted!r}, but {path or 'the root'!r} ({kind}){others} "
        f"is in {modes[path]!r}; {_mend(modes, wanted)}"
    )


def _mend(modes: dict[str, str], wanted: str) -> str:
    call = f"call spikingjelly's functional.set_step_mode(network, {wanted!r})"
    other = next(mode for mode in _MODE_OF_RUNNER.values() if mode != wanted)
    if mismatch(modes, other):
        return f"{call}, or declare the runner that the network was written for"
    runner = next(name for name, mode in _MODE_OF_RUNNER.items() if mode == other)
    return f"declare runner {runner!r}, or {call} if every part supports it"


def _stacked(steps: list[Any]) -> Any:
    if isinstance(steps[0], tuple | list):
        return tuple(_stacked(list(parts)) for parts in zip(*steps, strict=True))
    return torch.stack(steps)
