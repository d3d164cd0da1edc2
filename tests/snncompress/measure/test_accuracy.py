import pytest
import torch
from sklearn.metrics import cohen_kappa_score
from torch import nn

from snncompress import Predictions
from snncompress.network import evaluating


def test_accuracy_by_hand():
    found = Predictions(torch.tensor([0, 1, 2, 2]), torch.tensor([0, 2, 2, 2]))
    assert (found.num_correct, found.accuracy) == (3, 0.75)
    assert Predictions(torch.zeros(0), torch.zeros(0)).accuracy == 0


def test_chance_on_classes_of_equal_size_is_one_part_in_their_number():
    labels_N = torch.arange(10).repeat(50)
    for predicted_N in (torch.zeros(500), labels_N.roll(1), torch.randint(10, (500,))):
        assert Predictions(predicted_N.long(), labels_N).chance == pytest.approx(0.1)


def test_one_answer_to_everything_is_chance_however_often_it_is_right():
    found = Predictions(torch.ones(10).long(), torch.tensor([1] * 9 + [0]))
    assert found.chance == found.accuracy == 0.9
    assert Predictions(torch.zeros(0), torch.zeros(0)).chance == 0


def test_chance_is_the_expected_agreement_of_cohens_kappa():
    """Kappa is (accuracy - chance) / (1 - chance)."""
    generator = torch.Generator().manual_seed(0)
    labels_N = torch.randint(6, (400,), generator=generator).clamp(max=3)
    predicted_N = torch.where(torch.rand(400, generator=generator) < 0.6, labels_N, torch.zeros_like(labels_N))
    found = Predictions(predicted_N, labels_N)
    kappa = cohen_kappa_score(labels_N, predicted_N)
    assert found.chance == pytest.approx((found.accuracy - kappa) / (1 - kappa))
    assert 0.2 < found.chance < 0.5


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
