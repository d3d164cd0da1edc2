"""One split of a data set: samples in memory, handed out singly or as whole batches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import torch
from torch.utils.data import Dataset

from snncompress import DataError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor


class Source(Protocol):
    """Where the values of samples come from; read at the first use, and once."""

    @property
    def values(self) -> Tensor:
        """All samples, uint8 (0..255), boolean or floating point."""


@dataclass(frozen=True)
class InMemory:
    """Samples that are already a tensor."""

    values: Tensor


class Samples(Dataset[tuple[torch.Tensor, int]]):
    """Hand out the chosen ``rows`` of a source as float32: uint8 scaled to 0..1, then perhaps normalised.

    ``split[i]`` is (x, label). ``__getitems__`` returns a batch that is already collated, so a ``DataLoader`` over it
    needs a ``collate_fn`` that returns its argument.
    """

    def __init__(
        self,
        source: Source,
        labels_N: Tensor,
        rows: Sequence[int],
        *,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
    ) -> None:
        self.source = source
        self.labels_N = labels_N
        self.rows = torch.as_tensor(rows, dtype=torch.long)
        self._mean_C11 = None if mean is None else torch.tensor(mean, dtype=torch.float32)[:, None, None]
        self._std_C11 = None if std is None else torch.tensor(std, dtype=torch.float32)[:, None, None]

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        x_1, labels_1 = self.__getitems__([index])
        return x_1[0], int(labels_1[0])

    def __getitems__(self, indices: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Return the samples x_B... and labels_B of ``indices``."""
        rows_B = self.rows[torch.as_tensor(indices, dtype=torch.long)]
        return self._floats(self.source.values[rows_B]), self.labels_N[rows_B]

    def _floats(self, x: Tensor) -> Tensor:
        x = x.float().div(255) if x.dtype == torch.uint8 else x.float()
        if self._mean_C11 is not None:
            x = x - self._mean_C11
        return x if self._std_C11 is None else x / self._std_C11


def checked_labels(labels_N: Tensor, num_classes: int, where: str) -> Tensor:
    """Return the labels as int64; raise DataError naming the first one outside 0..num_classes-1."""
    labels_N = labels_N.long()
    outside_N = (labels_N < 0) | (labels_N >= num_classes)
    if not bool(outside_N.any()):
        return labels_N
    row = int(outside_N.nonzero()[0])
    raise DataError(
        f"{where}: {int(outside_N.sum())} of {len(labels_N)} labels lie outside 0..{num_classes - 1}, "
        f"the first is {int(labels_N[row])} in row {row}; set num_classes or mend the labels"
    )
