"""The gate that every batch goes through: (x_B..., labels_B), as the data set says, or one clear error."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from snncompress.components import Inputs
from snncompress.errors import DataError
from snncompress.network import leaving_generators
from snncompress.plugins import guarded

if TYPE_CHECKING:
    from snncompress.network import Network

SplitName = Literal["train", "validation", "test"]

_PAIR = 2
_TELLING = 32
"""Labels that are enough to say something of the classes."""
_END = object()


@dataclass(frozen=True)
class Batches:
    """The batches of one split, each looked at before it is handed out.

    Attributes:
        loader: where they come from.
        split: the name of the split, for errors.
        inputs: what is known of the samples; a shape () or no classes, 0, where that is not known yet.
    """

    loader: DataLoader[Any]
    split: SplitName
    inputs: Inputs

    def __len__(self) -> int:
        return len(self.loader)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield x_B... and labels_B (whole numbers, int64); raise DataError for anything else."""
        number = 0
        batches = self._read(lambda: iter(self.loader), 1)
        while (batch := self._read(lambda: next(batches, _END), number + 1)) is not _END:
            number += 1
            yield self.looked_at(batch, number)
        if not number:
            raise DataError(
                f"the {self.split} data give no batch; with drop_last a loader needs at least batch_size samples"
            )

    def looked_at(self, batch: Any, number: int) -> tuple[Tensor, Tensor]:
        """Return a batch as a pair of tensors; raise DataError where it is none, or does not fit the data set."""
        where = f"batch {number} of the {self.split} data"
        x, labels = _pair(batch, where)
        x_B, labels_B = _tensor(x, f"x of {where}"), _whole_numbers(labels, where)
        _require_samples(x_B, len(labels_B), where)
        self._require_shape(x_B, where)
        _require_finite(x_B, where)
        if self.inputs.num_classes:
            require_classes(labels_B, self.inputs.num_classes, where)
        return x_B, labels_B

    def require_outputs(self, output_BC: Tensor, labels_B: Tensor, number: int = 1) -> None:
        """Raise DataError unless a network's outputs are as many as the classes, or at least as the labels need."""
        width, declared = output_BC.shape[1], self.inputs.num_classes
        if declared and width != declared:
            grouped = width > declared and width % declared == 0
            raise DataError(
                f"the network gives {width} outputs, and the data have {declared} classes; give the model as many outputs "
                f"as there are classes, or set num_classes{_population(width // declared) if grouped else ''}"
            )
        require_classes(labels_B, width, f"batch {number} of the {self.split} data")

    def _read(self, work: Any, number: int) -> Any:
        return guarded(work, f"reading batch {number} of the {self.split} data", DataError)

    def _require_shape(self, x_B: Tensor, where: str) -> None:
        found, wanted = tuple(x_B.shape[1:]), tuple(self.inputs.shape)
        if wanted and found != wanted:
            frames = self.inputs.kind == "frames" and found[1:] == wanted[1:]
            hint = f": {found[0]} time steps for {wanted[0]}; give every sample as many" if frames else ""
            raise DataError(f"{where} has samples of shape {list(found)}; the data's shape is {list(wanted)}{hint}")


def first_of(batches: Batches) -> tuple[Tensor, Tensor]:
    """Return the first batch of a split, and leave every generator that its loader draws from as it was."""
    states = [(generator, generator.get_state()) for generator in generators_of(batches.loader)]
    try:
        with leaving_generators():
            return next(iter(batches))
    finally:
        for generator, state in states:
            generator.set_state(state)


def generators_of(loader: DataLoader[Any]) -> list[torch.Generator]:
    """Return the generators of a loader that are not the global one (a user's own loader may have some)."""
    owners: tuple[Any, ...] = (loader, loader.sampler, getattr(loader.batch_sampler, "sampler", None), loader.dataset)
    found = [owner.generator for owner in owners if isinstance(getattr(owner, "generator", None), torch.Generator)]
    return list({id(generator): generator for generator in found}.values())


def require_no_arrays(split: Any, name: str) -> None:
    """Raise DataError for a pair of tensors or arrays, or a list of such batches, where a data set belongs."""
    if isinstance(split, (tuple, list)) and split and all(map(_is_batch, split[:2])):
        raise DataError(f"the {name} are a list of ready batches; give the DataLoader, or a data set of single samples")
    if (
        isinstance(split, (tuple, list))
        and len(split) == _PAIR
        and all(isinstance(p, (Tensor, np.ndarray)) for p in split)
    ):
        raise DataError(
            f"the {name} are a pair of arrays; make a data set of them: torch.utils.data.TensorDataset(x, labels)"
        )


def _is_batch(item: Any) -> bool:
    """Tell a ready batch (x_B..., labels_B) from a sample, whose label is a single number."""
    if not isinstance(item, (tuple, list)) or len(item) != _PAIR or not all(hasattr(part, "shape") for part in item):
        return False
    return len(item[1].shape) == 1 and len(item[0].shape) > 1 and item[0].shape[0] == item[1].shape[0]


def require_classes(labels_B: Tensor, num_classes: int, where: str) -> None:
    """Raise DataError that names the first label outside 0..num_classes-1."""
    if not len(labels_B) or (int(labels_B.min()) >= 0 and int(labels_B.max()) < num_classes):
        return
    index = int(((labels_B < 0) | (labels_B >= num_classes)).nonzero()[0])
    from_one = int(labels_B.min()) >= 1 and int(labels_B.max()) == num_classes
    raise DataError(
        f"{where}: the label {int(labels_B[index])} at index {index} lies outside 0..{num_classes - 1}"
        + ("; labels begin with 0: subtract 1" if from_one else "")
    )


def say_if_grouped(width: int, labels_N: Tensor) -> None:
    """Warn where a network gives many times the outputs that the labels name classes.

    Nobody declared a number of classes, so it may be right; but accuracy takes every output for a class.
    """
    if len(labels_N) < _TELLING or bool((labels_N == labels_N[0]).all()):
        return
    seen = int(labels_N.max()) + 1
    if width >= 2 * seen:
        warnings.warn(
            f"the network gives {width} outputs, and the labels seen are 0..{seen - 1}; accuracy takes each output for a "
            f"class{_population(width // seen) if width % seen == 0 else ''}",
            stacklevel=2,
        )


def _population(number: int) -> str:
    return f"; if each class has several outputs (population code), declare Time(..., population={number})"


def as_taken(network: Network, x_B: Tensor, kind: str) -> Tensor:
    """Return a batch in the precision of the network's weights; whole numbers are not rescaled.

    A network with an embedding takes int32 and int64 as they are: they are indices.
    """
    weights = (value.dtype for value in network.module.parameters() if value.is_floating_point() and value.dim() > 1)
    wanted = next(weights, torch.float32)
    if x_B.dtype == wanted:
        return x_B
    if not x_B.is_floating_point() and x_B.dtype is not torch.bool:
        if x_B.dtype in (torch.int32, torch.int64) and any(
            isinstance(p, nn.Embedding) for p in network.module.modules()
        ):
            return x_B
        _say_not_rescaled(x_B, kind)
    return x_B.to(wanted)


def _say_not_rescaled(x_B: Tensor, kind: str) -> None:
    """Warn of images of whole numbers above 1: most networks were trained on 0..1. Counts of events are none."""
    if kind == "static" and x_B.numel() and int(x_B.max()) > 1:
        warnings.warn(
            f"the images are {_dtype(x_B)} with values above 1: they are taken as they are and not divided by 255; if the "
            "network was trained on 0..1, divide in the data set",
            stacklevel=2,
        )


def _pair(batch: Any, where: str) -> tuple[Any, Any]:
    if isinstance(batch, (tuple, list)) and len(batch) == _PAIR:
        return batch[0], batch[1]
    if isinstance(batch, Mapping):
        hint = "; give the loader a collate_fn that picks x and labels"
        shown = f"a dict with {', '.join(map(repr, list(batch)[:5]))}"
    elif isinstance(batch, (tuple, list)):
        hint = "; leave out the rest in the data set, or in a collate_fn of the loader"
        shown = _described(batch)
    else:
        hint, shown = "", _described(batch)
    raise DataError(f"{where} is {shown}, and each batch must be a pair (x_B..., labels_B){hint}")


def _tensor(value: Any, where: str) -> Tensor:
    if isinstance(value, np.ndarray):
        if value.dtype == object:
            raise DataError(f"{where} is an array of objects: its samples have different shapes; pad or cut them")
        value = torch.from_numpy(np.ascontiguousarray(value) if value.flags.writeable else value.copy())
    if not isinstance(value, Tensor):
        raise DataError(f"{where} is {_described(value)}; it must be a tensor or a NumPy array")
    if value.is_complex():
        raise DataError(f"{where} is {_dtype(value)} {list(value.shape)}; it must be real")
    return value


def _whole_numbers(labels: Any, where: str) -> Tensor:
    if not isinstance(labels, (Tensor, np.ndarray)):
        labels = guarded(lambda: torch.as_tensor(labels), f"reading the labels of {where}", DataError)
    labels_B = _tensor(labels, f"the labels of {where}")
    if labels_B.dim() == 1 and not labels_B.is_floating_point():
        return labels_B.long()
    raise DataError(
        f"{where}: labels must be one whole number for each sample, [B], not {_dtype(labels_B)} {list(labels_B.shape)}"
        f"{_label_hint(labels_B)}"
    )


def _label_hint(labels: Tensor) -> str:
    if labels.dim() == _PAIR and labels.shape[1] == 1:
        return "; take labels.squeeze(1)" + (".long()" if labels.is_floating_point() else "")
    one_hot = labels.dim() == _PAIR and bool(((labels == 0) | (labels == 1)).all() and (labels.sum(1) == 1).all())
    return (
        "; these are one-hot: take labels.argmax(1)" if one_hot else "; other tasks than classification are not known"
    )


def _require_samples(x_B: Tensor, num_labels: int, where: str) -> None:
    if x_B.dim() and len(x_B) == num_labels:
        return
    first = x_B.dim() > 1 and x_B.shape[1] == num_labels
    hint = "; time seems to come first: give [B, T, ...], swap axes 0 and 1 (and kind 'frames')" if first else ""
    raise DataError(f"{where} has x of shape {list(x_B.shape)} and {num_labels} labels; axis 0 must be the batch{hint}")


def _require_finite(x_B: Tensor, where: str) -> None:
    if not x_B.is_floating_point() or bool(x_B.sum().isfinite()):  # a sum sees every NaN, and is quick
        return
    wrong_B = ~x_B.isfinite().flatten(1).all(1) if x_B.dim() > 1 else ~x_B.isfinite()
    if not bool(wrong_B.any()):
        return  # finite values whose sum overflows
    index = int(wrong_B.nonzero()[0])
    value = x_B[index][~x_B[index].isfinite()].flatten()[0]
    raise DataError(f"{where}: the sample at index {index} holds {float(value)}; x must be finite")


def _described(value: Any) -> str:
    if isinstance(value, Tensor):
        return f"a tensor {_dtype(value)} {list(value.shape)}"
    if isinstance(value, (tuple, list)):
        return f"a {type(value).__name__} of {len(value)}"
    return "None" if value is None else f"a {type(value).__name__}"


def _dtype(value: Tensor) -> str:
    return str(value.dtype).removeprefix("torch.")
