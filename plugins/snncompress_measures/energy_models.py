"""Energy models: published conventions that turn counted operations into millijoules."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from snncompress import Number, OperationCounts, Row, Settings
from snncompress_measures.energy_rules import (
    Work,
    ZeroWeights,
    bounded_work,
    coincidence_work,
    entries_work,
    in_mj,
    mj_of_sample,
    synapse_work,
    weighed,
)

Picojoules = Annotated[Number, Field(ge=0)]

_HOROWITZ = "Horowitz, 'Computing's energy problem', ISSCC 2014: 32-bit floating point in 45 nm CMOS"
_LEFT_OUT = "biases, norms, neuron updates, pooling and memory are left out"
_ZERO_WEIGHTS = (
    "`skipped`: an operation with a zero weight or a zero input costs nothing. `counted`, as in published tables: "
    "a spike costs its whole fan-out, and any other input the dense layer."
)
_AC, _MAC = "Energy of one accumulate, in pJ.", "Energy of one multiply-accumulate, in pJ."

_BINARY = frozenset({"spikes", "scaled_spikes"})


def _plain_work(row: Row, zero_weights: ZeroWeights) -> Work:
    if row.kind == "attention":
        return coincidence_work(row, is_accumulated=row.is_event_driven)
    return synapse_work(row, is_accumulated=row.is_event_driven, zero_weights=zero_weights)


class _Priced45nm(Settings):
    """Price accumulates and multiply-accumulates; a convention says by ``_work`` which of them a row is."""

    ac_pj: Picojoules = Field(0.9, description=_AC)
    mac_pj: Picojoules = Field(4.6, description=_MAC)
    zero_weights: ZeroWeights = Field("skipped", description=_ZERO_WEIGHTS)

    def energy(self, counts: OperationCounts) -> Mapping[str, float]:
        """Return the parts of the energy of one sample, in mJ."""
        return in_mj(counts, self._work, ac_pj=self.ac_pj, mac_pj=self.mac_pj)

    def _work(self, row: Row) -> Work:
        return _plain_work(row, self.zero_weights)


class Compute45nm(_Priced45nm):
    """Take 0.9 pJ for each accumulate and 4.6 pJ for each multiply-accumulate; compute only."""

    use: Literal["45nm"] = "45nm"

    source: ClassVar[str] = _HOROWITZ
    scope: ClassVar[str] = (
        "compute only: a spike that meets a weight and two spikes that meet in attention are ACs, every other product "
        f"is a MAC; {_LEFT_OUT}"
    )


class Memory45nm(_Priced45nm):
    """Add to `45nm` the bytes that move: 24.96 pJ for each byte of a weight, a bias or a neuron's state.

    A weight is read whenever a spike (or another input that is not zero) meets it, a bias once for each output, and
    one state of each neuron is read and written at each step. Nothing is cached or reused. Not counted: activations,
    spikes, addresses, the operands of attention, norms.
    """

    use: Literal["45nm_memory"] = "45nm_memory"
    byte_pj: Picojoules = Field(24.96, description="Energy of one byte read or written, in pJ.")
    bytes_per_value: int = Field(4, ge=1, description="Bytes of a weight, a bias or a state.")

    source: ClassVar[str] = (
        f"{_HOROWITZ}; 24.96 pJ a byte (3.12 pJ a bit) and the accesses that count: SpikingJelly 2.0, SimpleEnergyProfiler"
    )
    scope: ClassVar[str] = (
        "compute as 45nm, and memory: a weight for each of its operations, a bias for each output, one state of each "
        "neuron read and written at each step, no reuse; activations, addresses and attention's operands are left out"
    )

    def energy(self, counts: OperationCounts) -> Mapping[str, float]:
        """Return the parts of the energy of one sample, in mJ."""
        compute = dict(super().energy(counts))
        value_pj = self.byte_pj * self.bytes_per_value
        return compute | {name: mj_of_sample(number, value_pj, counts) for name, number in self._moved(counts).items()}

    def _moved(self, counts: OperationCounts) -> dict[str, int]:
        states = sum(sum(row.dense) for row in counts.of("neuron"))
        weights = (
            weighed(row, is_accumulated=row.is_event_driven, zero_weights=self.zero_weights)
            for row in counts.of("synapse")
        )
        return {
            "weight_reads": sum(map(sum, weights)),
            "bias_reads": sum(sum(row.dense) for row in counts.of("bias")),
            "state_reads": states,
            "state_writes": states,
        }


class Spikformer(_Priced45nm):
    """Take whole numbers inside the network, a residual stream of summed spikes, for spikes too."""

    use: Literal["spikformer"] = "spikformer"

    source: ClassVar[str] = f"Zhou et al., 'Spikformer', ICLR 2023; {_HOROWITZ}"
    scope: ClassVar[str] = (
        "as 45nm, but one AC for each input that is a whole number, however large, except the network's own input; "
        f"{_LEFT_OUT}"
    )

    def _work(self, row: Row) -> Work:
        is_accumulated = row.is_event_driven or not (row.is_first or "real" in row.operands)
        if row.kind == "attention":
            return coincidence_work(row, is_accumulated=is_accumulated)
        return synapse_work(row, is_accumulated=is_accumulated, zero_weights=self.zero_weights)


class Spikingformer(_Priced45nm):
    """Take every input that is not binary for a MAC, and for attention the densities of its operands."""

    use: Literal["spikingformer"] = "spikingformer"

    source: ClassVar[str] = f"Zhou et al., 'Spikingformer', 2023, and its operation counter syops; {_HOROWITZ}"
    scope: ClassVar[str] = (
        "as 45nm, but a weight met by anything else than one spike is a MAC, pooled and summed spikes too (pooled ones "
        "by the densities of input and weights); attention "
        f"costs its dense products times the smaller density of its spikes, ACs; {_LEFT_OUT}"
    )

    def _work(self, row: Row) -> Work:
        if row.kind == "attention":
            return bounded_work(row, _BINARY)
        if self.zero_weights == "skipped" and row.operands == ("spike_counts",):
            return entries_work(row)
        return synapse_work(row, is_accumulated=_BINARY.issuperset(row.operands), zero_weights=self.zero_weights)


class SpikeDrivenTransformer(_Priced45nm):
    """Count the first layer once, not at every step, where its input is the same at every step."""

    use: Literal["sdt"] = "sdt"

    source: ClassVar[str] = f"Yao et al., 'Spike-driven Transformer', NeurIPS 2023; {_HOROWITZ}"
    scope: ClassVar[str] = (
        f"as 45nm, but a layer on the network's own input counts for one step where that input repeats; {_LEFT_OUT}"
    )

    def _work(self, row: Row) -> Work:
        if not (row.kind == "synapse" and row.is_first and row.repeats):
            return _plain_work(row, self.zero_weights)
        return synapse_work(row, is_accumulated=row.is_event_driven, zero_weights=self.zero_weights, once=True)


class Neuromorphic77fj(Settings):
    """Take 77 fJ for each synaptic operation and 12.5 pJ for each floating-point operation."""

    use: Literal["77fj"] = "77fj"
    synop_pj: Picojoules = Field(0.077, description="Energy of one synaptic operation, in pJ.")
    flop_pj: Picojoules = Field(12.5, description="Energy of one floating-point multiply-accumulate, in pJ.")
    zero_weights: ZeroWeights = Field("skipped", description=_ZERO_WEIGHTS)

    source: ClassVar[str] = (
        "Qiao et al., 'ROLLS', Frontiers in Neuroscience 2015 (77 fJ); Hu et al., 'Spiking deep residual networks', 2018 "
        "(both figures side by side)"
    )
    scope: ClassVar[str] = (
        "a neuromorphic chip: the ACs of 45nm are synaptic operations; every other product is one floating-point "
        f"operation on a digital processor; {_LEFT_OUT}"
    )

    def energy(self, counts: OperationCounts) -> Mapping[str, float]:
        """Return the parts of the energy of one sample, in mJ."""
        work_of = partial(_plain_work, zero_weights=self.zero_weights)
        return in_mj(counts, work_of, ac_pj=self.synop_pj, mac_pj=self.flop_pj)
