"""How many operations a network makes for a sample."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, Literal

from snncompress import Bench, Measurement, OperationCounts, Settings

if TYPE_CHECKING:
    from snncompress import Network

_WHAT = {
    "synops": "(spike, non-zero weight) pairs",
    "synops_fanout": "spikes times fan-out, zero weights included",
    "macs": "inputs that are not zero and no spikes, times non-zero weights",
    "dense_ops": "multiply-accumulates if nothing were sparse, attention included",
    "attention_ops": "products of two activations that are not zero",
}


class SynapticOperations(Settings):
    """Count the operations of a sample, over all time steps: exact on every test sample.

    `synops` is what event-driven hardware does: pairs of a spike and a weight that is not zero. `synops_fanout` counts
    zero weights too, as most published tables do. `macs` are the operations of layers whose input is no spikes.
    `attention_ops` multiply two activations and stand in neither. `dense_ops` is what a dense network of this shape does.
    """

    use: Literal["synops"] = "synops"

    needs: ClassVar[frozenset[str]] = frozenset({"counts"})

    def yields(self) -> tuple[str, ...]:
        """Name the five counts."""
        return tuple(_WHAT)

    def measure(self, network: Network, bench: Bench) -> Mapping[str, Measurement]:
        """Count over the test split."""
        counts = counts_of(network, bench)
        detail = counts.model_dump(mode="json")
        return {
            name: Measurement(
                value=getattr(counts, name),
                unit="operations per sample",
                how=f"{what}; {over(counts)}",
                better="lower",
                detail=detail if name == "synops" else None,
            )
            for name, what in _WHAT.items()
        }


def counts_of(network: Network, bench: Bench) -> OperationCounts:
    """Return what was counted over the test split."""
    counts = bench.observe(network, "counts").counts
    assert counts is not None  # noqa: S101 - it was asked for
    return counts


def over(counts: OperationCounts) -> str:
    """Say what the counts are a mean of."""
    return f"mean of {counts.samples} test samples, {counts.timesteps} time step(s) each"
