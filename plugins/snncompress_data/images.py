"""Decoding images to bytes of one size and number of channels."""

from __future__ import annotations

import io
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError

from snncompress import DataError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray
    from torch import Tensor

_MODES = {1: "L", 3: "RGB"}
_EIGHT_BITS = frozenset({"1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr", "LAB", "HSV"})


def decoded(image: bytes | Path, size: tuple[int, int], channels: int, where: str) -> NDArray[np.uint8]:
    """Return the image as uint8 [C, H, W]; another size is resized (bilinear, antialiased).

    Raises DataError for what is no image, is cut short, or has more than 8 bits a channel.
    """
    try:
        with Image.open(io.BytesIO(image) if isinstance(image, bytes) else image) as opened:
            pixels = _converted(opened, size, channels, where)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        reason = "its format is not known" if isinstance(error, UnidentifiedImageError) else error
        raise DataError(f"{where} is no readable image: {reason}") from error
    x_HW = np.asarray(pixels, dtype=np.uint8)
    return x_HW[None] if channels == 1 else x_HW.transpose(2, 0, 1)


def _converted(image: Image.Image, size: tuple[int, int], channels: int, where: str) -> Image.Image:
    if image.mode not in _EIGHT_BITS:
        raise DataError(f"{where} has pixels of mode {image.mode!r}; convert it to 8 bits a channel first")
    pixels = image.convert(_MODES[channels])
    height, width = size
    return pixels if pixels.size == (width, height) else pixels.resize((width, height), Image.Resampling.BILINEAR)


@dataclass(frozen=True)
class ImageFiles:
    """Images in files, decoded at the first use and kept as bytes."""

    files: tuple[Path, ...]
    size: tuple[int, int]
    channels: int

    @cached_property
    def values(self) -> Tensor:
        """Return all images, uint8 [N, C, H, W]; raise DataError naming a file that is no image."""
        x_NCHW = np.empty((len(self.files), self.channels, *self.size), dtype=np.uint8)
        for row, file in enumerate(self.files):
            x_NCHW[row] = decoded(file, self.size, self.channels, repr(str(file)))
        return torch.from_numpy(x_NCHW)
