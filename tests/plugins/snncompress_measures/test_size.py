import pytest
import torch
from own_networks import JellyNet, Tied, weight_normed
from torch import nn

from snncompress import StepError, Time, declare
from snncompress.network import InHand, Network
from snncompress_measures.size import Parameters, Size, Sparsity

HIDDEN = 8
WEIGHTS = 64 * HIDDEN + 10 * HIDDEN  # fc1 and fc2
REST = HIDDEN + 2 * HIDDEN + 10  # their biases, scale and shift of the norm


@pytest.fixture
def network(host):
    torch.manual_seed(0)
    module = JellyNet(hidden=HIDDEN)
    with torch.no_grad():
        module.norm.bias.fill_(1)  # it starts at zero, and zeros are counted
    return declare(module, Time("multi_step", 2), arguments={"hidden": HIDDEN}, host=host)


@pytest.fixture
def masked(network):
    mask = torch.zeros(HIDDEN, 64, dtype=torch.bool)
    mask[:, :16] = True
    return network.with_masks({"fc1.weight": mask})


def values_of(metric, network):
    found = metric.measure(network, None)
    assert tuple(found) == metric.yields()
    return {name: measured.value for name, measured in found.items()}


def test_parameters_by_hand(network, masked):
    total = WEIGHTS + REST
    assert values_of(Parameters(), network) == {"parameters": total, "parameters_nonzero": total}
    assert values_of(Parameters(), masked) == {"parameters": total, "parameters_nonzero": total - 48 * HIDDEN}


def test_a_shared_parameter_is_counted_once(host):
    shared = nn.Linear(3, 3, bias=False)
    module, time = nn.Sequential(shared, shared), Time("none", 1, output="averaged", input="static", settable=False)
    found = values_of(Parameters(), Network(module, time, InHand(module, time, {}), host))
    assert found["parameters"] == 9


def test_sparsity_by_hand(network, masked):
    gone = 48 * HIDDEN
    assert values_of(Sparsity(), network) == {"sparsity": 0, "sparsity_all": 0}
    assert values_of(Sparsity(), masked) == {"sparsity": gone / WEIGHTS, "sparsity_all": gone / (WEIGHTS + REST)}
    assert values_of(Sparsity(select=("fc1",)), masked)["sparsity"] == 0.75
    assert values_of(Sparsity(select=("fc2",)), masked)["sparsity"] == 0


def test_a_selector_that_picks_nothing_has_no_sparsity(network):
    with pytest.raises(StepError, match=r"selector \['fc3'\] picks no synaptic weight of this network; near: fc"):
        Sparsity(select=("fc3",)).measure(network, None)
    with pytest.raises(StepError, match=r"\['norm'\] picks no synaptic weight"):
        Sparsity(select=("norm",)).measure(network, None)


def test_bytes_are_those_of_the_file_and_masked_weights_cost_little(network, masked):
    # the format (safetensors): 8 bytes of length, a JSON header padded to 8, then the tensors
    dense, packed = values_of(Size(), network)["bytes"], values_of(Size(), masked)["bytes"]
    tensors = 4 * (WEIGHTS + REST + 2 * HIDDEN) + 8  # running mean and variance, and an int64 count
    assert tensors < dense < tensors + 1500
    saved = 4 * 48 * HIDDEN - 64 * HIDDEN // 8  # the removed weights go, one bit an entry comes
    assert abs((dense - packed) - saved) < 200


def test_the_zeros_of_a_parametrised_weight_are_those_in_use(host):
    module = weight_normed()
    with torch.no_grad():
        module[1].parametrizations.weight.original1[0, :2] = 0
    network = declare(module, Time("none", output="averaged", input="static"), build=weight_normed, host=host)
    assert int((module[1].weight == 0).sum()) == 2
    assert values_of(Sparsity(), network)["sparsity"] == 2 / (16 + 12)
    assert values_of(Sparsity(select=("1",)), network)["sparsity"] == 2 / 16


def test_a_tied_tensor_takes_its_bytes_once(host):
    network = declare(Tied(64), Time("none", output="averaged", input="static"), arguments={"width": 64}, host=host)
    mask = torch.zeros(64, 64, dtype=torch.bool)
    mask[:, :6] = True
    packed = 64 * 64 // 8 + 4 * 64 * 6 + 4 * (64 * 10 + 10)
    for name in ("encode.weight", "again.weight"):
        found = values_of(Size(), network.with_masks({name: mask}))["bytes"]
        assert packed < found < packed + 500
    assert values_of(Parameters(), network)["parameters"] == 64 * 64 + 64 * 10 + 10
