"""What was counted in one pass over samples: operations row by row, and the activity of each neuron layer; pure JSON.

Everything is an integer total over all samples, so that two countings can be compared to the last unit; the properties
give the mean of one sample. Lists that run over time have T entries, or one where the layer runs once for all steps.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from pydantic import BaseModel, ConfigDict

Kind = Literal["synapse", "attention", "bias", "norm", "neuron", "scale", "pool", "softmax", "other"]
"""What a row does: ``synapse`` multiplies an activation by weights, ``attention`` two activations with each other.

The others are no multiply-accumulates and stand in no total: a bias added, a norm, a neuron's update, a factor for each
channel, pooling, softmax, and ``other`` functions that are not linear; their ``dense`` counts elements.
"""

Operand = Literal["spikes", "scaled_spikes", "spike_counts", "integers", "real"]
"""What an operand holds, over all samples and steps.

``spikes``: nothing but -1, 0, 1. ``scaled_spikes``: spikes times a scale that their producer declares, which is folded into
the next weights. ``spike_counts``: whole numbers of spikes times such a scale (average-pooled spikes), each spike an event
of its own. ``integers``: whole numbers that nobody declares (a residual stream of sums). ``real``: anything else.
"""

EVENTS: frozenset[Operand] = frozenset({"spikes", "scaled_spikes", "spike_counts"})
"""Operands that event-driven hardware receives as spikes."""


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Row(_Entry):
    """Count one operation of one module.

    Attributes:
        path: full path of the module in which it runs; empty for the root.
        operation: ``linear``, ``conv2d``, ``matmul``, ``bias``, ``batch_norm``, ``max_pool2d``, ...
        kind: what it does.
        operands: what its operand holds; two for a product of two activations.
        dense: multiply-accumulates (elements, where it makes none) if nothing were sparse; padding counts, as in published FLOPs.
        fanout: spikes (non-zero inputs) times fan-out, zero weights included; 0 for products of two activations.
        pairs: (spike, non-zero weight) pairs, or (non-zero input, non-zero weight), or products of two non-zero activations.
        nonzero: non-zero entries of each operand, over all steps.
        sizes: entries of each operand, over all steps.
        weights: weights of the row, 0 where it has none.
        weights_nonzero: those that are not zero.
        is_first: whether its operand is the network's own input.
        repeats: whether that input is the same at every step, so that computing it once would do.
        scale_folded: whether a declared scale is folded into its weights.
    """

    path: str
    operation: str
    kind: Kind
    operands: tuple[Operand, ...] = ()
    dense: tuple[int, ...]
    fanout: tuple[int, ...] = (0,)
    pairs: tuple[int, ...] = (0,)
    nonzero: tuple[int, ...] = ()
    sizes: tuple[int, ...] = ()
    weights: int = 0
    weights_nonzero: int = 0
    is_first: bool = False
    repeats: bool = False
    scale_folded: bool = False

    @property
    def is_event_driven(self) -> bool:
        """Whether every operand arrives as spikes."""
        return bool(self.operands) and EVENTS.issuperset(self.operands)

    @property
    def densities(self) -> tuple[float, ...]:
        """The part of each operand that is not zero."""
        return tuple(some / max(1, all_) for some, all_ in zip(self.nonzero, self.sizes, strict=True))


class OperationCounts(_Entry):
    """Hold the rows of one pass over ``samples`` samples of ``timesteps`` steps each."""

    samples: int
    timesteps: int
    rows: tuple[Row, ...]

    def of(self, kind: Kind) -> tuple[Row, ...]:
        """Return the rows of one kind."""
        return tuple(row for row in self.rows if row.kind == kind)

    @property
    def dense_ops(self) -> float:
        """Multiply-accumulates of a sample if nothing were sparse, attention included."""
        return self._mean(sum(row.dense) for row in self.rows if row.kind in ("synapse", "attention"))

    @property
    def synops_fanout(self) -> float:
        """Spikes times fan-out of a sample, zero weights included."""
        return self._mean(sum(row.fanout) for row in self.of("synapse") if row.is_event_driven)

    @property
    def synops(self) -> float:
        """(Spike, non-zero weight) pairs of a sample."""
        return self._mean(sum(row.pairs) for row in self.of("synapse") if row.is_event_driven)

    @property
    def macs(self) -> float:
        """Non-zero inputs that are no spikes, times non-zero weights, of a sample."""
        return self._mean(sum(row.pairs) for row in self.of("synapse") if not row.is_event_driven)

    @property
    def attention_ops(self) -> float:
        """Products of two non-zero activations of a sample."""
        return self._mean(sum(row.pairs) for row in self.of("attention"))

    def _mean(self, totals: Iterable[int]) -> float:
        return sum(totals) / max(1, self.samples)


class LayerActivity(_Entry):
    """State how active one neuron layer was.

    Attributes:
        path: full path of the neuron module.
        kind: class of the neuron.
        neurons: neurons of the layer (outputs of one sample at one step).
        spikes: spikes at each step, over all samples.
        outputs: outputs at each step, over all samples.
        dead: neurons that never fire.
        saturated: neurons that fire at every step of every sample.
        raster: the first sample, for up to 48 neurons spread over the layer: a text of T characters each, ``1`` for a spike.
    """

    path: str
    kind: str
    neurons: int
    spikes: tuple[int, ...]
    outputs: tuple[int, ...]
    dead: int
    saturated: int
    raster: tuple[str, ...] = ()

    @property
    def rates(self) -> tuple[float, ...]:
        """Spikes per neuron at each step."""
        return tuple(some / max(1, all_) for some, all_ in zip(self.spikes, self.outputs, strict=True))

    @property
    def rate(self) -> float:
        """Spikes per neuron and step."""
        return sum(self.spikes) / max(1, sum(self.outputs))


class Activity(_Entry):
    """Hold the activity of every neuron layer, in the order in which they first ran."""

    samples: int
    timesteps: int
    layers: tuple[LayerActivity, ...]

    @property
    def rate(self) -> float | None:
        """Spikes per neuron and step over all layers; None without neurons."""
        outputs = sum(sum(layer.outputs) for layer in self.layers)
        return sum(sum(layer.spikes) for layer in self.layers) / outputs if outputs else None
