"""Rules that turn counted rows into accumulates and multiply-accumulates; each published convention is one choice here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from snncompress import OperationCounts, Row

ZeroWeights = Literal["skipped", "counted"]
"""Whether an operation with a zero weight costs energy."""

PJ_PER_MJ = 1e9


@dataclass(frozen=True)
class Work:
    """Hold operations over all samples: accumulates (AC) and multiply-accumulates (MAC)."""

    accumulates: float = 0
    multiplies: float = 0


def synapse_work(row: Row, *, is_accumulated: bool, zero_weights: ZeroWeights, once: bool = False) -> Work:
    """Return the operations of a row that meets weights.

    Args:
        row: the row.
        is_accumulated: whether its operand counts as spikes, so that a weight is only added.
        zero_weights: ``skipped`` takes pairs of what is not zero; ``counted`` takes what published tables do: fan-out
            for spikes, dense operations for the rest.
        once: whether only the first step counts.
    """
    per_step = weighed(row, is_accumulated=is_accumulated, zero_weights=zero_weights)
    return _as_work(per_step[0] if once else sum(per_step), is_accumulated=is_accumulated)


def weighed(row: Row, *, is_accumulated: bool, zero_weights: ZeroWeights) -> tuple[int, ...]:
    """Return how many weights a row uses at each step; see ``synapse_work``."""
    if zero_weights == "skipped":
        return row.pairs
    return row.fanout if is_accumulated else row.dense


def entries_work(row: Row) -> Work:
    """Return non-zero entries times non-zero weights, as MACs, of a row whose pairs count each of an entry's spikes.

    It is the dense number times the densities of both, which is exact on average only.
    """
    (density,) = row.densities
    return _as_work(sum(row.dense) * density * row.weights_nonzero / max(1, row.weights), is_accumulated=False)


def coincidence_work(row: Row, *, is_accumulated: bool) -> Work:
    """Return the products of two non-zero activations."""
    return _as_work(sum(row.pairs), is_accumulated=is_accumulated)


def bounded_work(row: Row, spikes: frozenset[str]) -> Work:
    """Return the dense products times the smallest density among the operands that are ``spikes``; MACs where none is.

    For (K^T V) of n tokens and d channels, both spikes, and Q (K^T V), where only Q is, this gives
    n d^2 min(fr_k, fr_v) + n d^2 fr_q for each step and head: Spikingformer's formula.
    """
    densities = [part for part, operand in zip(row.densities, row.operands, strict=True) if operand in spikes]
    return _as_work(sum(row.dense) * min(densities, default=1.0), is_accumulated=bool(densities))


def in_mj(counts: OperationCounts, work_of: Callable[[Row], Work], *, ac_pj: float, mac_pj: float) -> dict[str, float]:
    """Return the energy of one sample in mJ: accumulates and multiply-accumulates, of synapses and of attention."""
    parts: dict[str, float] = {}
    for kind in ("synapse", "attention"):
        works = [work_of(row) for row in counts.rows if row.kind == kind]
        parts[f"{kind}_ac"] = mj_of_sample(sum(work.accumulates for work in works), ac_pj, counts)
        parts[f"{kind}_mac"] = mj_of_sample(sum(work.multiplies for work in works), mac_pj, counts)
    return parts


def mj_of_sample(total: float, pj: float, counts: OperationCounts) -> float:
    """Return what ``total`` operations over all samples, of ``pj`` each, cost one sample, in mJ."""
    return total * pj / (max(1, counts.samples) * PJ_PER_MJ)


def _as_work(number: float, *, is_accumulated: bool) -> Work:
    return Work(accumulates=number) if is_accumulated else Work(multiplies=number)
