"""What a network of a user's own code answers, kept in its artifact: another process may build another one.

A module can take values from anywhere in the process that builds it: a tensor drawn when its file was imported, the order of
a set. No second look in the same process shows that, so the artifact remembers what the network computed on made-up samples.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from snncompress.errors import ArtifactError, SnncompressError
from snncompress.network.leaving import seeded_generators
from snncompress.network.proof import DOES_NOT_RUN
from snncompress.network.trial import called, generators

if TYPE_CHECKING:
    from torch import Tensor

    from snncompress.network.network import Network

_NUM_SAMPLES = 2
_TOLERANCE = 1e-6
"""Largest difference of sums, as a fraction of the sum of sizes: float64 on another machine moves them by some 1e-12."""

_DIGITS = 12


def answers_of(network: Network) -> dict[str, Any] | None:
    """Return what a network of a user's own code computes on random samples, as JSON data.

    None where another process builds a registered architecture, where no probe tells the shape of a sample, and where the
    network draws by itself or does not run in float64.
    """
    probe = network.probe
    if network.source.reference["use"] != "python" or probe is None or not probe.is_floating_point():
        return None
    axis = 0 if network.time.input == "static" else 1
    shape = [*probe.shape[:axis], _NUM_SAMPLES, *probe.shape[axis + 1 :]]
    sums = _sums(network, shape)
    return None if sums is None else {"shape": shape, "sums": sums}


def require_same_answers(network: Network, known: Mapping[str, Any] | None, folder: Path) -> None:
    """Raise ArtifactError where a rebuilt network computes something else than the one that was saved."""
    if known is None:
        return
    found, expected = _sums(network, known["shape"]), known["sums"]
    if found is None or any(abs(a - b) > _TOLERANCE * expected[1] for a, b in zip(found, expected, strict=True)):
        raise ArtifactError(
            f"{str(folder)!r}: what {network.source.reference['function']!r} builds here computes something else than the network "
            "that was saved, although every stored tensor is equal: its code has changed, or it takes values from outside its "
            "state dict, such as a tensor drawn when its file is imported; keep those in it: self.register_buffer(NAME, ...)"
        )


def _sums(network: Network, shape: list[int]) -> list[float] | None:
    """Return the sums of everything that modules take and give: the values, their sizes, the values weighted by place."""
    try:
        with seeded_generators():
            before = generators()
            _, calls = called(network.in_float64(), _samples(shape).to(network.device))
            if generators() != before:
                return None
    except (*DOES_NOT_RUN, TypeError, SnncompressError):
        return None
    digests = [digest for call in calls for digest in (*call.taken, *call.given)]
    sums = (sum(one.total for one in digests), sum(one.size for one in digests), sum(one.weighted for one in digests))
    return [float(f"{value:.{_DIGITS}g}") for value in sums] if all(map(isfinite, sums)) else None


def _samples(shape: list[int]) -> Tensor:
    return torch.rand(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
