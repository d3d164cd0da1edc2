"""Predictions over a split."""

from __future__ import annotations

from collections import Counter
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

    @property
    def chance(self) -> float:
        """The accuracy to expect if the predictions had nothing to do with the labels, 0..1.

        Each class adds how often it is predicted times how often it is right. On classes of equal size that is one part in
        their number; for one answer to everything it is the accuracy itself.
        """
        predicted, labels = (Counter(classes.flatten().tolist()) for classes in (self.predicted_N, self.labels_N))
        agreeing = sum(count * labels[one] for one, count in predicted.items())
        return agreeing / max(1, predicted.total() * labels.total())


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
