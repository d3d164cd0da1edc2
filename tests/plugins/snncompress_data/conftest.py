from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

REAL_CIFAR = Path(__file__).parents[4] / "shared" / "data" / "cifar10"


@pytest.fixture
def cifar():
    """The real CIFAR-10, where this machine has it."""
    if not (REAL_CIFAR / "train.parquet").is_file():
        pytest.skip("the real CIFAR-10 is not at ../shared/data/cifar10")
    return REAL_CIFAR


@pytest.fixture
def png():
    """Return a function that encodes an array [H, W] or [H, W, 3] as PNG, which loses nothing."""

    def encode(pixels):
        stream = io.BytesIO()
        Image.fromarray(np.asarray(pixels, dtype=np.uint8)).save(stream, "PNG")
        return stream.getvalue()

    return encode
