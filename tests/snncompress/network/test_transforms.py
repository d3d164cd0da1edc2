import pytest
import torch
from computed_networks import COMPUTED, CONVOLUTIONS, WAYS, Convolutional, Product
from torch import nn

from snncompress import Time, declare
from snncompress.network.transforms import may_compute, needs_a_batch, uses_as_it_is

T = 3
AS_THEY_ARE = {"Conv2d", "Stepped"}


def batch(size):
    return torch.rand(T, 2, 1, size, size, generator=torch.Generator().manual_seed(0))


def network_of(kind, way, host):
    arguments = {"kind" if kind is Convolutional else "way": way}
    return declare(kind(way), Time("multi_step", T), arguments=arguments, host=host).with_probe(batch(4))


def computed(network):
    return {one.name for one in network.inventory.derived}


@pytest.mark.parametrize("way", WAYS)
def test_a_weight_is_computed_where_its_zeros_are_not_zeros_in_use(way, host):
    network = network_of(Product, way, host)
    assert computed(network) == COMPUTED.get(way, set())
    assert not computed(network).intersection(network.inventory.weights(("*",)))


@pytest.mark.parametrize("way", sorted(set(WAYS) - set(COMPUTED)))
def test_what_keeps_zeros_stays_a_weight(way, host):
    assert "fc.weight" in network_of(Product, way, host).inventory.weights(("synapse",))


def test_prototypes_that_are_compared_with_inputs_are_no_weights(host):
    for way in ("compared", "compared by hand"):
        assert "tokens" not in network_of(Product, way, host).inventory.weights(("*",))


@pytest.mark.parametrize("kind", CONVOLUTIONS)
def test_convolutions_that_standardise_their_weights_are_known(kind, host):
    network = network_of(Convolutional, kind, host)
    expected = set() if kind in AS_THEY_ARE else {"first.weight", "second.weight"}
    assert computed(network) == expected
    assert set(network.inventory.weights(("*",))) == {"first.weight", "second.weight", "out.weight"} - expected
    assert {part.path for part in network.inventory.parts if "synapse" in part.roles} == {"first", "second", "out"}


@pytest.mark.parametrize(
    ("way", "axes"), [("softplus", (0, 1)), ("centred", (0,)), ("softmax over outputs", (1,)), ("binary", (0, 1))]
)
def test_slices_that_are_computed_each_by_itself_can_be_cut(way, axes, host):
    (one,) = network_of(Product, way, host).inventory.derived
    assert one.axes == axes


def test_the_message_names_all_that_the_weight_is_computed_from(host):
    (fault,) = {one.fault for one in network_of(Product, "low rank", host).inventory.derived if one.name == "fc.weight"}
    assert fault == (
        "forward computes the weight in use from 'a' and 'b' and 'fc.weight', so zeros in 'fc.weight' are not zeros of the "
        "weight in use; leave 'fc' out of select, or take the weight as it is in forward"
    )


def test_looking_leaves_the_network_as_it_was(host):
    network = network_of(Product, "low rank", host)
    before = {name: value.clone() for name, value in network.tensors.items()}
    drawn = torch.get_rng_state()
    assert network.inventory.derived
    assert all(torch.equal(value, before[name]) for name, value in network.tensors.items())
    assert torch.equal(torch.get_rng_state(), drawn)
    assert network.module.training
    assert network.module.lif.v == 0.0
    assert not any(module._forward_pre_hooks for module in network.module.modules())


def test_without_a_batch_layers_and_shapes_decide(host):
    network = declare(Product("softplus"), Time("multi_step", T), arguments={"way": "softplus"}, host=host)
    assert "fc.weight" in network.inventory.weights(("*",))
    assert needs_a_batch(network)


def test_a_network_of_torchs_own_layers_is_not_run():
    module = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.LSTM(4, 4))
    assert not may_compute(module, ["0.weight", "3.weight_ih_l0", "3.weight_hh_l0"])


@pytest.mark.parametrize("kind", CONVOLUTIONS)
def test_a_class_that_only_adds_a_step_mode_takes_its_weight_as_it_is(kind):
    assert uses_as_it_is(CONVOLUTIONS[kind](2, 2, 3)) is (kind in AS_THEY_ARE)


def test_a_forward_put_on_one_layer_is_code_of_its_own():
    one = nn.Linear(3, 3)
    assert uses_as_it_is(one)
    one.forward = lambda x: x @ one.weight.exp()
    assert not uses_as_it_is(one)


class Particular(Product):
    """A network that takes no batch as small as the one that is looked at."""

    def forward(self, x_TBCHW):
        assert x_TBCHW.shape[1] > 2
        return super().forward(x_TBCHW)


def test_a_network_that_does_not_take_the_batch_is_left_to_its_layers_and_shapes(host):
    time = Time("multi_step", T)
    network = declare(Particular("softplus"), time, arguments={"way": "softplus"}, host=host).with_probe(batch(4))
    assert "fc.weight" in network.inventory.weights(("*",))
