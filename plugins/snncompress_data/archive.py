"""NumPy archives (.npz) of images or event frames."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from snncompress import Count, Data, DataError, Inputs, Settings
from snncompress_data.fields import HeldOut, num_held_out
from snncompress_data.files import content_hash, existing

if TYPE_CHECKING:
    from snncompress_data.samples import Samples


class NumpyArchive(Settings):
    """Read an .npz archive with the keys x_train, y_train, x_test, y_test and perhaps x_validation, y_validation.

    x is [N, H, W] or [N, C, H, W] for static images, [N, T, C, H, W] for event frames, as floating point, boolean or
    uint8 (scaled to 0..1 by 255; store event counts as floating point to keep them). y is [N], integers.
    """

    use: Literal["numpy"] = "numpy"
    file: str = Field(description="Path of the .npz archive.")
    num_classes: Count = Field(description="Number of classes; labels are 0 to num_classes - 1.")
    validation: HeldOut | None = Field(
        None,
        description="Where the archive has no x_validation: a count or a fraction of the training rows, the last.",
    )

    def inputs(self) -> Inputs:
        """Return shape, classes and number from the header of x_train alone; raise DataError if it is missing or malformed."""
        from snncompress_data.npz import image_shape, read_header

        file = existing(self.file, "file")
        header = read_header(file, "x_train")
        shape = image_shape(file, "x_train", header)
        kind: Literal["static", "frames"] = "static" if len(shape) == 3 else "frames"  # noqa: PLR2004 - [C, H, W]
        return Inputs(shape, self.num_classes, kind, self._num_train(header.shape[0]))

    def fingerprint(self) -> str:
        """Return the hash of the archive."""
        return content_hash([existing(self.file, "file")])

    def load(self, seed: int) -> Data:
        """Return the splits of the archive, which are the same for every seed."""
        del seed
        inputs = self.inputs()
        train, validation = self._train_and_validation()
        test = self._split("test")
        return Data(train, validation, test, inputs)

    def _num_train(self, num_rows: int) -> int:
        return num_rows - (num_held_out(self.validation, num_rows, repr(self.file)) if self.validation else 0)

    def _train_and_validation(self) -> tuple[Samples, Samples]:
        from snncompress_data.npz import keys
        from snncompress_data.samples import Samples

        file = existing(self.file, "file")
        stored = "x_validation" in keys(file)
        if stored and self.validation is not None:
            raise DataError(f"{self.file!r} holds x_validation; remove 'validation: {self.validation}' or the array")
        train = self._split("train")
        if stored:
            return train, self._split("validation")
        if self.validation is None:
            raise DataError(f"{self.file!r} holds no x_validation; set 'validation', for example 'validation: 0.1'")
        end = self._num_train(len(train))
        return (
            Samples(train.source, train.labels_N, range(end)),
            Samples(train.source, train.labels_N, range(end, len(train))),
        )

    def _split(self, name: str) -> Samples:
        from snncompress_data.npz import read_images, read_labels
        from snncompress_data.samples import InMemory, Samples

        file = existing(self.file, "file")
        x_N = read_images(file, f"x_{name}", self.inputs().shape)
        labels_N = read_labels(file, f"y_{name}", len(x_N), self.num_classes)
        return Samples(InMemory(x_N), labels_N, range(len(x_N)))
