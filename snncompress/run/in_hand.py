"""A network and data loaders that a Python user has in hand, in the places of a model and a data set."""

from __future__ import annotations

import hashlib
import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, cast, get_args

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, IterableDataset

from snncompress.components import Data, Inputs
from snncompress.errors import DataError
from snncompress.measure import Batches, as_taken, batch_size_of, first_of, frames_first, loader_of
from snncompress.measure.gate import SplitName, require_no_arrays, say_if_grouped
from snncompress.network import Network, Time, leaving_generators, try_out
from snncompress.network.finite import require_finite
from snncompress.network.ties import ties_of
from snncompress.pipeline import IN_HAND, dump, plain
from snncompress.plugins import Host, guarded
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
        require_finite(network.module, "the network")
        return cls(network.copy())

    def canonical(self) -> dict[str, Any]:
        """Return the reference and a hash of everything else: values, masks, snapshots, edits, time."""
        network = self.network
        digest = hashlib.sha256(repr([network.time, [edit.to_json() for edit in network.edits]]).encode())
        if ties := ties_of(network.module):
            digest.update(repr(sorted(ties.items())).encode())
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
    seen: str
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
        unknown = Inputs((), 0, cast("Any", kind), len(_samples(splits[0])))
        x_B, _ = first_of(_batches(splits[0], "train", unknown))
        num_classes = _num_classes(network, x_B, kind)
        decided = batch_size_of(splits[0])
        inputs = replace(unknown, shape=tuple(x_B.shape[1:]), num_classes=num_classes, batch_size=decided)
        for name, split in zip(get_args(SplitName), splits, strict=True):
            first_of(_batches(split, name, inputs))
        seen, labels = _spread_samples(splits)
        say_if_grouped(num_classes, torch.tensor(labels))
        return cls(Data(*splits, inputs), seen)

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
        return self.seen

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
    ) + dump(plain({**described, "model": model, "data": data}))


def _samples(split: Any) -> Any:
    return split.dataset if isinstance(split, DataLoader) else split


def _batching(split: Any) -> list[Any]:
    if not isinstance(split, DataLoader):
        return []
    return [split.batch_size, type(split.sampler).__qualname__, split.drop_last]


def _bytes(value: Tensor) -> bytes:
    return value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes()


def _spread_samples(splits: Sequence[Any]) -> tuple[str, list[int]]:
    """Return a hash of up to 64 samples spread over each split, and those labels among them that are whole numbers."""
    digest, labels = hashlib.sha256(), []
    with leaving_generators():
        seed_everything(0)  # samples that are augmented at random draw the same each time
        for name, split in zip(get_args(SplitName), splits, strict=True):
            samples = _samples(split)
            digest.update(type(samples).__qualname__.encode())
            for index in range(0, len(samples), max(1, len(samples) // 64)):
                what = f"reading sample {index} of the {name} data"
                sample = guarded(partial(samples.__getitem__, index), what, DataError)
                digest.update(_digestible(sample))
                labels += _whole_label(sample)
    return digest.hexdigest(), labels


def _whole_label(sample: Any) -> list[int]:
    try:
        return [operator.index(sample[1])] if isinstance(sample, (tuple, list)) and len(sample) > 1 else []
    except TypeError:
        return []


def _digestible(sample: Any) -> bytes:
    """Return what tells one sample from another, whatever its loader makes of it."""
    if isinstance(sample, Mapping):
        return b"".join(str(name).encode() + _digestible(value) for name, value in sample.items())
    if isinstance(sample, (tuple, list)):
        return b"".join(map(_digestible, sample))
    if isinstance(sample, Tensor):
        return _bytes(sample)
    if isinstance(sample, np.ndarray) or hasattr(sample, "__array_interface__"):
        return np.ascontiguousarray(sample).tobytes()
    if isinstance(sample, (bool, int, float)):
        return _bytes(torch.as_tensor(sample))
    return repr(sample).encode() if isinstance(sample, (str, bytes)) else type(sample).__qualname__.encode()


def _require_samples(name: str, split: Any) -> None:
    require_no_arrays(split, f"{name} data")
    samples = _samples(split)
    if isinstance(samples, IterableDataset) or not (hasattr(samples, "__len__") and hasattr(samples, "__getitem__")):
        raise DataError(f"the {name} data must be a DataLoader or a data set with a length and samples by number")
    if not len(samples):
        raise DataError(f"the {name} data hold no sample")


def _batches(split: Any, name: SplitName, inputs: Inputs) -> Batches:
    return Batches(loader_of(split, _NUM_TRIED, shuffle=False), name, inputs)


def _num_classes(network: Network, x_B: Tensor, kind: str) -> int:
    """Return the number of classes that the network tells apart; raise ModelError where it cannot run on the data."""
    x_B = as_taken(network, x_B, kind)
    x = frames_first(network, x_B) if kind == "frames" else x_B
    if network.time.input == "sequence" and kind == "static":
        x = x_B.expand(network.time.T, *x_B.shape)
    tried = try_out(network.copy(), x.to(network.device), split="training", rebuild=True)
    return int(tried.logits.shape[-1])
