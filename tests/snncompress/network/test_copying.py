import snntorch
import torch
from torch import nn

from snncompress import Time, declare


def leak():
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(2), snntorch.LeakyParallel(4, 3, beta=0.9, learn_beta=True), nn.Linear(3, 2))


def test_copies_keep_the_leaks_of_a_parallel_neuron_on_the_diagonal(host):
    network = declare(leak(), Time("multi_step", 5), build=leak, host=host).copy().copy()
    matrix = network.module[1].rnn.weight_hh_l0
    network.forward(torch.rand(5, 6, 4)).mean().sum().backward()
    assert bool(matrix.grad.diag().any())
    assert torch.equal(matrix.grad, matrix.grad.diag().diag())
    assert network.inventory.weights(("synapse",)) == ("1.rnn.weight_ih_l0", "2.weight")


def test_any_other_hook_on_a_gradient_is_kept_and_frozen_parameters_have_none(host):
    seen = []
    module = nn.Sequential(nn.Linear(2, 2))
    module[0].weight.register_hook(lambda gradient: seen.append(gradient.shape))
    module[0].bias.register_hook(lambda gradient: gradient * 0)
    module[0].bias.requires_grad_(False)
    network = declare(module, Time("none", input="static", output="averaged"), build=plain, host=host)
    network.copy().forward(torch.rand(3, 2)).mean().sum().backward()
    assert seen == [torch.Size([2, 2])]


def plain():
    return nn.Sequential(nn.Linear(2, 2))
