"""Images in parquet files, laid out as the Hugging Face hub does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Self

from pydantic import Field, model_validator

from snncompress import Count, Data, DataError, Inputs, Names, Settings
from snncompress_data.fields import HeldOut, PositiveValues, Size, Values, num_held_out
from snncompress_data.files import content_hash, matching

if TYPE_CHECKING:
    from pathlib import Path

    from snncompress_data.parquet_rows import Columns, ParquetImages


class Parquet(Settings):
    """Read parquet files with an image column (a struct of bytes and path) and an integer label column.

    Images of another size than ``size`` are resized (bilinear, antialiased). They are decoded when a split is first
    used, and stay in memory as bytes. The validation rows are the last of the training rows, after ``limit_train``.
    """

    use: Literal["parquet"] = "parquet"
    train: Names = Field(min_length=1, description="Files of the training rows: a path, a glob, or a list of them.")
    test: Names = Field(min_length=1, description="Files of the test rows: a path, a glob, or a list of them.")
    size: Size = Field(description="Height and width, [H, W] or one number for both.")
    channels: Literal[1, 3] = Field(3, description="1 for grey, 3 for colour; images are converted.")
    num_classes: Count | None = Field(
        None, description="Number of classes; by default the file's own list of class names."
    )
    image: str | None = Field(None, description="Image column; by default the one struct with a field 'bytes'.")
    label: str | None = Field(None, description="Label column; by default the one column of integers.")
    validation: HeldOut = Field(0.1, description="A count or a fraction of the training rows, taken from their end.")
    limit_train: Count | None = Field(
        None, description="At most so many training rows, the first, validation included."
    )
    limit_test: Count | None = Field(None, description="At most so many test rows, the first.")
    mean: Values | None = Field(None, description="Subtracted from each channel's values in 0..1.")
    std: PositiveValues | None = Field(None, description="By which each channel is divided after that.")

    @model_validator(mode="after")
    def _one_value_per_channel(self) -> Self:
        if (self.mean is None) != (self.std is None):
            raise ValueError("mean and std belong together; set both or neither")
        for name, values in (("mean", self.mean), ("std", self.std)):
            if values is not None and len(values) != self.channels:
                raise ValueError(
                    f"{name} has {len(values)} values for {self.channels} channels; give one for each channel"
                )
        return self

    @property
    def leaves_unit_interval(self) -> bool:
        """Tell whether values lie outside 0..1: they are normalised."""
        return self.mean is not None

    def inputs(self) -> Inputs:
        """Return shape, classes and number from the files' metadata; raise DataError if files or columns are missing."""
        train, test = self._files()
        columns = self._columns(train + test)
        num_classes = self.num_classes or columns[0].num_classes
        if num_classes is None:
            raise DataError(f"{str(train[0])!r} does not list the names of its classes; set 'num_classes'")
        rows = sum(one.num_rows for one in columns[: len(train)])
        rows = min(rows, self.limit_train or rows)  # without any, loading says so
        return Inputs((self.channels, *self.size), num_classes, num_train=self._num_train(rows) if rows else None)

    def fingerprint(self) -> str:
        """Return a hash of all files."""
        train, test = self._files()
        return f"train {content_hash(train)} test {content_hash(test)}"

    def load(self, seed: int) -> Data:
        """Return the splits, which are the same for every seed; labels are read now, images at their first use."""
        from snncompress_data.samples import Samples

        del seed
        inputs = self.inputs()
        train_files, test_files = self._files()
        train, test = self._images(train_files, self.limit_train), self._images(test_files, self.limit_test)
        labels_N = train.labels(inputs.num_classes)
        end = self._num_train(len(labels_N))
        test_labels_N = test.labels(inputs.num_classes)
        return Data(
            Samples(train, labels_N, range(end), mean=self.mean, std=self.std),
            Samples(train, labels_N, range(end, len(labels_N)), mean=self.mean, std=self.std),
            Samples(test, test_labels_N, range(len(test_labels_N)), mean=self.mean, std=self.std),
            inputs,
        )

    def _num_train(self, num_rows: int) -> int:
        return num_rows - num_held_out(self.validation, num_rows, "train")

    def _files(self) -> tuple[tuple[Path, ...], tuple[Path, ...]]:
        train, test = matching(self.train, "train"), matching(self.test, "test")
        tested = {file.resolve() for file in test}
        for file in train:
            if file.resolve() in tested:
                raise DataError(
                    f"test: {str(file)!r} is also a file of 'train'; nothing may be tested on training rows"
                )
        return train, test

    def _columns(self, files: tuple[Path, ...]) -> tuple[Columns, ...]:
        from snncompress_data.parquet_rows import find_columns

        return tuple(find_columns(file, self.image, self.label) for file in files)

    def _images(self, files: tuple[Path, ...], limit: int | None) -> ParquetImages:
        from snncompress_data.parquet_rows import ParquetImages

        return ParquetImages(files, self._columns(files), self.size, self.channels, limit)
