"""Reading the columns of parquet files."""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from snncompress import DataError, did_you_mean
from snncompress_data.images import decoded
from snncompress_data.samples import checked_labels

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from torch import Tensor

_ROWS_AT_ONCE = 1024


@dataclass(frozen=True)
class Columns:
    """Name the columns of one file; ``num_classes`` is what its metadata lists, if it does."""

    image: str
    label: str
    num_rows: int
    num_classes: int | None


def find_columns(file: Path, image: str | None, label: str | None) -> Columns:
    """Return the image and label columns from the schema; raise DataError if they are missing, wrong or ambiguous."""
    with _readable(file), pq.ParquetFile(file) as opened:
        schema, num_rows = opened.schema_arrow, opened.metadata.num_rows
    image = _column(file, schema, image, fits=_is_image, setting="image", description="a struct with a field 'bytes'")
    label = _column(file, schema, label, fits=pa.types.is_integer, setting="label", description="integers")
    return Columns(image, label, num_rows, _num_classes(schema.metadata or {}, label))


@dataclass(frozen=True)
class ParquetImages:
    """The rows of parquet files, up to ``limit``; images are decoded at the first use and kept as bytes."""

    files: tuple[Path, ...]
    columns: tuple[Columns, ...]
    size: tuple[int, int]
    channels: int
    limit: int | None

    def labels(self, num_classes: int) -> Tensor:
        """Return labels_N; raise DataError for none, a missing one, or one outside 0..num_classes-1."""
        found = [label for _, _, label in self._rows("label")]
        names = ", ".join(repr(str(file)) for file in self.files)
        if not found:
            raise DataError(f"{names}: there are no rows")
        if None in found:
            raise DataError(f"{names}: row {found.index(None)} has no label")
        return checked_labels(torch.tensor(found), num_classes, names)

    @cached_property
    def values(self) -> Tensor:
        """Return all images, uint8 [N, C, H, W]; raise DataError naming a row that is no image."""
        images = [self._decoded(*row) for row in self._rows("image")]
        return torch.from_numpy(np.stack(images))

    def _decoded(self, file: Path, row: int, image: dict[str, Any] | None) -> np.ndarray[Any, np.dtype[np.uint8]]:
        where = f"{str(file)!r}, row {row},"
        if image is None or image["bytes"] is None:
            path = (image or {}).get("path")
            raise DataError(f"{where} holds no image bytes (its path is {path!r}); store the images in the file")
        return decoded(image["bytes"], self.size, self.channels, where)

    def _rows(self, kind: str) -> Iterator[tuple[Path, int, Any]]:
        """Yield (file, row in that file, value) of the image or label column."""
        left = self.limit
        for file, columns in zip(self.files, self.columns, strict=True):
            column = columns.image if kind == "image" else columns.label
            taken = columns.num_rows if left is None else min(left, columns.num_rows)
            for row, value in enumerate(_values(file, column, taken)):
                yield file, row, value
            if left is not None:
                left -= taken


def _values(file: Path, column: str, left: int) -> Iterator[Any]:
    with _readable(file), pq.ParquetFile(file) as opened:
        for batch in opened.iter_batches(_ROWS_AT_ONCE, columns=[column]) if left else ():
            values = batch.column(0).slice(0, left).to_pylist()
            left -= len(values)
            yield from values
            if not left:
                return


def _column(
    file: Path, schema: Any, wanted: str | None, *, fits: Callable[[Any], bool], setting: str, description: str
) -> str:
    found: list[str] = [field.name for field in schema if fits(field.type)]
    if wanted is None:
        if len(found) == 1:
            return found[0]
        state = (
            f"has several columns of {description}: {', '.join(map(repr, found))}"
            if found
            else f"has no column of {description}"
        )
        raise DataError(f"{str(file)!r} {state}; set {setting!r} (columns: {', '.join(map(repr, schema.names))})")
    if wanted not in schema.names:
        raise DataError(f"{setting}: {str(file)!r} has no column {wanted!r}; {did_you_mean(wanted, schema.names)}")
    if wanted not in found:
        raise DataError(
            f"{setting}: column {wanted!r} of {str(file)!r} is {schema.field(wanted).type}, not {description}"
        )
    return wanted


def _is_image(kind: Any) -> bool:
    if not pa.types.is_struct(kind):
        return False
    fields = {kind.field(index).name: kind.field(index).type for index in range(kind.num_fields)}
    return "bytes" in fields and (pa.types.is_binary(fields["bytes"]) or pa.types.is_large_binary(fields["bytes"]))


def _num_classes(metadata: dict[bytes, bytes], label: str) -> int | None:
    try:
        names = json.loads(metadata[b"huggingface"])["info"]["features"][label]["names"]
    except (KeyError, TypeError, ValueError):
        return None
    return len(names) if isinstance(names, list) else None


@contextmanager
def _readable(file: Path) -> Iterator[None]:
    """Translate what pyarrow raises for a damaged file, once."""
    try:
        yield
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{str(file)!r} cannot be read as parquet: {error}") from error
