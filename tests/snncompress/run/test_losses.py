from math import exp, log

import pytest
import torch
from own_networks import summed_loss
from torch.nn import functional

from snncompress import ModelError, Output, StepError, Training
from snncompress.run.losses import cross_entropy_each_step, loss_of, spike_count_mse

LOGITS_TBC = torch.tensor([[[1.0, 0.0], [0.0, 2.0]], [[3.0, 0.0], [0.0, 0.0]]])
LABELS_B = torch.tensor([0, 1])
OUTPUT = Output(LOGITS_TBC, averaged=False)


def entropy(right, wrong):
    """Return the cross entropy of one sample of two classes."""
    return -log(exp(right) / (exp(right) + exp(wrong)))


def test_cross_entropy_is_of_the_mean_over_time():
    expected = (entropy(2.0, 0.0) + entropy(1.0, 0.0)) / 2
    assert float(loss_of(Training(epochs=1))(OUTPUT, LABELS_B)) == pytest.approx(expected)


def test_a_network_that_returns_the_mean_has_the_same_loss():
    averaged = Output(LOGITS_TBC.mean(0), averaged=True)
    loss = loss_of(Training(epochs=1))
    assert torch.equal(loss(averaged, LABELS_B), loss(OUTPUT, LABELS_B))


def test_tet_is_the_mean_of_the_cross_entropies_of_all_steps():
    expected = (entropy(1.0, 0.0) + entropy(2.0, 0.0) + entropy(3.0, 0.0) + entropy(0.0, 0.0)) / 4
    assert float(loss_of(Training(epochs=1, loss="tet"))(OUTPUT, LABELS_B)) == pytest.approx(expected)


def test_the_loss_on_membranes_reads_membranes_alone():
    membranes_TBC = torch.zeros(2, 2, 2)
    output = Output(LOGITS_TBC, averaged=False, membranes=membranes_TBC)
    loss = loss_of(Training(epochs=1, loss="membrane_cross_entropy"))
    assert float(loss(output, LABELS_B)) == pytest.approx(log(2))
    assert float(loss(Output(LOGITS_TBC[0], True, membranes_TBC[0]), LABELS_B)) == pytest.approx(log(2))


def test_missing_membranes_are_told():
    with pytest.raises(StepError, match="records no membranes"):
        loss_of(Training(epochs=1, loss="membrane_cross_entropy"))(OUTPUT, LABELS_B)


def test_spike_counts_aim_at_a_rate_for_each_class():
    rates_BC = torch.tensor([[1.0, 0.0], [0.5, 0.5]])
    expected = (0.2**2 + 0.2**2 + 0.3**2 + 0.3**2) / 4
    assert float(spike_count_mse(rates_BC, LABELS_B)) == pytest.approx(expected)
    loss = loss_of(Training(epochs=1, loss="spike_count_mse"))
    assert float(loss(Output(torch.stack([rates_BC, rates_BC]), False), LABELS_B)) == pytest.approx(expected)


@pytest.mark.parametrize("name", ["cross_entropy", "tet"])
def test_labels_are_smoothed(name):
    smoothed = Training(epochs=1, loss=name, label_smoothing=0.2)
    one_step = Output(LOGITS_TBC[:1], averaged=False)
    # 0.9 of the weight lies on the true class, 0.1 on the other one of two
    expected = (0.9 * entropy(1, 0) + 0.1 * entropy(0, 1) + 0.9 * entropy(2, 0) + 0.1 * entropy(0, 2)) / 2
    assert float(loss_of(smoothed)(one_step, LABELS_B)) == pytest.approx(expected)


def test_steps_and_samples_are_not_mixed_up():
    generator = torch.Generator().manual_seed(0)
    logits_TBC, labels_B = torch.randn(3, 5, 4, generator=generator), torch.tensor([0, 3, 1, 2, 3])
    expected = torch.stack([functional.cross_entropy(logits_BC, labels_B) for logits_BC in logits_TBC]).mean()
    assert torch.allclose(cross_entropy_each_step(logits_TBC, labels_B), expected)


def test_a_users_own_function_is_a_loss():
    loss = loss_of(Training(epochs=1, loss="own_networks:summed_loss"))
    assert torch.equal(loss(OUTPUT, LABELS_B), summed_loss(OUTPUT, LABELS_B))
    with pytest.raises(ModelError, match="did you mean 'summed_loss'"):
        loss_of(Training(epochs=1, loss="own_networks:sumed_loss"))
