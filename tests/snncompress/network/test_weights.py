import pytest
import snntorch
import torch
from spikingjelly.activation_based import layer, neuron
from torch import nn
from torch.nn.utils import parametrizations, parametrize

from snncompress import Time, declare
from snncompress.network.inventory import inventory_of
from snncompress.network.owners import find_owners
from snncompress.network.weights import is_synaptic

ANN = Time("none", input="static", output="averaged")


def weights(module, host):
    return inventory_of(module, {}, find_owners(module, host)).weights(("*",))


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (lambda: nn.Linear(1, 6), ("0.weight",)),
        (lambda: nn.Conv2d(1, 6, 1), ("0.weight",)),
        (lambda: nn.Conv2d(6, 6, 3, groups=6), ("0.weight",)),
        (lambda: nn.Conv2d(6, 12, 1, groups=3), ("0.weight",)),
        (lambda: nn.Conv2d(6, 6, 1, groups=6), ()),
        (lambda: nn.ConvTranspose2d(6, 6, 1, groups=6), ()),
        (lambda: nn.ConvTranspose2d(6, 6, 2, groups=6), ("0.weight",)),
        (lambda: nn.Bilinear(2, 3, 4), ("0.weight",)),
        (lambda: nn.Embedding(9, 4), ()),
        (lambda: nn.LayerNorm((3, 4, 4)), ()),
        (lambda: nn.GRUCell(1, 1), ("0.weight_ih", "0.weight_hh")),
        (lambda: nn.LSTM(3, 4, proj_size=2), ("0.weight_ih_l0", "0.weight_hh_l0", "0.weight_hr_l0")),
        (lambda: nn.MultiheadAttention(4, 2, add_bias_kv=True), ("0.in_proj_weight", "0.out_proj.weight")),
        (lambda: layer.WSConv2d(3, 6, 3), ("0.weight",)),
        (lambda: layer.WSLinear(3, 6), ("0.weight",)),
        (lambda: layer.TemporalEffectiveBatchNorm2d(4, 6), ()),
        (lambda: layer.NeuNorm(3, 4, 4, 0.9), ()),
        (lambda: neuron.PSN(4), ()),
        (lambda: neuron.MaskedPSN(2, 4, step_mode="m"), ()),
        (lambda: neuron.SlidingPSN(2, step_mode="m"), ()),
        (lambda: layer.TemporalWiseAttention(4, 2), ()),
        (
            lambda: layer.MultiDimensionalAttention(4, 6, reduction_t=2, reduction_c=2),
            ("0.ca.sharedMLP.0.weight", "0.ca.sharedMLP.2.weight", "0.sa.conv.weight"),
        ),
        (lambda: snntorch.LeakyParallel(3, 5, beta=0.9, learn_beta=True), ("0.rnn.weight_ih_l0",)),
        (
            lambda: snntorch.LeakyParallel(3, 5, weight_hh_enable=True, learn_beta=True),
            ("0.rnn.weight_ih_l0", "0.rnn.weight_hh_l0"),
        ),
        (lambda: snntorch.RLeaky(0.9, linear_features=5), ("0.recurrent.weight",)),
    ],
)
def test_what_layers_neurons_and_norms_of_the_libraries_weigh_with(made, expected, host):
    torch.manual_seed(0)
    found = inventory_of(module := nn.Sequential(made()), {}, find_owners(module, host)).weights(("synapse",))
    assert set(found) == set(expected)


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((6, 1, 1, 1), False),
        ((6, 1, 1), False),
        ((1, 6, 1, 1), False),
        ((4, 1, 1, 1, 1), False),
        ((6, 1), False),
        ((1, 1), False),
        ((), False),
        ((6, 5), True),
        ((2, 6, 5), True),
    ],
)
def test_a_parameter_of_a_users_own_module_is_a_weight_if_it_is_a_matrix(shape, expected):
    assert is_synaptic(nn.Module(), "mixing", shape) is expected


def test_gains_and_layer_scales_keep_their_values_and_take_no_decay(host):
    class Scaled(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(1, 8, 3, padding=1)
            self.gain = nn.Parameter(torch.ones(8, 1, 1))
            self.head = nn.Linear(8 * 64, 10)

        def forward(self, x):
            return self.head((self.conv(x) * self.gain).flatten(1))

    assert weights(Scaled(), host) == ("conv.weight", "head.weight")


def normed():
    return nn.Sequential(nn.Flatten(), parametrizations.weight_norm(nn.Linear(64, 32)), nn.ReLU(), nn.Linear(32, 10))


def test_a_parametrised_weight_is_known_as_it_is_used():
    inventory = declare(normed(), ANN, build=normed).inventory
    (derived,) = inventory.derived_weights(("synapse",))
    assert (derived.name, derived.shape, derived.module) == ("1.weight", (32, 64), "1")
    assert derived.originals == ("1.parametrizations.weight.original0", "1.parametrizations.weight.original1")
    assert inventory.weights(("synapse",)) == ("3.weight",)
    assert inventory.derived_weights(("3",)) == ()
    assert {part.path for part in inventory.parts if "synapse" in part.roles} == {"1", "3"}


def test_looking_at_a_spectral_norm_in_training_changes_nothing(host):
    module = nn.Sequential(parametrizations.spectral_norm(nn.Linear(4, 4)))
    before = {name: value.clone() for name, value in module.state_dict().items()}
    assert module.training
    inventory = inventory_of(module, {}, find_owners(module, host))
    assert [one.name for one in inventory.derived] == ["0.weight"]
    assert all(torch.equal(module.state_dict()[name], value) for name, value in before.items())
    assert module.training


def test_a_matrix_within_a_parametrisation_is_not_a_layer(host):
    class Mixed(nn.Module):
        def __init__(self):
            super().__init__()
            self.mixer = nn.Linear(4, 4)

        def forward(self, weight):
            return self.mixer(weight)

    module = nn.Sequential(nn.Linear(4, 4))
    parametrize.register_parametrization(module[0], "weight", Mixed())
    inventory = inventory_of(module, {}, find_owners(module, host))
    assert inventory.weights(("*",)) == ()
    assert [one.kinds for one in inventory.derived] == [("Mixed",)]


class Quantised(nn.Linear):
    """A linear layer with a scale for each of its outputs, whose name begins as a weight's does."""

    def __init__(self):
        super().__init__(4, 6)
        self.weight_scale = nn.Parameter(torch.ones(6, 1))


def test_a_scale_that_is_called_like_a_weight_is_none(host):
    assert weights(nn.Sequential(Quantised()), host) == ("0.weight",)


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_the_length_of_an_old_weight_norm_is_no_weight(host):
    module = nn.Sequential(nn.utils.weight_norm(nn.Linear(4, 6)), nn.utils.weight_norm(nn.LSTM(3, 4), "weight_hh_l0"))
    assert set(weights(module, host)) == {"0.weight_v", "1.weight_ih_l0", "1.weight_hh_l0_v"}
