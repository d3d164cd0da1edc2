"""The weight matrices that low-rank factors may take the place of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

from snncompress import Inventory

_KINDS = ("Linear", "Conv1d", "Conv2d")


@dataclass(frozen=True)
class Matrix:
    """Describe the weights of one layer as a matrix [num_out, num_in], and how many biases stand beside it."""

    path: str
    num_out: int
    num_in: int
    num_biases: int = 0

    @property
    def weight(self) -> str:
        """The name of the tensor."""
        return f"{self.path}.weight" if self.path else "weight"

    @property
    def full_rank(self) -> int:
        """The largest rank that the matrix can have."""
        return min(self.num_out, self.num_in)

    @property
    def num_parameters(self) -> int:
        """The parameters of the whole layer."""
        return self.num_out * self.num_in + self.num_biases

    def num_parameters_at(self, rank: int) -> int:
        """Return the parameters of the layer in two factors."""
        return rank * (self.num_out + self.num_in) + self.num_biases

    def num_needed(self, rank: int) -> int:
        """Return the parameters of the layer at this rank: in two factors, or whole where that takes no more."""
        return min(self.num_parameters_at(rank), self.num_parameters)

    def saves(self, rank: int) -> bool:
        """Tell whether two factors of this rank have fewer parameters than the whole layer."""
        return self.num_parameters_at(rank) < self.num_parameters


def matrices_in(inventory: Inventory, terms: Sequence[str]) -> tuple[list[Matrix], list[str]]:
    """Return the matrices among the layers that ``terms`` pick, and the paths of the other layers.

    A matrix is the weight of a linear layer, or of a convolution of kernel size 1; an inventory knows no strides and no
    groups, so a few of them may turn out to be none.
    """
    kinds = {part.path: part.type for part in inventory.parts}
    sizes = {tensor.name: tensor.shape for tensor in inventory.tensors}
    matrices: list[Matrix] = []
    others: list[str] = []
    for name in inventory.weights(terms):
        path, _, leaf = name.rpartition(".")
        shape = sizes[name]
        if leaf == "weight" and kinds[path] in _KINDS and prod(shape[2:]) == 1:
            bias = sizes.get(f"{path}.bias" if path else "bias", (0,))
            matrices.append(Matrix(path, shape[0], shape[1], prod(bias)))
        else:
            others.append(path)
    others += [one.module for one in inventory.derived_weights(terms)]
    return matrices, others
