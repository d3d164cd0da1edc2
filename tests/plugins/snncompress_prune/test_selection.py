import pytest
import torch

from snncompress import StepError, Training
from snncompress_prune.selection import density, last_training, next_masks, training_of


def half(alive, total):
    return round(alive / 2)


def test_density_is_counted_by_hand(fresh):
    mask = torch.zeros(24, 64, dtype=torch.bool)
    mask[0] = True
    assert density(fresh.with_masks({"fc1.weight": mask}), ("fc1",)) == {
        "weights": 24 * 64,
        "remaining": 64,
        "sparsity": 1 - 64 / (24 * 64),
    }
    assert density(fresh.with_masks({"fc1.weight": mask}), ("synapse",))["remaining"] == 64 + 10 * 24


def test_masks_of_layers_that_are_not_selected_stay(fresh):
    mask = torch.rand(10, 24, generator=torch.Generator().manual_seed(0)) > 0.5
    masks = next_masks(fresh.with_masks({"fc2.weight": mask}), ("fc1",), half, "global")
    assert torch.equal(masks["fc2.weight"], mask)
    assert int(masks["fc1.weight"].sum()) == 24 * 64 // 2


def test_a_selector_without_weights_and_weights_that_are_not_finite_are_refused(fresh):
    with pytest.raises(StepError, match=r"selector \['norm'\] picks no synaptic weight"):
        next_masks(fresh, ("norm",), half, "global")
    broken = fresh.with_weights({"fc2.weight": torch.full((10, 24), float("nan"))})
    with pytest.raises(StepError, match=r"'fc2.weight' holds values that are not finite"):
        next_masks(broken, ("synapse",), half, "global")


def test_training_is_inherited_from_the_last_step_that_trained(make):
    first, second = make("train", epochs=3, lr=0.25), make("train", epochs=5, lr=0.5)
    silent = make("prune.l1", fraction=0.5)
    assert last_training((first, second, silent)) == Training(epochs=5, lr=0.5)
    assert last_training((silent,)) is None
    assert training_of(None, 2, (first, silent)) == Training(epochs=2, lr=0.25)
    assert training_of(Training(epochs=7), 2, (first,)) == Training(epochs=2)
    assert training_of(Training(epochs=7), None, (first,)) == Training(epochs=7)
