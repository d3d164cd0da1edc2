"""Whether a fast way computes the same: spikes of every layer and gradients, in float64 and beside the noise of float32."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch
from speed_cases import Live
from torch import Tensor

from snncompress import Network, accelerated

NOT_ZERO = 1e-9
"""A tensor counts if its largest gradient in float64 is at least this part of the network's: that of a bias before a norm is zero."""

_PROBED = 2
"""Samples on which ways are found; what is compared here are whole batches."""


@dataclass(frozen=True)
class Seen:
    """What one pass showed.

    Attributes:
        spikes: whether each neuron fired, by path.
        gradients: by parameter, in float64; empty in evaluation.
        logits: in float64.
    """

    spikes: Mapping[str, Tensor]
    gradients: Mapping[str, Tensor]
    logits: Tensor


def report(live: Live, paths: tuple[str, ...]) -> dict[str, Any]:
    """Compare every path with the library's own way, in both precisions, training and evaluation."""
    batch = live.case.equality_batch
    live = replace(live, x_TBCHW=live.x_TBCHW[:, :batch], labels_B=live.labels_B[:batch])
    exact, in_float64 = _in_float64(live, paths)
    return {"batch": len(live.labels_B), "float64": in_float64, "float32": _in_float32(live, paths, exact)}


def is_equal(found: Mapping[str, Any], tolerance: float = 1e-9) -> bool:
    """Tell whether a path computed in float64 what the library does."""
    gaps = (found["gradient_gap"], found["logit_gap"], found["logit_gap_evaluation"])
    return not found["spikes_differing"] and not found["spikes_differing_evaluation"] and max(gaps) <= tolerance


def _in_float64(live: Live, paths: tuple[str, ...]) -> tuple[Seen, dict[str, Any]]:
    double = replace(live, network=live.network.in_float64(), x_TBCHW=_doubled(live.x_TBCHW))
    own = {training: _seen(double, double.network.copy(), training=training) for training in (True, False)}
    found = {}
    for path in paths:
        fast = accelerated(double.network.copy(), path, probe=double.x_TBCHW[:, :_PROBED])  # type: ignore[arg-type] # one of the literals
        evaluated, trained = (_seen(double, fast, training=training) for training in (False, True))
        gaps = _gradient_gaps(own[True], trained, own[True])
        found[path] = {
            "spikes": sum(value.numel() for value in own[True].spikes.values()),
            "spikes_differing": _flips(own[True], trained),
            "spikes_differing_evaluation": _flips(own[False], evaluated),
            **_summed("gradient_gap", gaps),
            "logit_gap": _gap(own[True].logits, trained.logits),
            "logit_gap_evaluation": _gap(own[False].logits, evaluated.logits),
        }
    return own[True], found


def _in_float32(live: Live, paths: tuple[str, ...], exact: Seen) -> dict[str, Any]:
    own, threads = _seen(live, live.network.copy(), training=True), torch.get_num_threads()
    seen = {"library": own}
    with _threads(1 if threads > 1 else 2) as name:
        seen[f"library, {name}"] = _seen(live, live.network.copy(), training=True)
    with torch.backends.mkldnn.flags(enabled=False, allow_tf32=None):
        seen["library, no oneDNN"] = _seen(live, live.network.copy(), training=True)
    for path in paths:
        fast = accelerated(live.network.copy(), path, probe=live.x_TBCHW[:, :_PROBED])  # type: ignore[arg-type] # one of the literals
        seen[path] = _seen(live, fast, training=True)
    return {
        name: {
            "spikes": sum(value.numel() for value in own.spikes.values()),
            "spikes_differing": _flips(own, one),
            "first_differing": _first(own, one),
            "spikes_differing_from_float64": _flips(exact, one),
            **_summed("gradient_gap", _gradient_gaps(own, one, exact)),
            **_summed("gradient_gap_from_float64", _gradient_gaps(exact, one, exact)),
        }
        for name, one in seen.items()
    }


def _summed(name: str, gaps: Mapping[str, float]) -> dict[str, Any]:
    worst = max(gaps, key=lambda one: gaps[one])
    return {name: gaps[worst], f"{name}_median": statistics.median(gaps.values()), f"{name}_worst": worst}


def _seen(live: Live, network: Network, *, training: bool) -> Seen:
    """Run one pass and return what it shows."""
    calls: dict[str, list[Tensor]] = {}
    network.module.train(training)
    with ExitStack() as stack, torch.set_grad_enabled(training):
        for item in network.neurons:
            hook = _recorder(item.path, item.backend.spikes, calls)
            stack.callback(item.module.register_forward_hook(hook).remove)
        output = network.forward(live.x_TBCHW)
        if training:
            live.loss(output).backward()
    network.reset()
    gradients = {
        name: value.grad.double() for name, value in network.module.named_parameters() if value.grad is not None
    }
    spikes = {path: torch.stack(seen).flatten() for path, seen in calls.items()}
    return Seen(spikes, gradients, output.logits.detach().double())


def _recorder(path: str, spikes: Any, calls: dict[str, list[Tensor]]) -> Any:
    def record(module: Any, _: Any, output: Any) -> None:
        calls.setdefault(path, []).append(spikes(module, output).detach() != 0)

    return record


def _flips(one: Seen, other: Seen) -> int:
    return sum(int((spikes != other.spikes[path]).sum()) for path, spikes in one.spikes.items())


def _first(one: Seen, other: Seen) -> dict[str, Any] | None:
    """Name the first layer in which a spike differs, and how many: later layers differ because of it."""
    for path, spikes in one.spikes.items():
        if count := int((spikes != other.spikes[path]).sum()):
            return {"layer": path, "spikes": count}
    return None


def _gradient_gaps(expected: Seen, found: Seen, exact: Seen) -> dict[str, float]:
    """Return for each tensor the largest difference as part of its largest gradient."""
    largest = max(float(value.abs().max()) for value in exact.gradients.values())
    names = [name for name, value in exact.gradients.items() if float(value.abs().max()) >= NOT_ZERO * largest]
    return {name: _gap(expected.gradients[name], found.gradients[name]) for name in names}


def _gap(expected: Tensor, found: Tensor) -> float:
    return float((found - expected).abs().max() / expected.abs().max())


def _doubled(x_TBCHW: Tensor) -> Tensor:
    """Return the batch in float64; one step, expanded, stays one."""
    repeats = x_TBCHW.stride(0) == 0
    return x_TBCHW[:1].double().expand(x_TBCHW.shape) if repeats else x_TBCHW.double()


@contextmanager
def _threads(count: int) -> Iterator[str]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield f"{count} thread{'s' if count > 1 else ''}"
    finally:
        torch.set_num_threads(before)
