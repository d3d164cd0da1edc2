import pytest
import snntorch
import torch
from torch import nn

from snncompress_structured.sides import UncuttableError, side_of, side_of_neuron


def leaky(shape):
    return snntorch.Leaky(beta=torch.full(shape, 0.5), learn_beta=True)


@pytest.mark.parametrize(
    ("shape", "step", "axis"),
    [
        ((), (1, 6, 4, 4), None),
        ((6,), (1, 6), 0),
        ((6, 1, 1), (1, 6, 4, 4), 0),
        ((6, 4, 4), (1, 6, 4, 4), 0),
        ((1, 6, 1, 1), (4, 1, 6, 4, 4), 1),
        ((1, 4, 4), (1, 6, 4, 4), None),  # a value for each place
        ((4,), (1, 6, 4, 4), None),  # a value for each column
        ((6,), (1, 6, 4, 4), 0),  # the neuron itself lays it over the channels
    ],
)
def test_the_channels_of_a_neurons_tensor_lie_where_broadcasting_lays_them(shape, step, axis):
    side = side_of_neuron("lif", leaky(shape), 6, step, is_neuron=True)
    assert [found for name, found in side.tensors if name == "lif.beta"] == ([] if axis is None else [axis])
    assert step[side.spikes] == 6


def test_a_tensor_that_fits_nowhere_is_named():
    with pytest.raises(UncuttableError, match=r"no axis of 'lif.beta', \[5\], holds the 6 channels"):
        side_of_neuron("lif", leaky((5,)), 6, (1, 6, 4, 4), is_neuron=True)
    with pytest.raises(UncuttableError, match=r"no axis of what 'lif' returns, \[1, 5, 4, 4\], holds its 6 channels"):
        side_of_neuron("lif", leaky(()), 6, (1, 5, 4, 4), is_neuron=True)


def test_a_recurrent_neuron_joins_channels():
    recurrent = snntorch.RLeaky(beta=0.9, linear_features=6, all_to_all=True)
    with pytest.raises(UncuttableError, match="'lif' \\(RLeaky\\) joins channels by weights of its own"):
        side_of_neuron("lif", recurrent, 6, (1, 6), is_neuron=True)


def side(module, *, is_output):
    tensors = {f"m.{name}": value for name, value in module.state_dict().items()}
    return side_of("m", module, tensors, is_output=is_output)


def test_the_sides_of_convolutions():
    grouped = nn.Conv2d(4, 6, 3, groups=2)
    assert side(grouped, is_output=True).tensors == (("m.weight", 0), ("m.bias", 0))
    assert side(grouped, is_output=False).tensors == (("m.weight", 1),)
    assert side(nn.ConvTranspose2d(4, 6, 3), is_output=True).tensors == (("m.weight", 1), ("m.bias", 0))
    assert side(nn.Conv2d(4, 4, 3, groups=4), is_output=False).attributes == ("in_channels", "out_channels", "groups")


def test_norms_of_single_channels_are_cut_and_others_refused():
    names = [name for name, _ in side(nn.BatchNorm2d(4), is_output=True).tensors]
    assert names == ["m.weight", "m.bias", "m.running_mean", "m.running_var"]
    for norm in (nn.GroupNorm(2, 4), nn.LayerNorm(4)):
        with pytest.raises(UncuttableError, match="works across channels"):
            side(norm, is_output=True)


def test_a_computed_weight_and_a_transposed_convolution_of_groups_are_refused():
    with pytest.raises(UncuttableError, match="computes its weight from other tensors"):
        side(nn.utils.parametrizations.weight_norm(nn.Linear(3, 4)), is_output=True)
    with pytest.raises(UncuttableError, match="transposed convolution of 2 groups"):
        side(nn.ConvTranspose2d(4, 6, 3, groups=2), is_output=True)
