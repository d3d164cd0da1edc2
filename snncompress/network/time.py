"""How a network runs in time."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from snncompress.arguments import shown
from snncompress.errors import ModelError, did_you_mean

Runner = Literal["multi_step", "per_step", "inside", "none"]
Layout = Literal["per_step", "averaged"]
Input = Literal["sequence", "static"]


@dataclass(frozen=True)
class Time:
    """Declare how a network runs in time.

    Attributes:
        runner: ``multi_step`` (the module takes x_T...), ``per_step`` (it takes one step and keeps state),
            ``inside`` (it loops over time within ``forward``), ``none`` (an ANN).
        T: number of time steps; 1 for an ANN.
        settable: whether T can be changed.
        output: ``per_step`` [T, B, C] or ``averaged`` [B, C].
        input: ``sequence`` x_T... or ``static`` x_B... (ANNs, and loops that repeat a still image themselves).
        records: what the module returns, in order; ``output`` and perhaps ``membranes``, each laid out as ``output`` says.
        attribute: where ``inside`` keeps its number of steps, a dotted path from the root module.
    """

    runner: Runner
    T: int = 1
    settable: bool = True
    output: Layout = "per_step"
    input: Input = "sequence"
    records: tuple[Literal["output", "membranes"], ...] = ("output",)
    attribute: str | None = None

    def __post_init__(self) -> None:
        self._require_known_words()
        if not isinstance(self.T, int) or isinstance(self.T, bool) or self.T < 1:
            raise ModelError(f"T must be a whole number of at least 1, not {shown(self.T)}")
        if not isinstance(self.records, (tuple, list)):
            raise ModelError(f"records should be a list such as ('output', 'membranes'), not {shown(self.records)}")
        if "output" not in self.records or not {*self.records} <= {"output", "membranes"}:
            raise ModelError(f"records must name 'output' and perhaps 'membranes', not {list(self.records)}")
        if self.runner == "none" and (self.T, self.input, self.output) != (1, "static", "averaged"):
            raise ModelError("runner 'none' is an ANN: T is 1, input 'static' and output 'averaged'")
        if self.runner == "inside" and self.input == "static" and self.settable and not self.attribute:
            raise ModelError(
                "a loop inside forward over a static input needs `attribute`, the place of its number of steps; or settable=False"
            )

    def _require_known_words(self) -> None:
        for name, words in (("runner", get_args(Runner)), ("output", get_args(Layout)), ("input", get_args(Input))):
            given = getattr(self, name)
            if not isinstance(given, str) or given not in words:
                raise ModelError(f"{name} {shown(given)} is unknown; {did_you_mean(str(given), words)}")

    def to_json(self) -> dict[str, Any]:
        """Return the declaration as JSON data."""
        return {**asdict(self), "records": list(self.records)}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Time:
        """Return the declaration that ``to_json`` wrote."""
        try:
            return cls(**{**data, "records": tuple(data.get("records", ("output",)))})
        except TypeError as error:
            raise ModelError(f"time: {error}; known: {', '.join(cls.__dataclass_fields__)}") from error
