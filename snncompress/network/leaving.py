"""Running a module so that it is left as it was: its modes, and the random generators."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import nn


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


@contextmanager
def seeded_generators() -> Iterator[None]:
    """Draw the same at each time; put the global generators back."""
    with leaving_generators():
        torch.set_rng_state(torch.Generator().manual_seed(0).get_state())
        np.random.set_state(np.random.RandomState(0).get_state())  # noqa: NPY002 - libraries draw from it
        random.setstate(random.Random(0).getstate())  # noqa: S311 - as above
        yield


@contextmanager
def unseeded_generators() -> Iterator[None]:
    """Draw what another process would draw, which nobody here can foresee; put the global generators back."""
    with leaving_generators():
        drawn = torch.Generator()
        drawn.seed()
        torch.set_rng_state(drawn.get_state())
        np.random.set_state(np.random.RandomState().get_state())  # noqa: NPY002 - a fresh one takes the system's entropy
        random.setstate(random.Random().getstate())  # noqa: S311 - as above
        yield
