"""Predictions over a split."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor

from snncompress.network import evaluating, leaving_generators

if TYPE_CHECKING:
    from snncompress.components import Bench
    from snncompress.network import Network


@dataclass(frozen=True)
class Predictions:
    """Hold predicted and true classes of a split, [N] each."""

    predicted_N: Tensor
    labels_N: Tensor

    @property
    def num_correct(self) -> int:
        """The number of right predictions."""
        return int((self.predicted_N == self.labels_N).sum())

    @property
    def accuracy(self) -> float:
        """The part that is right, 0..1."""
        return self.num_correct / max(1, len(self.labels_N))


def predict(network: Network, bench: Bench, split: Literal["train", "validation", "test"] = "test") -> Predictions:
    """Classify every sample of a split by the mean output over time; ties go to the lower class.

    The modes of the module and the global random generators are left as they were.
    """
    generator = bench.generator()
    predicted: list[Tensor] = []
    labels: list[Tensor] = []
    with evaluating(network.module), leaving_generators(), torch.no_grad():
        network.reset()
        batches = bench.batches(split)
        for number, (x_B, labels_B) in enumerate(batches, 1):
            output_BC = network.forward(bench.encode(network, x_B, generator)).mean()
            network.reset()
            batches.require_outputs(output_BC, labels_B, number)
            predicted.append(output_BC.argmax(1).cpu())
            labels.append(labels_B.cpu())
    return Predictions(torch.cat(predicted), torch.cat(labels))
