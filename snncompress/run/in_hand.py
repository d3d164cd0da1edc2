"""A network and data loaders that a Python user has in hand, in the places of a model and a data set."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, cast

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from snncompress.components import Data, Inputs
from snncompress.errors import DataError
from snncompress.measure import evaluating, loader_of
from snncompress.network import Network, Time
from snncompress.plugins import Host


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
        """Return the reference and a hash of every value."""
        digest = hashlib.sha256()
        for name, value in sorted(self.network.tensors.items()):
            digest.update(name.encode() + value.detach().cpu().contiguous().numpy().tobytes())
        return {**self.network.source.reference, "values": digest.hexdigest()}

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
        train, validation, test = splits
        batch = next(iter(loader_of(train, 2, shuffle=False)))
        if not (isinstance(batch, (tuple, list)) and len(batch) == 2 and isinstance(batch[0], Tensor)):  # noqa: PLR2004 - x and y
            raise DataError("each batch must be a pair (x_B..., y_B)")
        num_classes = _num_classes(network, batch[0], kind)
        inputs = Inputs(tuple(batch[0].shape[1:]), num_classes, cast("Any", kind))
        return cls(Data(train, validation, test, inputs))

    def canonical(self) -> dict[str, Any]:
        """Return what can be said of loaders: sizes of splits and batches."""
        splits = (self.data.train, self.data.validation, self.data.test)
        return {
            "use": self.use,
            "sizes": [len(_samples(split)) for split in splits],
            "batches": [_batch_size(split) for split in splits],
        }

    def inputs(self) -> Inputs:
        """Return the shapes."""
        return self.data.inputs

    def fingerprint(self) -> str:
        """Return a hash of the class and of up to 64 samples spread over each split."""
        digest = hashlib.sha256()
        state = torch.get_rng_state()
        for split in (self.data.train, self.data.validation, self.data.test):
            samples = _samples(split)
            digest.update(type(samples).__qualname__.encode())
            for index in range(0, len(samples), max(1, len(samples) // 64)):
                x, y = samples[index]
                digest.update(torch.as_tensor(x).contiguous().numpy().tobytes() + str(int(y)).encode())
        torch.set_rng_state(state)
        return digest.hexdigest()

    def load(self, seed: int) -> Data:
        """Return the loaders as they are; they have their own splits."""
        del seed
        return self.data


def _samples(split: Any) -> Any:
    return split.dataset if isinstance(split, DataLoader) else split


def _batch_size(split: Any) -> int | None:
    return split.batch_size if isinstance(split, DataLoader) else None


def _num_classes(network: Network, x_B: Tensor, kind: str) -> int:
    x = x_B.transpose(0, 1) if kind == "frames" else x_B
    if network.time.input == "sequence" and kind == "static":
        x = x_B.expand(network.time.T, *x_B.shape)
    fresh = network.copy()
    with evaluating(fresh.module), torch.no_grad():
        return int(fresh.forward(x).mean().shape[1])
