import json
from pathlib import Path

import pytest
import snntorch
import torch
from own_networks import Tied, untied_layers
from safetensors.torch import load_file, save_model
from torch import nn

from snncompress import Cut, EditError, ModelError, Slice, Time, declare, load, save
from snncompress.network.inventory import inventory_of
from snncompress.network.owners import Owners
from snncompress.network.ties import ties_of

ANN = Time("none", input="static", output="averaged")
GOLDEN = Path(__file__).parent / "golden"
NAMES = {"again.weight": "encode.weight"}


@pytest.fixture
def tied(host):
    torch.manual_seed(0)
    return declare(Tied(), ANN, host=host)


@pytest.fixture
def masked(tied):
    mask = torch.zeros(16, 16, dtype=torch.bool)
    mask[0, :10] = True
    return tied.with_snapshot("init").with_masks({"again.weight": mask})


def test_second_names_are_found_where_layers_or_whole_modules_are_shared(tied):
    assert ties_of(tied.module) == NAMES
    layer = nn.Linear(2, 2)
    assert ties_of(nn.Sequential(layer, nn.ReLU(), layer)) == {"2.weight": "0.weight", "2.bias": "0.bias"}
    assert not ties_of(nn.Linear(2, 2))


def test_a_tied_tensor_is_stored_once_and_tied_again(masked, tmp_path, host):
    save(masked, tmp_path, snapshots=True)
    stored = load_file(tmp_path / "weights.safetensors")
    assert sorted(stored) == ["encode.weight#mask", "encode.weight#survivors", "head.bias", "head.weight"]
    assert stored["encode.weight#survivors"].numel() == 10
    assert "again.weight" not in load_file(tmp_path / "snapshots" / "init.safetensors")
    loaded = load(tmp_path, allow_code=True, host=host)
    assert loaded.module.again.weight is loaded.module.encode.weight
    x = torch.rand(3, 16)
    assert torch.equal(loaded.forward(x).logits, masked.forward(x).logits)
    assert {name: value.shape for name, value in loaded.snapshots["init"].items()} == {
        name: value.shape for name, value in masked.snapshots["init"].items()
    }


def test_what_was_tied_after_the_building_is_tied_when_it_is_loaded(tmp_path, host):
    module = untied_layers()
    module[1].weight = module[0].weight
    save(declare(module, ANN, build=untied_layers, host=host), tmp_path)
    loaded = load(tmp_path, allow_code=True, host=host).module
    assert loaded[1].weight is loaded[0].weight


@pytest.mark.parametrize("golden", ["tied_twice", "tied_once"])
def test_artifacts_from_before_and_after_ties_were_stored_stay_loadable(host, golden):
    folder = GOLDEN / golden
    assert ("again.weight" in load_file(folder / "weights.safetensors")) is (golden == "tied_twice")
    loaded = load(folder, allow_code=True, host=host)
    values, kept = torch.arange(16).reshape(4, 4) / 8 - 1, torch.arange(16).reshape(4, 4) % 3 == 0
    assert loaded.module.again.weight is loaded.module.encode.weight
    assert torch.equal(loaded.module.encode.weight, values * kept)
    assert sorted(loaded.masks) == ["encode.weight"]
    assert torch.equal(loaded.masks["encode.weight"], kept)
    assert torch.equal(loaded.snapshots["init"]["again.weight"], values)


def test_an_artifact_with_a_mask_on_a_parametrised_weight_stays_loadable(host):
    loaded = load(GOLDEN / "weight_norm", allow_code=True, host=host)
    assert sorted(loaded.masks) == ["1.parametrizations.weight.original1"]
    assert int((loaded.module[1].weight == 0).sum()) == 8


def test_networks_without_ties_are_described_as_before(jelly, tmp_path):
    save(jelly, tmp_path)
    assert "tied" not in json.loads((tmp_path / "network.json").read_text())


def test_a_mask_under_the_second_name_holds_under_the_first(masked):
    assert sorted(masked.masks) == ["encode.weight"]
    assert int(masked.module.encode.weight.count_nonzero()) <= 10
    left, right = torch.ones(2, 16, 16, dtype=torch.bool)
    left[0], right[1] = False, False
    both = masked.with_masks({"encode.weight": left, "again.weight": right}).masks["encode.weight"]
    assert int(both.sum()) == 14 * 16


def test_selecting_either_layer_picks_the_weight_once(tied):
    inventory = tied.inventory
    assert inventory.weights(("again",)) == inventory.weights(("encode",)) == ("encode.weight",)
    assert inventory.weights(("synapse",)) == ("encode.weight", "head.weight")
    assert inventory.num_parameters() == 16 * 16 + 16 * 10 + 10


def test_an_embedding_tied_with_a_classifier_is_a_weight_of_the_classifier():
    class Words(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed = nn.Embedding(10, 4)
            self.classify = nn.Linear(4, 10, bias=False)
            self.classify.weight = self.embed.weight

    inventory = inventory_of(Words(), {}, Owners((), ()))
    assert inventory.weights(("classify",)) == ("embed.weight",)
    assert inventory.weights(("embed",)) == ()


def test_a_cut_that_would_part_a_tied_tensor_is_refused(tied):
    with pytest.raises(EditError, match="'again.weight' is used in several places"):
        tied.edited([Slice((Cut("again.weight", 0, (0, 1)),))], probe=torch.rand(4, 16))


def test_a_checkpoint_may_hold_one_name_of_a_tied_tensor(tied, tmp_path):
    save_model(tied.module, tmp_path / "once.safetensors")
    assert set(load_file(tmp_path / "once.safetensors")) < set(tied.tensors)
    read = tied.read_checkpoint(tmp_path / "once.safetensors")
    assert all(torch.equal(read[name], value) for name, value in tied.tensors.items())


def test_a_checkpoint_with_two_values_for_one_tensor_is_refused(tied, tmp_path):
    state = {name: value.clone() for name, value in tied.tensors.items()}
    state["again.weight"] += 1
    torch.save(state, tmp_path / "two.pt")
    with pytest.raises(ModelError, match=r"different values for 'encode.weight' and 'again.weight'.*one tensor"):
        tied.read_checkpoint(tmp_path / "two.pt")


def test_parameters_that_share_memory_without_being_one_are_refused(host):
    module = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
    module[1].weight = nn.Parameter(module[0].weight.t())
    with pytest.raises(ModelError, match=r"'0.weight' and '1.weight' share their memory.*make them one"):
        declare(module, ANN, host=host)


def leaks_of_one_tensor():
    beta = torch.full((4,), 0.9)
    leaky = [snntorch.Leaky(beta=beta, learn_beta=True, init_hidden=True) for _ in range(2)]
    return nn.Sequential(nn.Linear(4, 4), leaky[0], nn.Linear(4, 4), leaky[1])


def test_leaks_that_were_made_from_one_tensor_are_those_of_their_neurons(host):
    network = declare(leaks_of_one_tensor(), Time("per_step", 2), build=leaks_of_one_tensor, host=host)
    assert not ties_of(network.copy().module)
