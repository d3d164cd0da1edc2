"""Predictions over a split."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from torch import Tensor, nn

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
        for x_B, y_B in bench.batches(split):
            output = network.forward(bench.encode(network, x_B, generator))
            network.reset()
            predicted.append(output.mean().argmax(1).cpu())
            labels.append(torch.as_tensor(y_B).cpu())
    return Predictions(torch.cat(predicted), torch.cat(labels))


@contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """Switch a module to evaluation, and back to what each of its parts was."""
    modes = [(part, part.training) for part in module.modules()]
    module.eval()
    try:
        yield
    finally:
        for part, mode in modes:
            part.training = mode


@contextmanager
def leaving_generators() -> Iterator[None]:
    """Put the global generators back: every pass over a loader draws from torch's, a user's samples from any."""
    numpy_state, python_state = np.random.get_state(), random.getstate()  # noqa: NPY002 - libraries draw from it
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        try:
            yield
        finally:
            np.random.set_state(numpy_state)  # noqa: NPY002 - see above
            random.setstate(python_state)
