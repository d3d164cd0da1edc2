"""The bench: fixed batches and repeatable encodings, for metrics and for validation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Generator, Tensor
from torch.utils.data import DataLoader, default_collate

from snncompress.components import Data, Encoder
from snncompress.errors import ModelError
from snncompress.network import Network

SplitName = Literal["train", "validation", "test"]


@dataclass(frozen=True)
class DataBench:
    """Give metrics the batches of a data set, always in the same order and with the same draws."""

    data: Data
    encoder: Encoder
    seed: int
    batch_size: int = 250
    device: str = "cpu"

    def batches(self, split: SplitName = "test") -> DataLoader[Any]:
        """Return batches (x_B..., y_B) of a split, unshuffled; a user's own loader is returned as it is."""
        return loader_of(getattr(self.data, split), self.batch_size, shuffle=False)

    def encode(self, network: Network, x_B: Tensor, generator: Generator) -> Tensor:
        """Return what the network takes, on this bench's device."""
        return encode(self.encoder, network, x_B, self.data.inputs.kind, generator).to(self.device)

    def generator(self) -> Generator:
        """Return a generator seeded from the pipeline's seed."""
        return torch.Generator().manual_seed(self.seed)


def encode(encoder: Encoder, network: Network, x_B: Tensor, kind: str, generator: Generator) -> Tensor:
    """Bring a batch into the form that the network takes: x_T..., or x_B... where its input is static.

    Event frames [B, T, C, H, W] pass through, time first; still images go through the encoder.
    """
    if kind == "frames":
        frames = x_B.transpose(0, 1)
        if network.time.input == "static":
            raise ModelError("this network takes a still image, and the data are event frames")
        return frames
    if network.time.input == "static":
        if encoder.use != "direct":
            raise ModelError(
                f"this network takes a still image, which the encoder {encoder.use!r} cannot give; use direct"
            )
        return x_B
    return encoder.encode(x_B, network.time.T, generator)


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


def _collate(batch: Any) -> Any:
    """Take a batch that a data set made at once as it is; collate single samples (also a torch Subset's list)."""
    return batch if isinstance(batch, tuple) else default_collate(batch)
