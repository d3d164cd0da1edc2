"""Data sets and encoders: where samples come from, and how a still image becomes time steps."""

from __future__ import annotations

from typing import TYPE_CHECKING

from snncompress import hookimpl
from snncompress_data.archive import NumpyArchive
from snncompress_data.digits import Digits
from snncompress_data.encoders import DirectEncoder, LatencyEncoder, PoissonEncoder
from snncompress_data.image_folder import ImageFolder
from snncompress_data.parquet import Parquet
from snncompress_data.user_function import PythonData

if TYPE_CHECKING:
    from collections.abc import Sequence

    from snncompress import Dataset, Encoder


@hookimpl
def snncompress_datasets() -> Sequence[type[Dataset]]:
    """Return the data sets of this plugin."""
    return [Digits, Parquet, ImageFolder, NumpyArchive, PythonData]


@hookimpl
def snncompress_encoders() -> Sequence[type[Encoder]]:
    """Return the encoders of this plugin."""
    return [DirectEncoder, PoissonEncoder, LatencyEncoder]
