"""The bench: fixed batches and repeatable encodings, for metrics and for validation."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, get_args

import torch
from torch import Generator, Tensor
from torch.utils.data import DataLoader, default_collate

from snncompress.components import Data, Encoder, Metric
from snncompress.errors import DataError, ModelError
from snncompress.measure.counting.marks import version_of
from snncompress.measure.gate import Batches, SplitName, as_taken, first_of
from snncompress.measure.observe import Observation, observe
from snncompress.network import Network, Output
from snncompress.plugins import returned

if TYPE_CHECKING:
    from snncompress.components import Need


_STILL = 4
"""Dimensions of still images [B, C, H, W]; event frames have time, too."""

_FEW = 8
"""Samples that are enough to see what a network returns."""


@dataclass(frozen=True)
class DataBench:
    """Give metrics the batches of a data set, always in the same order and with the same draws.

    Attributes:
        data: the splits.
        encoder: how a still image becomes time steps.
        seed: the seed of the pipeline.
        batch_size: samples of a batch.
        device: where batches go.
        wanted: what any metric will ask of ``observe``: it is observed in the same pass, whoever asks first.
        uncompressed: opens the baseline.
        told: called with the number of samples so far, and of all, while the test split is observed.
    """

    data: Data
    encoder: Encoder
    seed: int
    batch_size: int = 250
    device: str = "cpu"
    wanted: frozenset[Need] = frozenset()
    uncompressed: Callable[[], Network] | None = None
    told: Callable[[int, int], None] | None = None
    _seen: list[tuple[Network, list[tuple[int, int]], Observation]] = field(default_factory=list)

    def batches(self, split: SplitName = "test") -> Batches:
        """Return batches (x_B..., labels_B) of a split, unshuffled; a user's own loader gives them in its own order."""
        return Batches(loader_of(getattr(self.data, split), self.batch_size, shuffle=False), split, self.data.inputs)

    def look(self) -> None:
        """Look at the first batch of each split; raise DataError for what would fail later, or be silently wrong."""
        for split in get_args(SplitName):
            if split != "validation" or len(self.data.validation):
                x_B, _ = first_of(self.batches(split))
                if self.data.inputs.kind == "static":
                    self.encoder.encode(x_B[:_FEW].float(), 1, self.generator())

    def require_fit(self, output: Output) -> None:
        """Raise DataError unless a network's output has one entry for each class of the data."""
        self.batches("train").require_outputs(output.mean(), torch.zeros(0, dtype=torch.long))

    def encode(self, network: Network, x_B: Tensor, generator: Generator) -> Tensor:
        """Return what the network takes, on this bench's device and in the precision of the network's weights."""
        kind = self.data.inputs.kind
        return encode(self.encoder, network, as_taken(network, x_B, kind), kind, generator).to(self.device)

    def generator(self) -> Generator:
        """Return a generator seeded from the pipeline's seed."""
        return torch.Generator().manual_seed(self.seed)

    def observe(self, network: Network, *needs: Need) -> Observation:
        """Run the test split once; what was observed of the last network is kept while its weights stay as they are."""
        asked, weights = frozenset(needs), _versions(network)
        for known, as_they_were, seen in self._seen:
            if known is network and as_they_were == weights and all(getattr(seen, need) is not None for need in asked):
                return seen
        found = observe(network, self, asked | self.wanted, self._tell())
        self._seen[:] = [(network, weights, found)]
        return found

    def _tell(self) -> Callable[[int], None] | None:
        """Return what is called with the number of samples so far, if anything."""
        told, of = self.told, num_samples_of(self.batches("test").loader)
        return None if told is None or of is None else lambda done: told(done, of)

    def baseline(self) -> Network | None:
        """Return the network that others are compared with, if it is known."""
        return self.uncompressed() if self.uncompressed else None


def num_samples_of(loader: DataLoader[Any]) -> int | None:
    """Return how many samples a loader gives in one pass; None where it does not know."""
    known: Any = loader.dataset if loader.batch_size is None else loader.sampler
    if not hasattr(known, "__len__"):
        return None
    return len(known) - (len(known) % loader.batch_size if loader.batch_size and loader.drop_last else 0)


def _versions(network: Network) -> list[tuple[int, int]]:
    """Return which tensors the parameters are, and how often each has been changed in place."""
    return [(id(value), version_of(value)) for value in network.module.parameters()]


def needs_of(metrics: Iterable[Metric]) -> frozenset[Need]:
    """Return what any of these metrics asks of ``observe``."""
    return frozenset(need for metric in metrics for need in getattr(metric, "needs", ()))


def num_measured(metrics: Iterable[Metric], test: Any) -> int | None:
    """Return on how many samples of a test split metrics look; None where they look at the network alone."""
    looks = any(hasattr(metric, "needs") for metric in metrics)
    return num_samples_of(loader_of(test, 1, shuffle=False)) if looks else None


def encode(encoder: Encoder, network: Network, x_B: Tensor, kind: str, generator: Generator) -> Tensor:
    """Bring a batch into the form that the network takes: x_T..., or x_B... where its input is static.

    Event frames [B, T, C, H, W] pass through, time first; still images go through the encoder.
    """
    if kind == "frames":
        if encoder.use != "direct":
            raise ModelError(f"event frames bring their time steps, so {encoder.use!r} is not applied; use direct")
        return frames_first(network, x_B)
    if network.time.input == "static":
        if encoder.use != "direct":
            raise ModelError(
                f"this network takes a still image, which the encoder {encoder.use!r} cannot give; use direct"
            )
        return x_B
    x_TB = encoder.encode(x_B, network.time.T, generator)
    return returned(x_TB, Tensor, f"encoder {encoder.use!r}", ModelError)


def frames_first(network: Network, x_BT: Tensor) -> Tensor:
    """Return event frames time first; raise an error where the network cannot take them."""
    if network.time.input == "static":
        raise ModelError(
            "this network takes a still image, and the data are event frames; if they are still images, leave kind out"
        )
    given = x_BT.shape[1] if x_BT.dim() > 1 else 0
    if given != network.time.T:
        raise DataError(
            f"the data bring {given} time steps, and the network runs {network.time.T}; give frames "
            f"[B, {network.time.T}, ...], or let the network run {given}"
            + ("; if these are still images [B, C, H, W], leave kind out" if x_BT.dim() == _STILL else "")
        )
    return x_BT.transpose(0, 1)


def loader_of(split: Any, batch_size: int, *, shuffle: bool) -> DataLoader[Any]:
    """Return a loader over a map-style data set (whole batches at once where it can), or the user's own loader."""
    if isinstance(split, DataLoader):
        return split
    alone = len(split) % batch_size == 1 and len(split) > 1  # batch norm cannot train on a batch of one
    return DataLoader(
        split,
        batch_size=batch_size,
        shuffle=shuffle,
        drop_last=shuffle and alone,
        collate_fn=_collate,
    )


def batch_size_of(split: Any) -> int | None:
    """Return the batch size of a user's own loader; None for a data set, or a loader that does not know it."""
    if not isinstance(split, DataLoader):
        return None
    return split.batch_size or getattr(split.batch_sampler, "batch_size", None)


def _collate(batch: Any) -> Any:
    """Take a batch that a data set made at once as it is; collate single samples (also a torch Subset's list)."""
    return batch if isinstance(batch, tuple) else default_collate(batch)
