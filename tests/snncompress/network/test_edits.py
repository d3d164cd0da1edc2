import json

import pytest
import torch
from own_networks import weight_normed
from spikingjelly.activation_based import neuron

from snncompress import EditError, ProofError, Replace, Slice, Time, Timesteps, declare
from snncompress.network import Cut, Size, Spikes, edit_from_json


def cut_hidden(keep):
    """Keep hidden units of the chain 6 -> 16 -> 4."""
    return Slice(
        cuts=(Cut("0.weight", 0, keep), Cut("0.bias", 0, keep), Cut("2.weight", 1, keep)),
        sizes=(Size("0", "out_features", len(keep)), Size("2", "in_features", len(keep))),
        spikes=(Spikes("1", -1, keep),),
    )


@pytest.fixture
def x():
    return torch.rand(3, 64, 6, generator=torch.Generator().manual_seed(2)) * 4


class Doubled:
    """A builder: a linear layer whose output is doubled, from JSON arguments alone."""

    def build(self, old, arguments):
        return (
            torch.nn.Sequential(torch.nn.Linear(old.in_features, old.out_features), torch.nn.Identity())
            if arguments
            else old
        )

    def transfer(self, old, new):
        new[0].load_state_dict({"weight": 2 * old.weight, "bias": 2 * old.bias})


class SameNeuron:
    """A builder that claims to be exact: an LIF of the same or another leak."""

    def build(self, old, arguments):
        return neuron.LIFNode(tau=arguments["tau"], step_mode=old.step_mode)

    def transfer(self, old, new):
        assert old.v_threshold == new.v_threshold


@pytest.fixture
def builders(host):
    host.catalogue["modules"]["test.doubled"] = f"{__name__}:Doubled"
    host._made["modules", "test.doubled"] = Doubled()
    host.catalogue["modules"]["test.same"] = f"{__name__}:SameNeuron"
    host._made["modules", "test.same"] = SameNeuron()
    yield
    for name in ("test.doubled", "test.same"):
        del host.catalogue["modules"][name], host._made["modules", name]


def test_a_slice_keeps_exactly_the_chosen_indices(chain, x):
    keep = (0, 3, 4, 9)
    small = chain.edited([cut_hidden(keep)], probe=x)
    assert torch.equal(small.tensors["0.weight"], chain.tensors["0.weight"][list(keep)])
    assert torch.equal(small.tensors["2.weight"], chain.tensors["2.weight"][:, list(keep)])
    assert small.module[0].out_features == 4
    assert chain.tensors["0.weight"].shape == (16, 6), "the network before is left alone"


def test_a_sliced_network_computes_what_the_masked_one_computes(chain, x):
    keep = tuple(range(0, 16, 2))
    small = chain.edited([cut_hidden(keep)], probe=x)
    silent = [index for index in range(16) if index not in keep]
    masked = {name: value.clone() for name, value in chain.tensors.items()}
    masked["0.weight"][silent] = 0
    masked["0.bias"][silent] = 0
    masked["2.weight"][:, silent] = 0
    by_hand = chain.with_weights(masked).forward(x).logits
    assert torch.allclose(small.forward(x).logits, by_hand)
    (proof,) = small.proofs
    assert proof.edit == "slice"
    assert proof.num_spikes > 100
    assert proof.largest_logit_difference <= 1e-9


def test_masks_and_snapshots_are_sliced_along(chain, x):
    mask = torch.rand(16, 6, generator=torch.Generator().manual_seed(0)) > 0.2
    network = chain.with_masks({"0.weight": mask}).with_snapshot("before")
    keep = (1, 2, 5, 6, 7, 8, 11)
    small = network.edited([cut_hidden(keep)], probe=x)
    assert torch.equal(small.masks["0.weight"], mask[list(keep)])
    assert torch.equal(small.snapshots["before"]["2.weight"], chain.tensors["2.weight"][:, list(keep)])


def test_a_slice_that_forgets_a_tensor_is_refused(chain, x):
    half = Slice((Cut("0.weight", 0, (0, 1)), Cut("0.bias", 0, (0, 1))), (Size("0", "out_features", 2),))
    with pytest.raises(EditError, match=r"^the network does not run after this edit \(mat1 and mat2"):
        chain.edited([half], probe=x)


@pytest.mark.parametrize(
    ("cut", "message"),
    [
        (Cut("9.weight", 0, (0,)), "no module '9'"),
        (Cut("0.nothing", 0, (0,)), "no tensor '0.nothing'"),
        (Cut("0.weight", 2, (0,)), "has no axis 2"),
        (Cut("0.weight", 0, ()), "at least one"),
        (Cut("0.weight", 0, (0, 0)), "distinct"),
        (Cut("0.weight", 0, (16,)), "below 16"),
    ],
)
def test_a_cut_that_does_not_fit_is_one_clear_error(chain, x, cut, message):
    with pytest.raises(EditError, match=message):
        chain.edited([Slice((cut,))], probe=x)


def test_joined_axes_lose_other_channels_in_each_head():
    """Heads 0 and 1 of three channels keep channels 0, 2 and 1, 2: positions 0, 2, 4, 5 of six."""
    module = torch.nn.Module()
    module.register_buffer("offset", torch.arange(12.0).reshape(2, 3, 2))
    edit = Slice((Cut("offset", 0, (0, 2, 4, 5), joined=2),))
    edit.perform(module, Time("multi_step", 2), None)
    assert module.offset.tolist() == [[[0, 1], [4, 5]], [[8, 9], [10, 11]]]
    with pytest.raises(EditError, match="below 6"):
        Slice((Cut("offset", 0, (0, 6), joined=2),)).cut("offset", torch.zeros(2, 3, 2))


def test_a_size_that_is_not_there_is_an_error(chain, x):
    with pytest.raises(EditError, match="no size 'num_widgets'"):
        chain.edited([Slice((), (Size("0", "num_widgets", 1),))], probe=x)


def test_a_slice_without_a_probe_is_refused(chain):
    with pytest.raises(EditError, match="probe"):
        chain.edited([cut_hidden((0,))])


def test_a_replacement_transfers_once_and_replays_its_structure(chain, builders):
    network = chain.edited([Replace("0", "test.doubled", {"yes": 1})])
    assert torch.equal(network.tensors["0.0.weight"], 2 * chain.tensors["0.weight"])
    module, time = chain.source.build()
    for edit in network.edits:
        module, time = edit_from_json(json.loads(json.dumps(edit.to_json()))).replay(module, time, chain.host)
    assert {name: value.shape for name, value in module.state_dict().items()} == {
        name: value.shape for name, value in network.tensors.items()
    }


def test_snapshots_stay_complete_after_a_replacement(chain, builders):
    network = chain.with_snapshot("before").edited([Replace("0", "test.doubled", {"yes": 1})])
    assert set(network.snapshots["before"]) == set(network.tensors)


def test_masks_under_a_replaced_module_are_dropped(chain, builders):
    network = chain.with_masks(
        {"0.weight": torch.ones(16, 6, dtype=torch.bool), "2.weight": torch.ones(4, 16, dtype=torch.bool)}
    )
    assert set(network.edited([Replace("0", "test.doubled", {"yes": 1})]).masks) == {"2.weight"}


def test_an_exact_replacement_is_proved(chain, builders, x):
    network = chain.edited([Replace("1", "test.same", {"tau": 2.0}, exact=True)], probe=x)
    assert network.proofs[0].num_layers == 2


class Wrapped:
    """A builder: a module that holds the very one that was there."""

    def build(self, old, arguments):
        del arguments
        return torch.nn.Sequential(old, torch.nn.Dropout())

    def transfer(self, old, new):
        assert new[0] is old


def test_parts_that_are_taken_over_keep_their_mode(host, monkeypatch):
    """A norm that its user has frozen stays so; what is new follows the module whose place it takes."""
    monkeypatch.setitem(host.catalogue["modules"], "test.wrapped", f"{__name__}:Wrapped")
    root = torch.nn.Sequential(torch.nn.Sequential(torch.nn.Linear(6, 6), torch.nn.BatchNorm1d(6)))
    root[0][1].eval()
    changed, _ = Replace("0", "test.wrapped").perform(root, Time("multi_step", 2), host)
    (linear, norm), dropout = changed[0]
    assert [part.training for part in (changed[0], linear, norm, dropout)] == [True, True, False, True]


def shared_neuron():
    node = neuron.LIFNode(tau=2.0, step_mode="m")
    return torch.nn.Sequential(torch.nn.Linear(6, 6), node, torch.nn.Linear(6, 6), node)


def test_a_module_that_stands_in_two_places_is_replaced_in_both(host, builders, x):
    torch.manual_seed(0)
    network = declare(shared_neuron(), Time("multi_step", 3), build=shared_neuron, host=host)
    changed = network.edited([Replace("1", "test.same", {"tau": 2.0}, exact=True)], probe=x)
    assert changed.module[1] is changed.module[3]
    assert changed.module[1] is not network.module[1]
    assert changed.proofs[0].num_spikes > 0


def test_a_replacement_that_is_not_exact_is_found_out_with_the_first_differing_layer(chain, builders, x):
    with pytest.raises(ProofError, match="first differing layer is '1'"):
        chain.edited([Replace("1", "test.same", {"tau": 3.0}, exact=True)], probe=x)


def test_the_root_can_be_replaced(host, builders, x):
    from snncompress import Time, declare

    alone = declare(
        neuron.LIFNode(tau=2.0, step_mode="m"),
        Time("multi_step", 3),
        arguments={"tau": 2.0, "step_mode": "m"},
        host=host,
    )
    assert alone.edited([Replace("", "test.same", {"tau": 2.0}, exact=True)], probe=x).module.tau == 2.0


def test_timesteps_sets_the_number_where_the_loop_keeps_it(loop):
    longer = loop.edited([Timesteps(9)])
    assert longer.forward(torch.rand(2, 1, 8, 8)).logits.shape == (9, 2, 10)
    assert loop.forward(torch.rand(2, 1, 8, 8)).logits.shape == (6, 2, 10)
    assert longer.time.T == 9


def test_fixed_timesteps_are_refused(host):
    from own_networks import LoopNet

    from snncompress import Time, declare

    time = Time("inside", 6, settable=False, input="static", records=("output", "membranes"))
    with pytest.raises(EditError, match="fixed at 6"):
        declare(LoopNet(), time, host=host).edited([Timesteps(7)])


def test_an_edit_of_an_older_artifact_is_read():
    data = json.loads(json.dumps(cut_hidden((0, 2)).to_json()))
    for cut in data["cuts"]:
        del cut["joined"]
    assert edit_from_json(data) == cut_hidden((0, 2))


def test_every_edit_survives_json():
    for edit in (cut_hidden((0, 2)), Replace("a.b", "kind", {"rank": 3}, exact=True), Timesteps(5, "per_step")):
        assert edit_from_json(json.loads(json.dumps(edit.to_json()))) == edit


def test_an_unknown_edit_is_an_error():
    with pytest.raises(EditError, match="newer snncompress"):
        edit_from_json({"edit": "fold"})


def test_a_weight_that_is_computed_from_others_cannot_be_cut(host):
    time = Time("none", input="static", output="averaged")
    network = declare(weight_normed(), time, build=weight_normed, host=host)
    with pytest.raises(EditError, match="'1.weight' is computed from other tensors, so it cannot be cut"):
        network.edited([Slice((Cut("1.weight", 0, (0, 1)),))], probe=torch.rand(4, 4))
