"""Reading arrays from .npz archives, never through pickle."""

from __future__ import annotations

import zipfile
import zlib
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch

from snncompress import DataError, did_you_mean
from snncompress_data.samples import checked_labels

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray
    from torch import Tensor

_HEADER_READERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
_LAYOUTS = {3: "[N, H, W]", 4: "[N, C, H, W]", 5: "[N, T, C, H, W]"}


class Header(NamedTuple):
    """What an array is, before its values are read."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]


def keys(file: Path) -> tuple[str, ...]:
    """Return the names of the arrays in an archive."""
    with _readable(file), zipfile.ZipFile(file) as archive:
        return tuple(name.removesuffix(".npy") for name in archive.namelist())


def read_header(file: Path, key: str) -> Header:
    """Return shape and dtype of one array without its values."""
    known = keys(file)
    if key not in known:
        raise DataError(f"{str(file)!r} holds no array {key!r}; {did_you_mean(key, known)}")
    with _readable(file, key), zipfile.ZipFile(file) as archive, archive.open(f"{key}.npy") as stream:
        version = np.lib.format.read_magic(stream)
        if version not in _HEADER_READERS:
            raise ValueError(f"the header has version {version}, known are 1.0 and 2.0")
        shape, _, dtype = _HEADER_READERS[version](stream)
        return Header(shape, dtype)


def image_shape(file: Path, key: str, header: Header) -> tuple[int, ...]:
    """Return the shape of one sample, [C, H, W] or [T, C, H, W]; raise DataError for another layout, dtype or none."""
    where = f"{str(file)!r}: {key!r}"
    if not (header.dtype in {np.dtype(np.uint8), np.dtype(np.bool_)} or np.issubdtype(header.dtype, np.floating)):
        raise DataError(f"{where} has dtype {str(header.dtype)!r}; store floating point, boolean or uint8 values")
    if len(header.shape) not in _LAYOUTS:
        raise DataError(f"{where} has shape {list(header.shape)}; it should be {', '.join(_LAYOUTS.values())}")
    if 0 in header.shape:
        raise DataError(f"{where} is empty, its shape is {list(header.shape)}")
    sample = header.shape[1:]
    return (1, *sample) if len(header.shape) == 3 else sample  # noqa: PLR2004 - [N, H, W]


def read_images(file: Path, key: str, shape: tuple[int, ...]) -> Tensor:
    """Return x_N..., each sample of ``shape``; raise DataError for another shape or values that are not finite."""
    found = image_shape(file, key, read_header(file, key))
    where = f"{str(file)!r}: {key!r}"
    if found != shape:
        raise DataError(f"{where} has samples of shape {list(found)}, those of 'x_train' have {list(shape)}")
    values_N = _read(file, key)
    if np.issubdtype(values_N.dtype, np.floating):
        with np.errstate(over="ignore"):  # what float32 cannot hold turns infinite, and is refused below
            values_N = values_N.astype(np.float32)
        if not np.isfinite(values_N).all():
            raise DataError(f"{where} holds values that are not finite")
    return torch.from_numpy(np.ascontiguousarray(values_N)).reshape(-1, *shape)


def read_labels(file: Path, key: str, num_rows: int, num_classes: int) -> Tensor:
    """Return labels_N; raise DataError unless they are ``num_rows`` integers from 0 to num_classes - 1."""
    header = read_header(file, key)
    where = f"{str(file)!r}: {key!r}"
    if not np.issubdtype(header.dtype, np.integer):
        raise DataError(f"{where} has dtype {str(header.dtype)!r}; labels are integers")
    if header.shape != (num_rows,):
        raise DataError(f"{where} has shape {list(header.shape)}; {num_rows} samples need labels of shape [{num_rows}]")
    return checked_labels(torch.from_numpy(_read(file, key).astype(np.int64)), num_classes, where)


def _read(file: Path, key: str) -> NDArray[Any]:
    with _readable(file, key), np.load(file, allow_pickle=False) as archive:
        values: NDArray[Any] = archive[key]
        return values


@contextmanager
def _readable(file: Path, key: str | None = None) -> Iterator[None]:
    """Translate what zipfile and numpy raise for a damaged archive, once."""
    try:
        yield
    except (OSError, ValueError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        place = "" if key is None else f", array {key!r},"
        raise DataError(f"{str(file)!r}{place} cannot be read as .npz: {error}") from error
