"""Settings of the training loop, shared by every strategy that trains."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_serializer

from snncompress.errors import did_you_mean
from snncompress.settings import Count, Number, Settings

_LONG = 10
"""Epochs from which the default warm-up is one epoch, however many more a schedule has."""

Loss = Annotated[
    str,
    Field(
        pattern=r"^(cross_entropy|membrane_cross_entropy|tet|spike_count_mse|[A-Za-z_][\w.]*:[A-Za-z_]\w*)$",
        description="`cross_entropy` on the mean output over time, `membrane_cross_entropy` on the membranes of the last "
        "layer at every step, `tet` (cross entropy at every step), `spike_count_mse`, or your own `MODULE:FUNCTION`, "
        "called as function(output, labels_B).",
    ),
]


SMOOTHED = ("cross_entropy", "membrane_cross_entropy", "tet")
"""Losses that label smoothing applies to."""


class Training(Settings):
    """Say how weights are trained: epochs, optimiser, schedule, loss.

    Optimisers and schedulers are timm's, by the names that timm gives them.
    """

    epochs: Count = Field(description="Passes over the training data.")
    batch_size: Annotated[int, Field(ge=1)] = Field(50, description="Samples in one optimiser step.")
    optimizer: str = Field("adamw", description="Name of a timm optimiser: adamw, sgd, lamb, ...")
    lr: Annotated[Number, Field(gt=0)] = Field(2e-3, description="Learning rate behind the warm-up, the highest.")
    momentum: Annotated[Number, Field(ge=0, lt=1)] | None = Field(
        None, description="Momentum of optimisers that have one (sgd, rmsprop, ...); their own default if null."
    )
    weight_decay: Annotated[Number, Field(ge=0)] = Field(
        0.01, description="Weight decay; not applied to norms, biases and neurons."
    )
    schedule: Literal["cosine", "constant", "step"] = Field(
        "cosine", description="How the learning rate falls, at every optimiser step."
    )
    warmup_epochs: Annotated[Number, Field(ge=0)] | None = Field(
        None,
        description="Epochs over which the learning rate rises from zero. If null: one epoch, or a tenth of the schedule "
        "where that is shorter.",
    )
    decay_epochs: Annotated[Number, Field(gt=0)] = Field(
        30, description="Epochs between two decays by ten (`schedule: step`)."
    )
    label_smoothing: Annotated[Number, Field(ge=0, lt=1)] = Field(
        0.0, description="Label smoothing of the cross entropies."
    )
    clip_gradient: Annotated[Number, Field(gt=0)] | None = Field(
        None, description="Largest norm of the gradient; none if null."
    )
    precision: Literal["float32", "bfloat16"] = Field(
        "float32", description="Precision of the forward pass (accelerate)."
    )
    loss: Loss = "cross_entropy"

    def warmup(self, num_epochs: int) -> float:
        """Return the epochs of warm-up in a schedule of ``num_epochs``, those before a rewinding point included."""
        return min(1, num_epochs / _LONG) if self.warmup_epochs is None else self.warmup_epochs

    @field_serializer("warmup_epochs")
    def _warmup_in_json(self, value: float | None) -> float | None:
        """Write the one epoch that is the default of every training this long; keys of earlier versions stay valid."""
        return 1.0 if value is None and self.epochs >= _LONG else value


def smoothing_fault(training: Training) -> tuple[str, str, str] | None:
    """Return the setting, what is wrong with it and a hint, if labels are to be smoothed for a loss that does not do so."""
    if not training.label_smoothing or training.loss in SMOOTHED:
        return None
    what = f"loss {training.loss!r} has no label smoothing"
    return "label_smoothing", what, f"leave it out, or choose from {', '.join(SMOOTHED)}"


def optimizer_fault(training: Training) -> tuple[str, str, str] | None:
    """Return the setting, what is wrong with it and a hint, if timm has no such optimiser or it has no momentum."""
    if (training.optimizer, training.momentum) == ("adamw", None):
        return None  # the default is known without the seconds that timm takes to import
    from timm.optim import (  # type: ignore[attr-defined] # public there, and defined elsewhere
        get_optimizer_info,
        list_optimizers,
    )

    known = [str(name) for name in list_optimizers()]
    if training.optimizer not in known:
        return "optimizer", f"timm has no optimizer {training.optimizer!r}", did_you_mean(training.optimizer, known)
    if training.momentum is not None and not get_optimizer_info(training.optimizer).has_momentum:
        return "momentum", f"optimizer {training.optimizer!r} has no momentum", "leave it out, or choose sgd"
    return None
