import numpy as np
import pytest
import torch
from spikingjelly.activation_based import layer
from torch import nn
from torch.nn.modules.linear import NonDynamicallyQuantizableLinear

from snncompress import Host
from snncompress_structured.factors import Factors, fault_of, singular_values, split

ROTATED, _ = np.linalg.qr(np.random.default_rng(1).standard_normal((6, 6)))
MATRICES = {
    "tall": np.random.default_rng(0).standard_normal((9, 4)),
    "wide": np.random.default_rng(0).standard_normal((4, 9)),
    "all singular values equal": 3 * ROTATED,
    "rank one": np.outer(np.arange(1.0, 6), np.arange(1.0, 4)),
    "zero": np.zeros((5, 3)),
    "one entry": np.array([[2.0]]),
}
LAYERS = {
    "linear": (lambda: nn.Linear(6, 4), (5, 3, 6)),
    "linear without a bias": (lambda: nn.Linear(6, 4, bias=False), (5, 6)),
    "pointwise Conv1d": (lambda: nn.Conv1d(6, 4, 1), (5, 6, 7)),
    "pointwise Conv2d": (lambda: nn.Conv2d(6, 4, 1, padding="same"), (5, 6, 7, 3)),
    "linear of many steps": (lambda: layer.Linear(6, 4, step_mode="m"), (2, 5, 6)),
    "linear of one step": (lambda: layer.Linear(6, 4), (5, 6)),
    "Conv1d of many steps": (lambda: layer.Conv1d(6, 4, 1, step_mode="m"), (2, 5, 6, 7)),
    "Conv1d of one step": (lambda: layer.Conv1d(6, 4, 1), (5, 6, 7)),
    "Conv2d of many steps": (lambda: layer.Conv2d(6, 4, 1, bias=False, step_mode="m"), (2, 5, 6, 7, 3)),
}


def factors_of(old, rank):
    builder = Factors()
    new = builder.build(old, {"rank": rank})
    builder.transfer(old, new)
    return new


@pytest.mark.parametrize("name", MATRICES)
def test_the_product_is_the_best_approximation_of_its_rank(name):
    matrix = MATRICES[name]
    u, values, v = np.linalg.svd(matrix, full_matrices=False)
    assert singular_values(torch.from_numpy(matrix)) == pytest.approx(values.tolist())
    for rank in range(1, len(values) + 1):
        first, second = split(torch.from_numpy(matrix), rank)
        assert first.shape == (rank, matrix.shape[1])
        assert second.shape == (matrix.shape[0], rank)
        found = (second @ first).numpy()
        lost = np.linalg.norm(matrix - found)
        assert lost == pytest.approx(np.sqrt(np.square(values[rank:]).sum()), abs=1e-12)
        if name != "all singular values equal":  # there, many products are nearest
            assert np.allclose(found, (u[:, :rank] * values[:rank]) @ v[:rank], atol=1e-12)


def test_both_factors_take_the_root_of_each_singular_value():
    first, second = split(torch.tensor([[0.0, 9.0], [4.0, 0.0]]), rank=2)
    assert first.abs().tolist() == [[0, 3], [2, 0]]
    assert second.abs().tolist() == [[3, 0], [0, 2]]


@pytest.mark.parametrize("name", LAYERS)
def test_at_full_rank_a_layer_computes_the_same(name):
    make, shape = LAYERS[name]
    torch.manual_seed(0)
    old, x = make().double(), torch.randn(shape, dtype=torch.float64)
    new = factors_of(old, 4)
    assert fault_of(old) == ""
    assert {type(part) for part in new} == {type(old)}
    assert (new(x) - old(x)).abs().max() < 1e-12
    assert [part.bias is not None for part in new] == [False, old.bias is not None]
    assert {getattr(part, "step_mode", None) for part in new} == {getattr(old, "step_mode", None)}


def test_a_lower_precision_rounds_the_factors_once():
    torch.manual_seed(0)
    old = nn.Linear(6, 4)
    first, second = split(old.weight, rank=2)
    new = factors_of(old, 2)
    assert torch.equal(new.first.weight, first.float())
    assert torch.equal(new.second.weight, second.float())
    assert torch.equal(new.second.bias, old.bias)


def test_the_structure_follows_from_the_rank_alone_also_without_values():
    old = nn.Conv1d(6, 4, 1, device="meta", dtype=torch.float64)
    new = Factors().build(old, {"rank": 3})
    assert {name: tuple(value.shape) for name, value in new.state_dict().items()} == {
        "first.weight": (3, 6, 1),
        "second.weight": (4, 3, 1),
        "second.bias": (4,),
    }
    assert {(value.device.type, value.dtype) for value in new.parameters()} == {("meta", torch.float64)}


def test_fresh_values_are_drawn_from_the_global_generator():
    draws = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        draws.append(Factors().build(nn.Linear(6, 4), {"rank": 2}).first.weight)
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])


def test_frozen_weights_stay_frozen():
    assert not any(value.requires_grad for value in factors_of(nn.Linear(6, 4).requires_grad_(False), 2).parameters())


def test_a_bias_is_trained_where_it_was_though_its_weight_is_frozen():
    old = nn.Linear(6, 4)
    old.weight.requires_grad_(False)
    found = {name: value.requires_grad for name, value in factors_of(old, 2).named_parameters()}
    assert found == {"first.weight": False, "second.weight": False, "second.bias": True}


class OwnLinear(nn.Linear):
    pass


@pytest.mark.parametrize(
    ("old", "fault"),
    [
        (OwnLinear(2, 2), "OwnLinear is a class of its own"),
        (NonDynamicallyQuantizableLinear(2, 2), "class of its own"),
        (layer.WSLinear(2, 2), "WSLinear is a class of its own"),
        (nn.ConvTranspose1d(2, 2, 1), "class of its own"),
        (nn.Conv2d(2, 2, 3), "no convolution of kernel size 1"),
        (nn.Conv2d(2, 2, (1, 3)), "no convolution of kernel size 1"),
        (nn.Conv2d(2, 2, 1, stride=2), "stride 1"),
        (nn.Conv1d(2, 2, 1, groups=2), "groups"),
        (nn.Conv1d(2, 2, 1, padding=1), "padding"),
    ],
)
def test_a_layer_that_computes_something_else_is_told(old, fault):
    assert fault in fault_of(old)


def test_the_builder_is_registered():
    assert isinstance(Host.from_environment().make("modules", "structured.factors"), Factors)
