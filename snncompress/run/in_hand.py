"""A network and data loaders that a Python user has in hand, in the places of a model and a data set."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, cast

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, IterableDataset

from snncompress.components import Data, Inputs
from snncompress.errors import DataError
from snncompress.measure import loader_of
from snncompress.network import Network, Time, leaving_generators, try_out
from snncompress.pipeline import IN_HAND, dump
from snncompress.plugins import Host
from snncompress.run.generators import seed_everything

_NUM_TRIED = 64
"""Samples of a data set that the network is tried on; of a loader, its first batch."""


@dataclass(frozen=True, eq=False)
class NetworkInHand:
    """Stand in the place of an architecture: opened as a copy of the network."""

    network: Network
    use: str = "python"
    needs_code: ClassVar[bool] = False
    builds_on_meta: ClassVar[bool] = False
    is_trained: ClassVar[bool] = True

    @classmethod
    def of(cls, network: Network) -> NetworkInHand:
        """Hold a copy, so that nothing the user does later changes it."""
        return cls(network.copy())

    def canonical(self) -> dict[str, Any]:
        """Return the reference and a hash of everything else: values, masks, snapshots, edits, time."""
        network = self.network
        digest = hashlib.sha256(repr([network.time, [edit.to_json() for edit in network.edits]]).encode())
        for kind, tensors in (("values", network.tensors), ("masks", network.masks), *network.snapshots.items()):
            for name, value in sorted(tensors.items()):
                digest.update(f"{kind} {name} {value.dtype} {list(value.shape)}".encode() + _bytes(value))
        return {**network.source.reference, "values": digest.hexdigest()}

    def resolved(self, inputs: Inputs, timesteps: int | None) -> NetworkInHand:
        """Return itself."""
        del inputs, timesteps
        return self

    def opened(self, host: Host, *, values: bool) -> Network:
        """Return a copy of the network."""
        del host, values
        return self.network.copy()

    def build(self) -> tuple[nn.Module, Time]:
        """Return a copy of the untouched module."""
        return self.network.source.build()

    def roles(self) -> Mapping[str, Sequence[str]]:
        """Return the roles that the user named."""
        return self.network.source.roles()

    def checkpoint_path(self) -> Path | None:
        """Return None: the values are in hand."""
        return None


@dataclass(frozen=True, eq=False)
class LoadersInHand:
    """Stand in the place of a data set: three loaders or map-style data sets."""

    data: Data
    use: str = "python"
    needs_code: ClassVar[bool] = False

    @classmethod
    def of(cls, splits: tuple[Any, Any, Any], network: Network, *, kind: str) -> LoadersInHand:
        """Look at one batch for the shapes, and at the network for the number of classes."""
        if not isinstance(splits, (tuple, list)) or len(splits) != 3:  # noqa: PLR2004 - train, validation, test
            raise DataError("data must be three loaders or data sets: (train, validation, test)")
        if kind not in ("static", "frames"):
            raise DataError(f"kind must be 'static' or 'frames', not {kind!r}")
        for name, split in zip(("train", "validation", "test"), splits, strict=True):
            _require_samples(name, split)
        train, validation, test = splits
        x_B = _first_batch(train)
        num_classes = _num_classes(network, x_B, kind)
        inputs = Inputs(tuple(x_B.shape[1:]), num_classes, cast("Any", kind), len(_samples(train)))
        return cls(Data(train, validation, test, inputs))

    def canonical(self) -> dict[str, Any]:
        """Return what can be said of loaders: sizes of splits and batches."""
        splits = (self.data.train, self.data.validation, self.data.test)
        return {
            "use": self.use,
            "sizes": [len(_samples(split)) for split in splits],
            "batches": [_batching(split) for split in splits],
        }

    def inputs(self) -> Inputs:
        """Return the shapes."""
        return self.data.inputs

    def fingerprint(self) -> str:
        """Return a hash of the class and of up to 64 samples spread over each split."""
        digest = hashlib.sha256()
        with leaving_generators():
            seed_everything(0)  # samples that are augmented at random draw the same each time
            for split in (self.data.train, self.data.validation, self.data.test):
                samples = _samples(split)
                digest.update(type(samples).__qualname__.encode())
                for index in range(0, len(samples), max(1, len(samples) // 64)):
                    x, y = samples[index]
                    digest.update(_bytes(torch.as_tensor(x)) + _bytes(torch.as_tensor(y)))
        return digest.hexdigest()

    def load(self, seed: int) -> Data:
        """Return the loaders as they are; they have their own splits."""
        del seed
        return self.data


def in_hand_text(described: Mapping[str, Any], network: Network) -> str:
    """Return a pipeline as text that says that its network and its data were in hand, and that cannot be run."""
    model = {"use": "python", "function": f"{IN_HAND}:network"}
    data = {**described["data"], "function": f"{IN_HAND}:data"}
    built = network.source.reference.get("function", network.source.reference.get("use"))
    return (
        f"# Written by snncompress.compress(). The network (built by {built!r}) and the data were in hand in Python, so this\n"
        "# file says what was done and cannot be run as it is. To run it, name a model and data of your own here.\n"
    ) + dump({**described, "model": model, "data": data})


def _samples(split: Any) -> Any:
    return split.dataset if isinstance(split, DataLoader) else split


def _batching(split: Any) -> list[Any]:
    if not isinstance(split, DataLoader):
        return []
    return [split.batch_size, type(split.sampler).__qualname__, split.drop_last]


def _bytes(value: Tensor) -> bytes:
    return value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes()


def _require_samples(name: str, split: Any) -> None:
    samples = _samples(split)
    if isinstance(samples, IterableDataset) or not (hasattr(samples, "__len__") and hasattr(samples, "__getitem__")):
        raise DataError(f"the {name} data must be a DataLoader or a data set with a length and samples by number")
    if not len(samples):
        raise DataError(f"the {name} data hold no sample")


def _first_batch(train: Any) -> Tensor:
    batch = next(iter(loader_of(train, _NUM_TRIED, shuffle=False)))
    if not (isinstance(batch, (tuple, list)) and len(batch) == 2 and isinstance(batch[0], Tensor)):  # noqa: PLR2004 - x and y
        raise DataError("each batch must be a pair (x_B..., y_B)")
    labels = torch.as_tensor(batch[1])
    if labels.dim() != 1 or labels.is_floating_point():
        shown = f"{str(labels.dtype).removeprefix('torch.')} {list(labels.shape)}"
        raise DataError(f"labels must be one whole number for each sample, [B], not {shown}")
    return batch[0]


def _num_classes(network: Network, x_B: Tensor, kind: str) -> int:
    """Return the number of classes that the network tells apart; raise ModelError where it cannot run on the data."""
    x = x_B.transpose(0, 1) if kind == "frames" else x_B
    if network.time.input == "sequence" and kind == "static":
        x = x_B.expand(network.time.T, *x_B.shape)
    tried = try_out(network.copy(), x.to(network.device), split="training", rebuild=True)
    return int(tried.logits.shape[-1])
