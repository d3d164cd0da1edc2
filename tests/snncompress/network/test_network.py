import copy

import pytest
import snntorch
import torch
from own_networks import JellyNet, LoopNet
from spikingjelly.activation_based import functional
from torch import nn

from snncompress import EditError, ModelError, StateError, Time, declare


def test_forward_equals_the_librarys_own_call(jelly):
    x = torch.rand(4, 8, 1, 8, 8)
    functional.reset_net(jelly.module)
    expected = jelly.module(x)
    jelly.reset()
    assert torch.equal(jelly.forward(x).logits, expected)


def test_a_loop_inside_forward_records_membranes(loop):
    out = loop.forward(torch.rand(3, 1, 8, 8))
    assert out.logits.shape == out.membranes.shape == (6, 3, 10)
    assert torch.equal(out.mean(), out.logits.mean(0))


def test_reset_clears_neurons_of_two_libraries_in_one_network(host):
    class Mixed(nn.Module):
        def __init__(self):
            super().__init__()
            self.jelly = JellyNet(64, 32, 16)
            self.leaky = snntorch.Leaky(beta=0.9, init_hidden=True)

        def forward(self, x_TBCHW):
            return torch.stack([self.leaky(step) for step in self.jelly(x_TBCHW)])

    module = Mixed().eval()
    from snncompress.network import InHand, Network

    time = Time("multi_step", 4)
    network = Network(module, time, InHand(module, time, {}), host)
    x = torch.rand(4, 8, 1, 8, 8) * 3
    first = network.forward(x).logits
    unreset = network.forward(x).logits
    network.reset()
    assert torch.equal(network.forward(x).logits, first)
    assert not torch.equal(unreset, first)
    assert {owned.backend.name for owned in network.neurons} == {"spikingjelly", "snntorch"}


def test_a_stateful_module_that_nobody_owns_is_named(host):
    class Counter(nn.Module):
        def __init__(self):
            super().__init__()
            self.count = 0

        def reset(self):
            self.count = 0

        def forward(self, x):
            self.count += 1
            return x * self.count

    from snncompress.network import InHand, Network

    module = nn.Sequential(JellyNet(), Counter())
    time = Time("multi_step", 4)
    network = Network(module, time, InHand(module, time, {}), host)
    with pytest.raises(StateError, match=r"1 \(Counter\) keeps state"):
        network.reset()


def test_copies_share_nothing(jelly):
    other = jelly.copy()
    with torch.no_grad():
        other.module.fc1.weight.zero_()
    assert jelly.module.fc1.weight.abs().sum() > 0


def test_a_network_can_be_copied_after_a_forward_with_gradients(jelly):
    jelly.module.train()
    jelly.forward(torch.rand(4, 8, 1, 8, 8)).mean().sum().backward()
    assert copy.deepcopy(jelly.copy().module) is not None


def test_masks_clear_weights_and_leave_the_network_before_alone(jelly):
    mask = torch.zeros(32, 64, dtype=torch.bool)
    mask[0, :5] = True
    masked = jelly.with_masks({"fc1.weight": mask})
    assert int((masked.tensors["fc1.weight"] != 0).sum()) == 5
    assert int((jelly.tensors["fc1.weight"] != 0).sum()) == 32 * 64


def test_removed_weights_stay_zero_through_100_adamw_steps(jelly):
    mask = torch.rand(32, 64, generator=torch.Generator().manual_seed(0)) > 0.5
    network = jelly.with_masks({"fc1.weight": mask}).copy()
    optimizer = torch.optim.AdamW(network.module.parameters(), lr=1e-2, betas=(0.9, 0.999), weight_decay=0.1)
    network.module.train()
    with network.hold_masks(optimizer):
        for _ in range(100):
            loss = nn.functional.cross_entropy(
                network.forward(torch.rand(4, 16, 1, 8, 8)).mean(), torch.randint(10, (16,))
            )
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            network.reset()
            assert not network.module.fc1.weight[~mask].any()
    assert network.module.fc1.weight[mask].all()


def test_without_holding_masks_the_optimiser_revives_removed_weights(jelly):
    """Shows that the test above can fail."""
    mask = torch.rand(32, 64, generator=torch.Generator().manual_seed(0)) > 0.5
    network = jelly.with_masks({"fc1.weight": mask}).copy()
    optimizer = torch.optim.AdamW(network.module.parameters(), lr=1e-2)
    network.module.train()
    nn.functional.cross_entropy(network.forward(torch.rand(4, 16, 1, 8, 8)).mean(), torch.randint(10, (16,))).backward()
    optimizer.step()
    assert network.module.fc1.weight[~mask].any()


def test_a_mask_of_another_shape_or_type_is_refused(jelly):
    for mask in (torch.ones(3, 3, dtype=torch.bool), torch.ones(32, 64)):
        with pytest.raises(EditError, match="must be boolean and have the shape"):
            jelly.with_masks({"fc1.weight": mask})
    with pytest.raises(EditError, match="nowhere"):
        jelly.with_masks({"nowhere": torch.ones(1, dtype=torch.bool)})


def test_with_weights_changes_values_under_the_masks_without_an_edit(jelly):
    mask = torch.zeros(10, 32, dtype=torch.bool)
    mask[3] = True
    changed = jelly.with_masks({"fc2.weight": mask}).with_weights({"fc2.weight": torch.ones(10, 32)})
    assert changed.tensors["fc2.weight"].sum() == 32
    assert not changed.edits
    with pytest.raises(EditError, match="no such tensor"):
        jelly.with_weights({"fc9.weight": torch.ones(1)})


def test_snapshots_do_not_move_with_the_weights(jelly):
    kept = jelly.with_snapshot("early")
    changed = kept.with_weights({"fc1.bias": torch.full((32,), 7.0)})
    assert not torch.equal(changed.snapshots["early"]["fc1.bias"], changed.tensors["fc1.bias"])
    assert torch.equal(changed.snapshots["early"]["fc1.bias"], jelly.tensors["fc1.bias"])


def test_reinitialised_weights_are_fresh_and_masked(jelly):
    mask = torch.rand(32, 64) > 0.5
    fresh = jelly.with_masks({"fc1.weight": mask}).reinitialised()
    assert not torch.equal(fresh.tensors["fc1.weight"][mask], jelly.tensors["fc1.weight"][mask])
    assert not fresh.tensors["fc1.weight"][~mask].any()


def test_synapses_norms_and_neurons_are_told_apart(jelly):
    assert jelly.inventory.weights(("synapse",)) == ("fc1.weight", "fc2.weight")
    roles = {part.path: part.roles for part in jelly.inventory.parts}
    assert roles["norm"] == {"norm"}
    assert roles["lif1"] == {"neuron"}


def test_recurrent_weights_are_synapses_and_neuron_parameters_are_not(host):
    from snncompress.network import InHand, Network

    module = nn.Sequential(
        nn.Linear(5, 7),
        snntorch.RLeaky(
            beta=torch.full((7, 1), 0.9), linear_features=7, init_hidden=True, learn_beta=True, all_to_all=True
        ),
    )
    time = Time("per_step", 2)
    network = Network(module, time, InHand(module, time, {}), host)
    assert network.inventory.weights(("synapse",)) == ("0.weight", "1.recurrent.weight")


def test_declarations_that_do_not_fit_are_told_clearly(loop, host):
    wrong = declare(LoopNet(), Time("inside", 6, input="static", attribute="num_steps"), host=host)
    with pytest.raises(ModelError, match=r"returned 2 value\(s\), but its declaration says records=\['output'\]"):
        wrong.forward(torch.rand(2, 1, 8, 8))


def test_auxiliary_losses_and_parameter_groups_of_modules_are_found(host):
    class Selector(nn.Linear):
        def auxiliary_loss(self):
            return self.weight.square().sum()

        def parameter_groups(self):
            return [{"params": [self.bias], "lr": 0.5}]

    from snncompress.network import InHand, Network

    module = nn.Sequential(Selector(3, 3), Selector(3, 3))
    time = Time("none", 1, output="averaged", input="static", settable=False)
    network = Network(module, time, InHand(module, time, {}), host)
    expected = module[0].weight.square().sum() + module[1].weight.square().sum()
    assert torch.allclose(network.auxiliary_loss(), expected)
    assert [group["lr"] for group in network.parameter_groups()] == [0.5, 0.5]
