"""The embedded data set: scikit-learn's 1,797 scanned digits; nothing is downloaded."""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from snncompress import Data, DataError, Inputs, Settings

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

NUM_TRAIN, NUM_VALIDATION, NUM_TEST = 1000, 297, 500
LARGEST_SEED = 2**32 - 1
_SIDE = 8


class Digits(Settings):
    """Read scikit-learn's handwritten digits as [1, size, size] in 0..1, 10 classes.

    1,000 train, 297 validation, 500 test; stratified, and each seed draws a split of its own.
    """

    use: Literal["digits"] = "digits"
    size: Literal[8, 16, 32] = Field(
        8, description="Height and width; 16 and 32 are resized (bilinear) from the 8 x 8 scans."
    )

    def inputs(self) -> Inputs:
        """Return the shape [1, size, size] and 10 classes."""
        return Inputs((1, self.size, self.size), 10, num_train=NUM_TRAIN)

    def fingerprint(self) -> str:
        """Return the version of the library that holds the scans and draws the split."""
        return f"digits of scikit-learn {version('scikit-learn')}"

    def load(self, seed: int) -> Data:
        """Return the split that ``seed`` draws."""
        import torch
        from sklearn.datasets import load_digits

        from snncompress_data.samples import InMemory, Samples

        scans = load_digits()
        source = InMemory(_resized(torch.from_numpy(scans.images).float().div(16)[:, None], self.size))
        labels_N = torch.from_numpy(scans.target).long()
        train, validation, test = (Samples(source, labels_N, rows.tolist()) for rows in split_rows(scans.target, seed))
        return Data(train, validation, test, self.inputs())


def split_rows(
    labels_N: NDArray[np.int64], seed: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Return the rows of train, validation and test: stratified by label, disjoint, drawn by ``seed``."""
    import numpy as np
    from sklearn.model_selection import train_test_split

    if not 0 <= seed <= LARGEST_SEED:
        raise DataError(f"digits: seed {seed} should lie in 0..{LARGEST_SEED}")
    rest, test = train_test_split(np.arange(len(labels_N)), test_size=NUM_TEST, random_state=seed, stratify=labels_N)
    train, validation = train_test_split(
        rest, train_size=NUM_TRAIN, test_size=NUM_VALIDATION, random_state=seed, stratify=labels_N[rest]
    )
    return train, validation, test


def _resized(x_N1HW: Tensor, size: int) -> Tensor:
    from torch.nn.functional import interpolate

    if size == _SIDE:
        return x_N1HW
    resized = interpolate(x_N1HW, size=(size, size), mode="bilinear", align_corners=False)
    return resized.clamp(0, 1)  # rounding in the interpolation must not leave 0..1, which encoders insist on
