import pytest
import torch
from torch import nn

from snncompress import Predictions
from snncompress.network import evaluating


def test_accuracy_by_hand():
    found = Predictions(torch.tensor([0, 1, 2, 2]), torch.tensor([0, 2, 2, 2]))
    assert (found.num_correct, found.accuracy) == (3, 0.75)
    assert Predictions(torch.zeros(0), torch.zeros(0)).accuracy == 0


def test_modes_are_put_back_part_by_part_even_after_an_error():
    module = nn.Sequential(nn.BatchNorm1d(3), nn.Dropout(), nn.Sequential(nn.Dropout()))
    module.train()
    module[1].eval()

    def evaluate():
        with evaluating(module):
            assert not any(part.training for part in module.modules())
            raise KeyError("inside")

    with pytest.raises(KeyError):
        evaluate()
    assert [part.training for part in module.modules()] == [True, True, False, True, True]
