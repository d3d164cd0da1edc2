"""Views of sequences in which a kernel needs to know no shape: [T, N], or rows [T, R, C] where tensors vary by channel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Layout:
    """Say how x_TB... becomes [T, N] or [T, R, C], and back.

    Attributes:
        shape: of one step of the input, [B, ...].
        order: the dimensions of x_TB..., as they lie in the flat form; 0 is time and stays first.
        num_rows: how many of the dimensions behind time are rows; None where there are no channels: [T, N].
    """

    shape: tuple[int, ...]
    order: tuple[int, ...]
    num_rows: int | None

    @classmethod
    def of(cls, x: Tensor, parameters: Sequence[Tensor]) -> Layout:
        """Choose the view: as the values lie in memory where nothing varies by channel."""
        shape = tuple(x.shape[1:])
        if all(value.numel() == 1 for value in parameters):
            return cls(shape, (0, *sorted(range(1, x.dim()), key=lambda dim: -x.stride()[dim])), None)
        varying = {dim for value in parameters for dim in _varying(value, x.dim())}
        if varying == {2}:
            return cls(shape, (0, 1, *range(3, x.dim()), 2), x.dim() - 2)
        return cls(shape, tuple(range(x.dim())), min(varying) - 1)

    @property
    def num_dims(self) -> int:
        """The number of dimensions of one step in the flat form."""
        return 1 if self.num_rows is None else 2

    def flat(self, x: Tensor) -> Tensor:
        """Return x_TB... as [T, N] or [T, R, C]; a view where the values lie so."""
        ordered = x.permute(self.order).contiguous()
        if self.num_rows is None:
            return ordered.reshape(len(x), -1)
        num_channels = _product(ordered.shape[1 + self.num_rows :])
        return ordered.reshape(len(x), -1, num_channels)

    def flat_step(self, v_B: Tensor) -> Tensor:
        """Return one step [B, ...] as [N] or [R, C]."""
        return self.flat(v_B.unsqueeze(0)).squeeze(0)

    def parameter(self, value: Tensor) -> Tensor:
        """Return a tensor of the neuron with no dimension, or as [C]."""
        if value.numel() == 1:
            return value.reshape(())
        aligned = value.reshape((1,) * (len(self.shape) - value.dim()) + tuple(value.shape))
        assert self.num_rows is not None  # noqa: S101 - of() chose rows
        behind = [dim - 1 for dim in self.order[1 + self.num_rows :]]
        sizes = [self.shape[dim] if dim in behind else 1 for dim in range(len(self.shape))]
        return aligned.expand(sizes).permute([dim - 1 for dim in self.order[1:]]).reshape(-1)

    def unflat(self, flat: Tensor) -> Tensor:
        """Return [T, N] or [T, R, C] as x_TB..., lying in memory as it is."""
        lying = flat.view(len(flat), *(self.shape[dim - 1] for dim in self.order[1:]))
        return lying.permute([self.order.index(dim) for dim in range(len(self.order))])

    def unflat_step(self, flat: Tensor) -> Tensor:
        """Return [N] or [R, C] as one step [B, ...]."""
        return self.unflat(flat.unsqueeze(0)).squeeze(0)


def _varying(value: Tensor, num_dims: int) -> list[int]:
    """Return the dimensions of x_TB... along which a tensor that broadcasts to one step varies."""
    return [num_dims - value.dim() + dim for dim, size in enumerate(value.shape) if size > 1]


def _product(sizes: Sequence[int]) -> int:
    found = 1
    for size in sizes:
        found *= size
    return found


def rows_of(y: Tensor) -> Tensor:
    """Return y_TBC... as rows [T, B, L, C], L the places; a view where channels lie last."""
    return (y.flatten(3).transpose(2, 3) if y.dim() > 3 else y.unsqueeze(2)).contiguous()  # noqa: PLR2004 - T, B, C


def from_rows(rows: Tensor, places: Sequence[int]) -> Tensor:
    """Return rows [T, B, L, C] as y_TBC... with ``places``, lying in memory as they are."""
    return torch.unflatten(rows.transpose(2, 3), 3, tuple(places)) if places else rows.squeeze(2)


def is_constant(x: Tensor) -> bool:
    """Tell whether x_T... is one step, expanded: known from its strides, without looking at values."""
    return x.stride(0) == 0
