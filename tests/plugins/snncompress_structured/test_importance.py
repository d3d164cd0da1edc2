import pytest
import torch
from channel_networks import leaky_net, lively, plain_net
from own_networks import IntegrateNet

from snncompress import StepError, Time, declare
from snncompress.network import Network
from snncompress_structured.importance import firing_rates, scores_of
from snncompress_structured.tracing import find_groups


class Images:
    """A bench of one image whose four places hold 0, 1/4, 1/2 and 1."""

    def generator(self):
        return torch.Generator()

    def batches(self, split):
        assert split == "train"
        return [(torch.tensor([[0.0, 0.25, 0.5, 1.0]] * 3).reshape(3, 1, 2, 2), torch.zeros(3))] * 2

    def encode(self, network: Network, x_B, generator):
        return x_B.expand(network.time.T, *x_B.shape)


@pytest.mark.parametrize("samples", [1, 3, 4, 100])
def test_rates_are_spikes_over_steps_and_samples(host, samples):
    network = declare(IntegrateNet(), Time("multi_step", 4), host=host)
    rates = firing_rates(network, {"neuron": -1}, Images(), samples)
    assert rates["neuron"].tolist() == [0.0, 0.25, 0.5, 1.0]  # charge 1/4 a step reaches 1 once in four steps


def groups_and_network(host):
    time = Time("per_step", 3, records=("output", "membranes"))
    network = lively(declare(leaky_net(()), time, build=leaky_net, arguments={"shape": []}, host=host))
    return [group for group in find_groups(network, 60) if not group.trouble], network


@pytest.mark.parametrize(("importance", "power"), [("l1", 1), ("l2", 2)])
def test_magnitudes_are_those_of_the_rows_the_norm_and_the_columns(host, importance, power):
    groups, network = groups_and_network(host)
    tensors = {name: value.double().abs() ** power for name, value in network.tensors.items()}
    norm_C = (
        tensors["0.weight"].flatten(1).sum(1) + tensors["1.weight"] + tensors["4.weight"].reshape(10, 6, -1).sum((0, 2))
    )
    expected_C = norm_C / norm_C.mean()
    (found,) = scores_of(groups, importance, network, Images(), 1)
    assert torch.allclose(torch.tensor(found).double(), expected_C, rtol=1e-5)


def test_the_scale_of_the_norm_is_its_weight_against_the_mean(host):
    groups, network = groups_and_network(host)
    scale_C = network.tensors["1.weight"].abs()
    (found,) = scores_of(groups, "bn_scale", network, Images(), 1)
    assert torch.allclose(torch.tensor(found), scale_C / scale_C.mean())


def test_an_importance_without_anything_to_look_at_is_refused(host, opened):
    convnet = opened("snntorch.convnet", (1, 8, 8))
    groups = [group for group in find_groups(convnet, 60) if not group.trouble]
    with pytest.raises(StepError, match="the channels of 'conv1' pass no batch norm with a scale"):
        scores_of(groups, "bn_scale", convnet, Images(), 1)
    time = Time("none", 1, output="averaged", input="static")
    network = declare(plain_net(), time, build=plain_net, host=host)
    network = network.with_probe(torch.rand(4, 1, 8, 8))
    groups = [group for group in find_groups(network, 60) if not group.trouble]
    with pytest.raises(StepError, match="no neuron stands behind the channels of '1'"):
        scores_of(groups, "firing", network, Images(), 1)


def test_values_without_an_order_are_refused(host):
    _, network = groups_and_network(host)
    broken = network.with_weights({"0.weight": network.tensors["0.weight"] * float("nan")})
    groups = [group for group in find_groups(broken, 60) if not group.trouble]
    with pytest.raises(StepError, match="the l2 importances of '0' are not finite"):
        scores_of(groups, "l2", broken, Images(), 1)
