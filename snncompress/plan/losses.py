"""Whether a loss of a user's own can be called as training calls it, tried before anything is trained."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from snncompress.errors import ModelError, SnncompressError
from snncompress.plugins import guarded

if TYPE_CHECKING:
    from snncompress.network import Time

_SAMPLES = 2


def loss_fault(loss: Any, time: Time, num_classes: int) -> str:
    """Say what is wrong with a loss; nothing if it gives one number for a blank output.

    Errors that a blank output may cause by itself are left to the training.
    """
    import torch

    from snncompress.network import Output, leaving_generators

    if isinstance(loss, type):
        return "is a class and would be called as class(output, labels_B); name a function"
    if not callable(loss):
        return f"is {type(loss).__name__!r}, which cannot be called"
    averaged = time.output == "averaged"
    shape = (_SAMPLES, num_classes) if averaged else (time.T, _SAMPLES, num_classes)
    logits = torch.full(shape, 0.5, requires_grad=True)
    membranes = torch.full(shape, 0.5, requires_grad=True) if "membranes" in time.records else None
    output, labels_B = Output(logits, averaged, membranes), torch.zeros(_SAMPLES, dtype=torch.long)
    try:
        with leaving_generators():
            value = guarded(lambda: loss(output, labels_B), "calling the loss", ModelError)
    except SnncompressError as error:
        if isinstance(error.__cause__, (TypeError, AttributeError)):
            return f"cannot be called as function(output, labels_B): {str(error.__cause__).splitlines()[0]}"
        return ""
    if not isinstance(value, torch.Tensor) or value.numel() != 1:
        return f"returns {_spoken(value)} and not one number"
    return ""


def _spoken(value: Any) -> str:
    shape = getattr(value, "shape", None)
    return f"a tensor of shape {list(shape)}" if shape is not None else f"a {type(value).__name__}"
