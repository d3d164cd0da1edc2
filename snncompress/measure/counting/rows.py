"""Rows while they are being counted: one for each operation of each module, totals in whole numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from torch import Tensor

from snncompress.counts import Kind, Operand, Row

Amount = Tensor | int
"""A whole number, or one for each step, [S]."""


@dataclass(frozen=True)
class Amounts:
    """State what one call of one operation counted, for the whole batch."""

    dense: int
    num_steps: int = 1
    fanout: Amount = 0
    pairs: Amount = 0
    nonzero: tuple[Amount, ...] = ()
    sizes: tuple[int, ...] = ()


@dataclass
class OperandState:
    """What the values of one operand have been so far."""

    known: Operand | None = None
    is_binary: bool = True
    is_integer: bool = True

    @property
    def operand(self) -> Operand:
        """What the operand holds: spikes of any kind only if it never held anything else."""
        if self.is_binary:
            return self.known or "spikes"
        return "integers" if self.is_integer and self.known is None else "real"


@dataclass
class RowBuilder:
    """Gather the calls of one operation, forward by forward."""

    path: str
    operation: str
    kind: Kind
    states: list[OperandState]
    weights: int = 0
    weights_nonzero: int = 0
    is_first: bool = True
    repeats: bool = True
    scale_folded: bool = False
    calls: list[Amounts] = field(default_factory=list)
    totals: dict[str, list[int]] = field(default_factory=dict)
    nonzero: list[int] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)

    def close(self, timesteps: int, *, calls_are_steps: bool) -> None:
        """Add the calls of one forward to the totals, step by step where the calls tell their steps."""
        calls, self.calls = self.calls, []
        if not calls:
            return
        is_timed = all(call.num_steps == timesteps for call in calls)
        are_steps = calls_are_steps and not is_timed and len(calls) % timesteps == 0
        width = timesteps if is_timed or are_steps else 1
        found = {name: [0] * width for name in ("dense", "fanout", "pairs")}
        for index, call in enumerate(calls):
            amounts = {
                "dense": [call.dense // call.num_steps] * call.num_steps,
                "fanout": _numbers(call.fanout),
                "pairs": _numbers(call.pairs),
            }
            for name, numbers in amounts.items():
                _add(found[name], numbers, at=index * timesteps // len(calls) if are_steps else None)
        for name, numbers in found.items():
            self.totals[name] = _merged(self.totals.get(name), numbers)
        operands = range(len(self.states))
        self.nonzero = [
            before + sum(sum(_numbers(call.nonzero[k])) for call in calls)
            for k, before in zip(operands, self.nonzero or [0] * len(operands), strict=True)
        ]
        self.sizes = [
            before + sum(call.sizes[k] for call in calls)
            for k, before in zip(operands, self.sizes or [0] * len(operands), strict=True)
        ]

    def row(self) -> Row:
        """Return the finished row; a first layer whose input repeats does the same at each step, in whatever order they lie."""
        repeats = self.is_first and self.repeats
        if repeats:
            self.totals = {name: _evenly(numbers) for name, numbers in self.totals.items()}
        return Row(
            path=self.path,
            operation=self.operation,
            kind=self.kind,
            operands=tuple(state.operand for state in self.states),
            dense=tuple(self.totals["dense"]),
            fanout=tuple(self.totals["fanout"]),
            pairs=tuple(self.totals["pairs"]),
            nonzero=tuple(self.nonzero),
            sizes=tuple(self.sizes),
            weights=self.weights,
            weights_nonzero=self.weights_nonzero,
            is_first=self.is_first,
            repeats=repeats,
            scale_folded=self.scale_folded,
        )


def _numbers(amount: Amount) -> list[int]:
    if isinstance(amount, int):
        return [amount]
    values = amount.reshape(-1).tolist()
    return [int(value) for value in values]


def _add(totals: list[int], numbers: Sequence[int], *, at: int | None) -> None:
    if at is not None:
        totals[at] += sum(numbers)
    elif len(numbers) == len(totals):
        for step, number in enumerate(numbers):
            totals[step] += number
    else:
        totals[0] += sum(numbers)


def _evenly(numbers: list[int]) -> list[int]:
    each, rest = divmod(sum(numbers), len(numbers))
    return numbers if rest else [each] * len(numbers)


def _merged(before: list[int] | None, now: list[int]) -> list[int]:
    if before is None:
        return now
    if len(before) != len(now):  # timed in one forward and not in another: only the sum is sure
        return [sum(before) + sum(now)]
    return [one + other for one, other in zip(before, now, strict=True)]
