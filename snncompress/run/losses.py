"""The named losses. ``output`` is a network's Output, ``labels_B`` the true classes."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from snncompress.code import import_object
from snncompress.errors import StepError
from snncompress.network import Output
from snncompress.training import Training

Loss = Callable[[Output, Tensor], Tensor]


def loss_of(training: Training) -> Loss:
    """Return the loss that the settings name."""
    smoothing = training.label_smoothing
    match training.loss:
        case "cross_entropy":
            return lambda output, labels_B: functional.cross_entropy(output.mean(), labels_B, label_smoothing=smoothing)
        case "membrane_cross_entropy":
            return lambda output, labels_B: cross_entropy_each_step(_membranes(output), labels_B, smoothing)
        case "tet":
            return lambda output, labels_B: cross_entropy_each_step(output.per_step(), labels_B, smoothing)
        case "spike_count_mse":
            return lambda output, labels_B: spike_count_mse(output.mean() / output.population, labels_B)
        case place:
            function: Loss = import_object(place)
            return function


def cross_entropy_each_step(logits_TBC: Tensor, labels_B: Tensor, smoothing: float = 0.0) -> Tensor:
    """Return the cross entropy of every step, averaged over steps (TET, Deng et al. 2022, without its second term)."""
    repeated = labels_B.repeat(logits_TBC.shape[0])
    return functional.cross_entropy(logits_TBC.flatten(0, 1), repeated, label_smoothing=smoothing)


def spike_count_mse(rates_BC: Tensor, labels_B: Tensor, correct: float = 0.8, incorrect: float = 0.2) -> Tensor:
    """Return the squared error of firing rates to ``correct`` for the true class and ``incorrect`` for the others."""
    targets_BC = torch.full_like(rates_BC, incorrect).scatter_(1, labels_B.unsqueeze(1), correct)
    return functional.mse_loss(rates_BC, targets_BC)


def _membranes(output: Output) -> Tensor:
    if output.membranes is None:
        raise StepError(
            "this network records no membranes; its declaration must name them in `records`, or choose another loss"
        )
    return output.membranes if output.membranes.dim() == 3 else output.membranes.unsqueeze(0)  # noqa: PLR2004 - [T, B, C]
