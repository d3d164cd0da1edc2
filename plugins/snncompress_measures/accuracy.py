"""How often a network is right, also after fewer time steps."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from snncompress import Bench, Facts, Measurement, Problem, Settings, StepError

if TYPE_CHECKING:
    from snncompress import Network, Observation


class Accuracy(Settings):
    """Measure the part of test samples that is classified right, by the mean output over time.

    Where the output is one for each step, the accuracy after 1, 2, ... T steps comes with it, at no cost.
    """

    use: Literal["accuracy"] = "accuracy"
    by_time: bool = Field(
        False,
        description="Measure the accuracy after fewer steps also where the output is averaged over time: one pass for each "
        "number of steps.",
    )

    needs: ClassVar[frozenset[str]] = frozenset()

    @property
    def costly(self) -> bool:
        """Whether it may take a pass for each number of steps."""
        return self.by_time

    def yields(self) -> tuple[str, ...]:
        """Name the accuracy."""
        return ("accuracy",)

    def check(self, facts: Facts) -> Iterable[Problem]:
        """Refuse ``by_time`` where the network cannot run for fewer steps."""
        if not self.by_time or facts.time.output == "per_step" or facts.time.T == 1:
            return ()
        if not facts.time.settable:
            what = "this network's output is averaged over time, and its number of time steps is fixed"
        elif facts.inputs.kind == "frames":
            what = "this network's output is averaged over time, and event frames bring their number of time steps"
        else:
            return ()
        return (Problem(("by_time",), what, "leave it out, or give the network an output for each step"),)

    def measure(self, network: Network, bench: Bench) -> Mapping[str, Measurement]:
        """Classify the test split once."""
        seen = bench.observe(network)
        total = len(seen.predictions.labels_N)
        how = f"{seen.predictions.num_correct} of {total} test samples, mean output over {network.time.T} step(s)"
        return {
            "accuracy": Measurement(
                value=seen.predictions.accuracy,
                unit="1",
                how=how,
                better="higher",
                samples=total,
                chance=seen.predictions.chance,
                detail=_by_time(self._correct_by_step(network, bench, seen), total),
            )
        }

    def _correct_by_step(self, network: Network, bench: Bench, seen: Observation) -> tuple[int, ...] | None:
        """Return how many are right after 1, 2, ... T steps; the last is what the accuracy itself says."""
        from snncompress import Timesteps, predict

        shorter = seen.correct_by_step[:-1] if seen.correct_by_step is not None else None
        if shorter is None and self.by_time:
            _require_steps(network, bench)
            networks = (network.edited([Timesteps(steps)]) for steps in range(1, network.time.T))
            shorter = tuple(predict(one, bench).num_correct for one in networks)
        return None if shorter is None else (*shorter, seen.predictions.num_correct)


def _require_steps(network: Network, bench: Bench) -> None:
    """Raise StepError where the data bring their own number of steps; the plan tells, where there is one."""
    from snncompress import DataError, Timesteps, leaving_generators

    if network.time.input == "static" or network.time.T == 1:
        return
    with leaving_generators():
        x_B, _ = next(iter(bench.batches("test")))
        try:
            given = len(bench.encode(network.edited([Timesteps(1)]), x_B, bench.generator()))
        except DataError:  # frames, which bring as many as the network runs
            given = network.time.T
    if given != 1:
        what = f"the data bring {given} time steps, and the network cannot be shown fewer"
        raise StepError(f"metric 'accuracy': by_time: {what}; leave it out")


def _by_time(correct_by_step: tuple[int, ...] | None, total: int) -> dict[str, Any] | None:
    if correct_by_step is None or len(correct_by_step) == 1:
        return None
    return {"by_time": [correct / max(1, total) for correct in correct_by_step], "samples": total}
