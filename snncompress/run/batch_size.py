"""The size of training batches where a user's own loader decides, and not the settings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from snncompress.errors import InputError

if TYPE_CHECKING:
    from snncompress.components import Data
    from snncompress.record import StepRecord
    from snncompress.strategy import Strategy


def require_batch_size(steps: Sequence[Strategy], data: Data) -> None:
    """Raise InputError where a step was given another batch size than that of the training loader."""
    from snncompress.measure import batch_size_of

    decided = batch_size_of(data.train)
    for index, step in enumerate(steps):
        training = step.training()
        if decided is None or training is None or "batch_size" not in training.model_fields_set:
            continue
        if training.batch_size != decided:
            raise InputError(
                f"steps.{index}: batch_size is {training.batch_size}, but the loader of the training data decides, and its "
                f"batches have {decided} samples; leave it out, or return a data set in the place of the loader"
            )


def with_batch_sizes(pipeline: dict[str, Any], steps: Sequence[StepRecord]) -> dict[str, Any]:
    """Return a pipeline as JSON data with the batch sizes that its steps have really used."""
    return {**pipeline, "steps": [_with_used(own, step) for own, step in zip(pipeline["steps"], steps, strict=True)]}


def _with_used(settings: Any, step: StepRecord) -> Any:
    trainings = step.notes.get("training", {}).values()
    used = next((training["batch_size"] for training in trainings if "batch_size" in training), None)
    return settings if used is None else _replaced(settings, used)


def _replaced(settings: Any, used: int) -> Any:
    if not isinstance(settings, dict):
        return settings
    return {name: used if name == "batch_size" else _replaced(value, used) for name, value in settings.items()}
