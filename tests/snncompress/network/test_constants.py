"""What a module holds besides its state dict, by hand."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils import prune, weight_norm

from snncompress.network.constants import constants, differing_constants


class Holder(nn.Module):
    def __init__(self, value):
        super().__init__()
        self.fc = nn.Linear(2, 2)
        self.table, self.named, self.array = torch.tensor(value), {"a": [torch.tensor(1.0)]}, np.array([1, 2])
        self.alias = [self.fc.weight]
        self.register_buffer("stored", torch.rand(3))
        self.register_buffer("passing", torch.tensor([value, float("nan")]), persistent=False)


def test_tensors_arrays_and_buffers_that_are_not_stored_are_found_and_parameters_are_not():
    assert set(constants(nn.Sequential(Holder(1.0)))) == {"0.table", "0.named.a.0", "0.array", "0.passing"}


def test_only_what_differs_is_named():
    assert list(differing_constants(Holder(1.0), Holder(1.0))) == []
    assert list(differing_constants(Holder(1.0), Holder(2.0))) == ["table", "passing"]


def test_another_kind_shape_or_absence_differs():
    one, other = Holder(1.0), Holder(1.0)
    other.table, other.array = np.array(1.0, dtype=np.float32), np.array([1.0, 2.0])
    del other.named
    assert list(differing_constants(one, other)) == ["table", "named.a.0", "array"]


def test_a_weight_that_a_hook_computes_is_no_constant():
    pruned = nn.Linear(3, 3)
    with pytest.warns(FutureWarning, match="weight_norm"):
        normed = weight_norm(nn.Linear(3, 3))
    prune.random_unstructured(pruned, "weight", amount=0.5)
    assert constants(nn.Sequential(pruned, normed)) == {}
