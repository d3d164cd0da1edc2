"""The backend for snnTorch: whose state is whose, and how time runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import snntorch
import torch
from torch import Tensor, nn

from snncompress_snntorch import instances, rules
from snncompress_snntorch.description import describe, intrinsics
from snncompress_snntorch.nodes import StandIn
from snncompress_snntorch.precision import compute_in_float64

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from snncompress import Fusible, Intrinsic, NeuronDescription, Time

_WHOLE_SEQUENCE = (snntorch.StateLeaky, snntorch.AssociativeLeaky, snntorch.LeakyParallel)
"""Classes that take x_TBC at once and carry nothing from one call to the next; LinearLeaky is a StateLeaky."""

_STATES = ("mem", "mem_prev", "syn", "syn_exc", "syn_inh", "spk", "reset", "trace", "left")
"""Where neurons keep state: in buffers, or in attributes that hold on to the graph (``reset`` is a tensor)."""


class SnnTorchBackend:
    """Reset, read and run snnTorch neurons."""

    name = "snntorch"

    def owns(self, module: nn.Module) -> bool:
        """Tell whether ``module`` is a neuron of the library."""
        return isinstance(module, snntorch.SpikingNeuron | snntorch.LeakyParallel)

    def is_neuron(self, module: nn.Module) -> bool:
        """Tell whether ``module`` emits spikes: not potentials (a StateLeaky without output), not projected values."""
        if isinstance(module, snntorch.StateLeaky):
            return bool(module.output)
        if isinstance(module, snntorch.AssociativeLeaky):
            return not module.use_q_projection
        return self.owns(module)

    def reset(self, module: nn.Module) -> None:
        """Clear the state of one neuron; the next batch may have another size, and the neuron can be copied.

        ``module.reset`` is no method here but a tensor, and ``reset_mem`` keeps some states (the spikes of an SLSTM).
        """
        if isinstance(module, snntorch.DeltaLeaky):
            instances.begin_anew(module)
            return
        for name in _STATES:
            state = getattr(module, name, None)
            if not isinstance(state, Tensor):
                continue
            if name in module._buffers:  # noqa: SLF001 - torch has no public way to tell a buffer from an attribute
                setattr(module, name, state.new_zeros(0))
            else:
                setattr(module, name, None)

    def spikes(self, module: nn.Module, output: Any) -> Tensor:
        """Return the spikes: the output itself, or its first part where membranes come along."""
        del module
        spikes: Tensor = output[0] if isinstance(output, tuple | list) else output
        return spikes

    def spike_scale(self, module: nn.Module, output: Tensor) -> Tensor | None:
        """Return the factor of a neuron's graded spikes."""
        del output
        scale = getattr(module, "graded_spikes_factor", None) if self.is_neuron(module) else None
        return scale if isinstance(scale, Tensor) else None

    def beside_synapses(self, module: nn.Module) -> Sequence[str]:
        """Name the leaks of a LeakyParallel: a diagonal among the weights of a recurrent layer, unless those are dense."""
        if not isinstance(module, snntorch.LeakyParallel):
            return ()
        matrix = module.rnn.weight_hh_l0.detach()
        is_dense = not matrix.is_meta and bool((matrix - matrix.diag().diag()).any())
        return () if is_dense else ("rnn.weight_hh_l0",)

    def fusible(self, module: nn.Module) -> Fusible | str:
        """Return how the fast path may run a neuron of the library, or why it may not."""
        return rules.fusible(module)

    def describe(self, module: nn.Module) -> NeuronDescription | str:
        """Return what a neuron is, without its library; or why that cannot be said."""
        return describe(module)

    def intrinsics(self, module: nn.Module) -> Mapping[Intrinsic, Tensor]:
        """Return threshold and leak of a neuron that is described."""
        return intrinsics(module)

    def membrane(self, module: nn.Module, x_B: Tensor) -> Tensor | None:
        """Return the membrane that a fusible neuron starts from."""
        return rules.membrane(module, x_B)

    def keep_membrane(self, module: nn.Module, v_B: Tensor) -> None:
        """Leave the membrane in a fusible neuron."""
        rules.keep_membrane(module, v_B)

    def forward(self, module: nn.Module, x: Tensor, time: Time) -> Any:
        """Run the root module over time; step by step, its records are stacked.

        A last neuron of a higher order returns more states than ``time`` records: its spikes and its last state, the
        membrane, are kept.
        """
        if time.runner != "per_step":
            return module(x)
        return _as_declared(_stacked([module(x_t) for x_t in x]), time.records)

    def runs(self, module: nn.Module, time: Time) -> bool:
        """Tell whether this backend can run ``module`` so.

        Neurons that keep state run step by step or in a loop of the module's own; those that take whole sequences run
        in ``multi_step`` or in such a loop. A network of both kinds must bring its own loop.
        """
        owned = [part for part in module.modules() if self.owns(part)]
        stepwise = [part for part in owned if not _takes_sequence(part)]
        if time.runner == "per_step":
            return bool(owned) and len(stepwise) == len(owned)
        if time.runner == "multi_step":
            return bool(owned) and not stepwise
        return bool(owned) and time.runner == "inside"

    def to_float64(self, module: nn.Module) -> None:
        """Turn a copied module to float64 in place, the spikes of its snnTorch neurons too."""
        module.double()
        for part in module.modules():
            if self.owns(part):
                compute_in_float64(part)

    def adopt(self, module: nn.Module) -> None:
        """Enter the neurons of a copied module in the list that ``snntorch.utils.reset`` goes through."""
        instances.enter(module)


def _takes_sequence(neuron: nn.Module) -> bool:
    return isinstance(neuron, _WHOLE_SEQUENCE) or (isinstance(neuron, StandIn) and neuron.takes_sequence)


def _stacked(steps: Sequence[Any]) -> Any:
    if isinstance(steps[0], tuple | list):
        return tuple(_stacked(parts) for parts in zip(*steps, strict=True))
    first = steps[0].expand_as(steps[-1])  # the membrane before the first step of a DeltaLeaky is a 0 for all places
    return torch.stack([first, *steps[1:]])


def _as_declared(returned: Any, records: Sequence[str]) -> Any:
    if not isinstance(returned, tuple) or (len(returned) == len(records) and isinstance(returned[-1], Tensor)):
        return returned
    membranes = returned[-1][0] if isinstance(returned[-1], tuple) else returned[-1]  # DeltaLeaky: (now, before)
    return tuple({"output": returned[0], "membranes": membranes}[name] for name in records)
