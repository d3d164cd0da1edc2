from math import cos, pi

import pytest
import torch
from own_networks import Gained, JellyNet, Tied, recurrent_net, weight_normed
from torch import nn

from snncompress import Host, InputError, Time, Training, declare
from snncompress.network import InHand, Network
from snncompress.run.optimizers import make_optimizer, make_scheduler, parameter_groups


@pytest.fixture(scope="module")
def host():
    return Host.from_environment()


@pytest.fixture
def jelly(host):
    return declare(JellyNet(), Time("multi_step", 2), host=host)


class Gate(nn.Linear):
    """A module that asks for a learning rate of its own."""

    def parameter_groups(self):
        return [{"params": [self.weight], "lr": 0.5, "weight_decay": 0.25}]


def in_hand(module, host):
    time = Time("none", 1, output="averaged", input="static", settable=False)
    return Network(module, time, InHand(module, time, {}), host)


def names_of(network, group):
    names = {id(value): name for name, value in network.module.named_parameters()}
    return [names[id(value)] for value in group["params"]]


def test_weights_of_synapses_alone_decay(jelly):
    decayed, plain = parameter_groups(jelly, 0.05)
    assert (names_of(jelly, decayed), decayed["weight_decay"]) == (["fc1.weight", "fc2.weight"], 0.05)
    assert (names_of(jelly, plain), plain["weight_decay"]) == (["fc1.bias", "norm.weight", "norm.bias", "fc2.bias"], 0)


def test_recurrent_weights_decay_and_leaks_do_not(host):
    network = declare(recurrent_net(), Time("per_step", 2), build=recurrent_net, host=host)
    decayed, plain = parameter_groups(network, 0.05)
    assert names_of(network, decayed) == ["1.weight", "2.recurrent.weight", "3.weight"]
    assert "2.beta" in names_of(network, plain)


def test_declared_groups_come_first_and_every_parameter_once(host):
    network = in_hand(nn.Sequential(Gate(4, 4), nn.Linear(4, 2)), host)
    groups = parameter_groups(network, 0.05)
    assert [names_of(network, group) for group in groups] == [["0.weight"], ["1.weight"], ["0.bias", "1.bias"]]


def test_frozen_parameters_are_left_out_and_empty_groups_too(host):
    module = nn.Sequential(nn.Linear(4, 4, bias=False), nn.Linear(4, 2, bias=False))
    module[0].weight.requires_grad_(False)
    (only,) = parameter_groups(in_hand(module, host), 0.05)
    assert only["params"] == [module[1].weight]


def test_frozen_parameters_of_declared_groups_are_left_out_too(host):
    network = in_hand(nn.Sequential(Gate(4, 4), nn.Linear(4, 2)), host)
    network.module[0].weight.requires_grad_(False)
    assert [names_of(network, group) for group in parameter_groups(network, 0.05)] == [
        ["1.weight"],
        ["0.bias", "1.bias"],
    ]


def test_the_optimiser_keeps_the_settings_of_each_group(host):
    network = in_hand(nn.Sequential(Gate(4, 4), nn.Linear(4, 2)), host)
    optimizer = make_optimizer(network, Training(epochs=1, lr=0.01, weight_decay=0.05))
    found = [(group["lr"], group["weight_decay"]) for group in optimizer.param_groups]
    assert found == [(0.5, 0.25), (0.01, 0.05), (0.01, 0.0)]
    assert not optimizer.state


def test_decay_shrinks_weights_without_gradients_and_nothing_else(jelly):
    before = {name: value.detach().clone() for name, value in jelly.module.named_parameters()}
    optimizer = make_optimizer(jelly, Training(epochs=1, lr=0.1, weight_decay=0.5))
    for value in jelly.module.parameters():
        value.grad = torch.zeros_like(value)
    optimizer.step()
    for name, value in jelly.module.named_parameters():
        factor = 1 - 0.1 * 0.5 if name in ("fc1.weight", "fc2.weight") else 1.0
        assert torch.allclose(value, before[name] * factor, rtol=1e-6, atol=0)


def test_momentum_is_taken_where_there_is_one(jelly):
    optimizer = make_optimizer(jelly, Training(epochs=1, optimizer="sgd", momentum=0.75))
    assert {group["momentum"] for group in optimizer.param_groups} == {0.75}
    assert make_optimizer(jelly, Training(epochs=1, optimizer="sgd")).param_groups[0]["momentum"] > 0


def test_momentum_is_refused_where_there_is_none(jelly):
    with pytest.raises(InputError, match=r"momentum: optimizer 'adamw' has no momentum; leave it out"):
        make_optimizer(jelly, Training(epochs=1, momentum=0.9))


def test_an_unknown_optimiser_offers_a_near_name(jelly):
    with pytest.raises(InputError, match="optimizer: timm has no optimizer 'adamv'; did you mean 'adam"):
        make_optimizer(jelly, Training(epochs=1, optimizer="adamv"))


def rates_of(network, training, *, num_epochs, steps_per_epoch, updates=None):
    optimizer = make_optimizer(network, training)
    scheduler = make_scheduler(optimizer, training, num_epochs=num_epochs, steps_per_epoch=steps_per_epoch)
    found = []
    for update in updates or range(num_epochs * steps_per_epoch):
        scheduler.step_update(update)
        found.append(optimizer.param_groups[0]["lr"])
    return found


def test_a_cosine_with_a_warm_up_is_that_of_the_formula(jelly):
    training = Training(epochs=5, lr=0.4, warmup_epochs=2)
    found = rates_of(jelly, training, num_epochs=5, steps_per_epoch=2)
    warm_up = [0.08, 0.16, 0.24, 0.32]  # a straight line to 0.4, which the fifth update has
    falling = [0.2 * (1 + cos(pi * update / 6)) for update in range(6)]
    assert found == pytest.approx(warm_up + falling)
    assert found[-1] > 0, "no update is wasted"


@pytest.mark.parametrize(("num_epochs", "peak"), [(1, 1), (5, 5), (10, 10), (12, 10), (40, 10)], ids=str)
def test_the_warm_up_is_a_tenth_of_a_training_and_never_more_than_an_epoch(jelly, num_epochs, peak):
    """With ten updates an epoch a tenth of N epochs is N updates; the update after them has the whole rate."""
    found = rates_of(jelly, Training(epochs=num_epochs, lr=0.4), num_epochs=num_epochs, steps_per_epoch=10)
    assert found.index(max(found)) == peak
    assert found[:peak] == pytest.approx([0.4 * (number + 1) / (peak + 1) for number in range(peak)])


def test_the_epochs_before_a_rewinding_point_belong_to_the_schedule(jelly):
    training = Training(epochs=4, lr=0.4)
    found = rates_of(jelly, training, num_epochs=6, steps_per_epoch=10)
    assert found.index(max(found)) == 6


def test_a_stated_warm_up_is_obeyed(jelly):
    training = Training(epochs=2, lr=0.4, warmup_epochs=1)
    found = rates_of(jelly, training, num_epochs=2, steps_per_epoch=3)
    assert found[:4] == pytest.approx([0.1, 0.2, 0.3, 0.4])


def test_without_a_warm_up_a_cosine_starts_at_the_top(jelly):
    training = Training(epochs=2, lr=0.4, warmup_epochs=0)
    found = rates_of(jelly, training, num_epochs=2, steps_per_epoch=3)
    assert found == pytest.approx([0.2 * (1 + cos(pi * update / 6)) for update in range(6)])


def test_a_constant_rate_is_constant_behind_its_warm_up(jelly):
    training = Training(epochs=3, lr=0.4, warmup_epochs=1, schedule="constant")
    found = rates_of(jelly, training, num_epochs=3, steps_per_epoch=2)
    assert found == pytest.approx([0.4 / 3, 0.8 / 3, 0.4, 0.4, 0.4, 0.4])


def test_steps_divide_the_rate_by_ten(jelly):
    training = Training(epochs=4, lr=0.4, warmup_epochs=0, schedule="step", decay_epochs=2)
    found = rates_of(jelly, training, num_epochs=4, steps_per_epoch=2)
    assert found == pytest.approx([0.4, 0.4, 0.4, 0.4, 0.04, 0.04, 0.04, 0.04])


def test_decay_between_updates_of_one_epoch_is_possible(jelly):
    training = Training(epochs=1, lr=0.4, warmup_epochs=0, schedule="step", decay_epochs=0.01)
    assert rates_of(jelly, training, num_epochs=1, steps_per_epoch=2) == pytest.approx([0.4, 0.04])


def test_a_schedule_depends_on_the_update_and_not_on_those_before_it(jelly):
    training = Training(epochs=3, lr=0.4)
    every = rates_of(jelly, training, num_epochs=3, steps_per_epoch=4)
    assert rates_of(jelly, training, num_epochs=3, steps_per_epoch=4, updates=range(4, 12)) == every[4:]


def test_a_group_with_its_own_rate_follows_the_same_curve(host):
    network = in_hand(nn.Sequential(Gate(4, 4), nn.Linear(4, 2)), host)
    training = Training(epochs=2, lr=0.01, warmup_epochs=0)
    optimizer = make_optimizer(network, training)
    make_scheduler(optimizer, training, num_epochs=2, steps_per_epoch=2).step_update(2)
    assert [group["lr"] for group in optimizer.param_groups] == pytest.approx([0.25, 0.005, 0.005])


class Slow(nn.Linear):
    """A module that asks for a hundredth of the learning rate, or for a rate of its own that is as low."""

    def __init__(self, settings):
        super().__init__(4, 4, bias=False)
        self.settings = settings

    def parameter_groups(self):
        return [{"params": [self.weight], "weight_decay": 0.0, **self.settings}]


@pytest.mark.parametrize("settings", [{"lr_scale": 0.01}, {"lr": 4e-3}])
@pytest.mark.parametrize("schedule", ["cosine", "constant", "step"])
def test_a_low_rate_stays_low_in_the_warm_up_too(settings, schedule, host):
    network = in_hand(nn.Sequential(Slow(settings), nn.Linear(4, 2)), host)
    training = Training(epochs=3, lr=0.4, warmup_epochs=1, schedule=schedule, decay_epochs=1)
    optimizer = make_optimizer(network, training)
    scheduler = make_scheduler(optimizer, training, num_epochs=3, steps_per_epoch=2)
    for update in range(6):
        scheduler.step_update(update)
        slow, usual, _ = (group["lr"] for group in optimizer.param_groups)
        assert slow == pytest.approx(0.01 * usual)


def test_gains_and_scales_do_not_decay(host):
    network = declare(Gained(), Time("multi_step", 4), host=host).with_probe(torch.rand(4, 5, 1, 8, 8))
    decayed, plain = parameter_groups(network, 0.05)
    assert names_of(network, decayed) == ["mixing", "conv.weight", "head.weight"]
    assert {"gain", "scale", "places", "over_time.weight"} < set(names_of(network, plain))


def test_a_tied_weight_decays_once(host):
    decayed, _ = parameter_groups(in_hand(Tied(), host), 0.05)
    assert len(decayed["params"]) == 2


def test_of_a_weight_norm_the_direction_decays_and_the_length_does_not(host):
    network = in_hand(weight_normed(), host)
    decayed, plain = parameter_groups(network, 0.05)
    assert names_of(network, decayed) == ["1.parametrizations.weight.original1", "2.weight"]
    assert "1.parametrizations.weight.original0" in names_of(network, plain)
