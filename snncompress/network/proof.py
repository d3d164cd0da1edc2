"""Proofs: two networks that must be equal are run in float64 and compared spike for spike, ANNs by their outputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from snncompress.errors import EditError, ProofError, listed
from snncompress.network.edits import Edit, Slice
from snncompress.network.leaving import evaluating, leaving_generators
from snncompress.network.output import Output

if TYPE_CHECKING:
    from snncompress.network.network import Network

LOGIT_TOLERANCE = 1e-9
"""Largest difference of logits that counts as equal in float64; summation order alone moves them by about 1e-14.

For an ANN it is a part of the largest logit. There no spike tells that something differs, and an error scales with what it
is made of: rounding is within 1e-16 of each operation and some 1e-14 of the logits behind a dozen blocks, while an index too
many or a wrong scale moves them by their own size, or by 1e-6 of it where a block is scaled down to nearly nothing.
"""


_NUM_SHOWN = 4
DOES_NOT_RUN = (RuntimeError, ValueError, IndexError)
"""What torch and a network's own code raise over sizes that do not fit."""
DOES_NOT_COMPUTE = (*DOES_NOT_RUN, TypeError, AssertionError)
"""What they raise over a precision, too."""


@dataclass(frozen=True)
class Proof:
    """State what was compared and what was seen.

    Attributes:
        edit: the edit as JSON, without its indices.
        num_spikes: spikes that were compared; none in an ANN.
        num_layers: neuron layers that were compared; none in an ANN.
        silent_layers: those of them in which nothing fires on the probe batch: equal, and little is shown of them.
        largest_logit_difference: in float64.
        float32_flips: spikes that differ when both run in float32; no verdict, summation order alone can cause them.
    """

    edit: str
    num_spikes: int
    num_layers: int
    silent_layers: tuple[str, ...]
    largest_logit_difference: float
    float32_flips: int

    def to_json(self) -> dict[str, Any]:
        """Return the proof as JSON data."""
        return {**vars(self), "silent_layers": list(self.silent_layers)}

    def __str__(self) -> str:
        """Say in a line what was shown, and of which layers little."""
        if not self.num_layers:
            return f"{self.edit} proved: logits within {self.largest_logit_difference:.1g} in float64"
        told = (
            f"{self.edit} proved: {self.num_spikes:,} spikes of {self.num_layers} layers equal in float64, "
            f"{self.float32_flips:,} differ in float32"
        )
        if not self.silent_layers:
            return told
        silent = listed(list(map(repr, self.silent_layers)), _NUM_SHOWN)
        return f"{told}; little is shown of layers that stay silent on the batch: {silent}"


@dataclass(frozen=True)
class Difference:
    """Say how far two networks of the same layers are apart on a batch, in the precision that they have.

    Attributes:
        num_outputs: outputs of neurons that were compared, spikes and silences.
        flipped: how many of them differ.
        by_layer: those of each layer in which any differs.
        largest_logit_difference: over all samples and classes.
        predictions_changed: samples that are put into another class, by the mean over time.
    """

    num_outputs: int
    flipped: int
    by_layer: Mapping[str, int]
    largest_logit_difference: float
    predictions_changed: int

    def to_json(self) -> dict[str, Any]:
        """Return the difference as JSON data."""
        return {**vars(self), "by_layer": dict(self.by_layer)}


def spike_difference(before: Network, after: Network, probe: Tensor) -> Difference:
    """Run both networks on ``probe`` in evaluation mode and count what differs; layers are compared by their paths."""
    state = torch.get_rng_state()
    expected, old = spike_trains(before, probe)
    torch.set_rng_state(state)
    found, new = spike_trains(after, probe)
    layers = {path: int((old[path] != spikes).sum()) for path, spikes in new.items() if path in old}
    changed = found.mean().argmax(-1) != expected.mean().argmax(-1)
    return Difference(
        sum(new[path].numel() for path in layers),
        sum(layers.values()),
        {path: count for path, count in layers.items() if count},
        float((expected.logits - found.logits).abs().max()),
        int(changed.sum()),
    )


def spike_trains(network: Network, x: Tensor) -> tuple[Output, dict[str, Tensor]]:
    """Run ``network`` in evaluation mode from a cleared state; return its output and each neuron's spikes.

    Spikes are stacked over calls: a neuron that is called once for all steps keeps the layout that it emits, and one that
    emits several shapes none. Layers come in the order in which they first fire.
    """
    calls: dict[str, list[Tensor]] = {}
    with ExitStack() as stack, torch.no_grad():
        for neuron in network.neurons:
            stack.callback(
                neuron.module.register_forward_hook(_recorder(neuron.path, neuron.backend.spikes, calls)).remove
            )
        stack.enter_context(evaluating(network.module))
        network.reset()
        output = network.forward(x)
        network.reset()
    return output, {path: _stacked(seen) for path, seen in calls.items()}


def _stacked(seen: Sequence[Tensor]) -> Tensor:
    if len(seen) == 1:
        return seen[0]
    if len({spikes.shape for spikes in seen}) == 1:
        return torch.stack(list(seen))
    return torch.cat([spikes.flatten() for spikes in seen])


def prove(before: Network, after: Network, edit: Edit, probe: Tensor) -> Proof:
    """Compare ``after`` with ``before`` (masked where ``edit`` is a slice) on ``probe``; raise ProofError if they differ.

    Raises ProofError too where a proof would prove nothing: norms that have seen no data, a network in which nothing fires,
    an ANN that gives every sample the same logits, a network that does not run in float64; and EditError where ``after`` does not run.
    """
    _require_live_norms(before, probe)
    reference = before.with_weights(masked_like(before, edit)) if isinstance(edit, Slice) else before
    kept = {item.neuron: item for item in edit.spikes} if isinstance(edit, Slice) else {}
    spikes, difference = _compare_float64(reference, after, kept, probe)
    silent = tuple(sorted(path for path, number in spikes.items() if not number))
    flips = _flips(reference, after, kept, probe)
    return Proof(str(edit.to_json()["edit"]), sum(spikes.values()), len(spikes), silent, difference, flips)


def float64_fault(network: Network, x: Tensor) -> str:
    """Say why a network that runs on ``x`` does not run in float64, in evaluation mode; nothing if it does."""
    try:
        with leaving_generators():
            spike_trains(network.in_float64(), x.double())
    except DOES_NOT_COMPUTE as error:
        return no_float64(error)
    return ""


def no_float64(error: Exception) -> str:
    """Say that a network which runs in float32 does not in float64, and what to write instead."""
    line = str(error).strip().partition("\n")[0]
    return (
        f"the network does not run in float64, and networks are compared in it ({type(error).__name__}: {line}); where "
        "its code casts to float32 (`x.float()`), write `x.to(self.fc.weight.dtype)`, with a layer of yours for `fc`, and keep "
        "constants in a buffer: `self.register_buffer(NAME, ...)`"
    )


def masked_like(network: Network, edit: Slice) -> dict[str, Tensor]:
    """Return the tensors of ``edit`` with everything it cuts away set to zero, in synapses and in norms.

    A norm's shift makes a channel fire although its weights are zero, so scale and shift are cleared too.
    """
    clearable = _clearable(network)
    parameters = {name for name, _ in network.module.named_parameters()}
    tensors = network.tensors
    cleared: dict[str, Tensor] = {}
    for cut in edit.cuts:
        if cut.tensor not in parameters or cut.tensor.rpartition(".")[0] not in clearable:
            continue
        value = cleared.get(cut.tensor, tensors[cut.tensor].detach().clone())
        gone = sorted(set(range(value.shape[cut.axis])) - set(cut.keep))
        cleared[cut.tensor] = value.index_fill(cut.axis, torch.tensor(gone, dtype=torch.long, device=value.device), 0)
    return cleared


def _clearable(network: Network) -> set[str]:
    """Return the paths of synapses, norms and layers of scales; what neurons hold is no signal and stays."""
    inventory = network.inventory
    layers = {part.path for part in inventory.parts if part.roles & {"synapse", "norm"}}
    scales = {tensor.module for tensor in inventory.tensors if len(tensor.shape) > 1}
    return layers | (scales - {item.path for item in network.owners.owned})


def _compare_float64(
    reference: Network, after: Network, kept: Mapping[str, Any], probe: Tensor
) -> tuple[dict[str, int], float]:
    """Return how many spikes each layer emits, all of them equal, and the largest difference of logits."""
    generator_state = torch.get_rng_state()
    expected, expected_spikes = _run_before(reference, probe)
    torch.set_rng_state(generator_state)
    found, found_spikes = _run_after(after, probe)
    is_ann = _is_ann(reference) and _is_ann(after)
    counted = {path: int((value != 0).sum()) for path, value in found_spikes.items()}
    if not any(counted.values()) and not is_ann:
        raise ProofError(
            "no neuron fires on the probe batch, so nothing can be proved; train the network or calibrate its norms first"
        )
    for path, spikes in found_spikes.items():
        _require_equal(path, _kept(expected_spikes, kept, path, spikes), spikes)
    difference = float((expected.logits - found.logits).abs().max())
    if is_ann:
        _require_equal_relatively(expected.logits, difference)
    elif not difference <= LOGIT_TOLERANCE:
        raise ProofError(f"logits differ by {difference:.3g} in float64 although every spike is equal")
    return counted, difference


def _run_before(reference: Network, probe: Tensor) -> tuple[Output, dict[str, Tensor]]:
    try:
        return spike_trains(reference.in_float64(), probe.double())
    except DOES_NOT_COMPUTE as error:
        with leaving_generators():
            spike_trains(reference, probe)  # where it does not run at all, that is the fault
        raise ProofError(f"nothing can be proved: {no_float64(error)}") from error


def _run_after(after: Network, probe: Tensor) -> tuple[Output, dict[str, Tensor]]:
    try:
        return spike_trains(after.in_float64(), probe.double())
    except DOES_NOT_RUN as error:
        raise EditError(f"the network does not run after this edit ({error})") from error


def _is_ann(network: Network) -> bool:
    return network.time.runner == "none" and not network.neurons


def _require_equal_relatively(logits_BC: Tensor, difference: float) -> None:
    """Compare in parts of the largest logit, and refuse logits that no input moves by as much."""
    largest = float(logits_BC.abs().max())
    if not difference <= LOGIT_TOLERANCE * largest:
        raise ProofError(f"logits as large as {largest:.3g} differ by {difference:.3g} in float64")
    if not float((logits_BC - logits_BC[:1]).abs().max()) > LOGIT_TOLERANCE * largest:
        raise ProofError(
            "every sample of the probe batch gets the same logits, so nothing can be proved; train the network first, "
            "and give a batch of several samples"
        )


def _require_equal(path: str, expected: Tensor | None, found: Tensor) -> None:
    if expected is None:
        raise ProofError(f"layer {path!r} fires only after the edit")
    if expected.shape != found.shape:
        raise ProofError(
            f"layer {path!r} emits {list(found.shape)} after the edit and {list(expected.shape)} before it; "
            "the edit must say how its spikes shrink"
        )
    if differing := int((expected != found).sum()):
        raise ProofError(
            f"the first differing layer is {path!r}: {differing} of {found.numel()} outputs differ in float64"
        )


def _kept(spikes: Mapping[str, Tensor], kept: Mapping[str, Any], path: str, like: Tensor) -> Tensor | None:
    """Return what remains of a neuron's spikes, laid out as those after the edit where axes were joined."""
    value = spikes.get(path)
    if value is None or path not in kept:
        return value
    item = kept[path]
    axis = item.axis % value.dim()
    value = value.flatten(axis, axis + item.joined - 1)
    value = value.index_select(axis, torch.tensor(item.keep, device=value.device))
    return value.reshape(like.shape) if value.numel() == like.numel() and item.joined > 1 else value


def _flips(reference: Network, after: Network, kept: Mapping[str, Any], probe: Tensor) -> int:
    generator_state = torch.get_rng_state()
    _, expected = spike_trains(reference, probe)
    torch.set_rng_state(generator_state)
    _, found = spike_trains(after, probe)
    pairs = ((_kept(expected, kept, path, spikes), spikes) for path, spikes in found.items())
    return sum(int((before != spikes).sum()) for before, spikes in pairs if before is not None)


def _require_live_norms(network: Network, probe: Tensor) -> None:
    """Raise ProofError where a norm that has seen no data runs; one of a time step that is never taken shows nothing."""
    unseen = {path: norm for path, norm in network.module.named_modules() if _has_seen_nothing(norm)}
    if not unseen:
        return
    ran: list[str] = []
    with ExitStack() as stack:
        for path, norm in unseen.items():
            stack.callback(norm.register_forward_hook(lambda *_, path=path: ran.append(path)).remove)
        stack.enter_context(leaving_generators())
        spike_trains(network, probe)
    if ran:
        raise ProofError(
            f"norm {ran[0]!r} has seen no data, so nothing can be proved; train the network or calibrate its norms first"
        )


def _has_seen_nothing(norm: nn.Module) -> bool:
    seen = getattr(norm, "num_batches_tracked", None)
    return isinstance(seen, Tensor) and not int(seen)


def _recorder(path: str, spikes: Any, calls: dict[str, list[Tensor]]) -> Any:
    def record(module: nn.Module, _: Any, output: Any) -> None:
        calls.setdefault(path, []).append(spikes(module, output).detach().clone())

    return record
