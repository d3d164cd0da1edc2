import pytest
import torch
from odd_networks import Reservoir
from own_networks import JellyNet, Lazy
from spikingjelly.activation_based import functional

from snncompress import ModelError
from snncompress.network.rebuild import require_rebuildable, require_repeatable


def test_the_same_settings_pass_whatever_the_values():
    require_rebuildable(JellyNet(64, 20), JellyNet, {"hidden": 20})


def test_the_generators_are_left_alone():
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    module = torch.nn.Linear(1, 1)
    torch.manual_seed(0)
    require_rebuildable(module, torch.nn.Linear, {"in_features": 1, "out_features": 1})
    assert torch.equal(torch.rand(3), expected)


def test_another_shape_is_named():
    with pytest.raises(ModelError, match=r"'fc1.weight' is float32 \[32, 64\] there and float32 \[20, 64\] here"):
        require_rebuildable(JellyNet(64, 20), JellyNet, {})


def test_another_precision_is_named():
    with pytest.raises(ModelError, match=r"'fc1.weight' is float32 \[32, 64\] there and float64 \[32, 64\] here"):
        require_rebuildable(JellyNet().double(), JellyNet, {})


def test_a_threshold_set_later_is_named():
    module = JellyNet()
    module.lif1.v_threshold = 0.5
    with pytest.raises(ModelError, match=r"'v_threshold=1.0, .* there and 'v_threshold=0.5"):
        require_rebuildable(module, JellyNet, {})


def test_a_step_mode_set_later_is_named():
    module = JellyNet()
    functional.set_step_mode(module, "s")
    with pytest.raises(ModelError, match="step_mode=m, .* there and .*step_mode=s"):
        require_rebuildable(module, JellyNet, {})


def test_lazy_modules_are_refused_before_and_after_their_first_batch():
    module = Lazy()
    with pytest.raises(ModelError, match="'fc1.weight' of the module in hand is lazy"):
        require_rebuildable(module, Lazy, {})
    module(torch.rand(2, 3))
    with pytest.raises(ModelError, match="'fc1.weight' of what 'Lazy' builds is lazy"):
        require_rebuildable(module, Lazy, {})


def test_arguments_that_no_artifact_can_hold_are_refused():
    with pytest.raises(ModelError, match="plain JSON values"):
        require_rebuildable(JellyNet(), JellyNet, {"hidden": torch.tensor(32)})


@pytest.mark.parametrize(
    ("keep", "name"),
    [
        ("attribute", "'connections'"),
        ("list", "'parts.0'"),
        ("numpy", "'connections'"),
        ("not stored", "'connections'"),
        ("counted", "'connections'"),
    ],
)
@pytest.mark.parametrize("seed", [0, 1])
def test_values_drawn_while_building_are_named_whatever_the_seed(keep, name, seed):
    torch.manual_seed(seed)
    with pytest.raises(ModelError, match=f"{name} of 'Reservoir' has other values each time the module is built"):
        require_rebuildable(Reservoir(keep), Reservoir, {"keep": keep})


def test_a_module_of_another_structure_each_time_is_told():
    with pytest.raises(
        ModelError, match="'Reservoir' builds another module each time it is called: 'more.*' is .*missing"
    ):
        require_repeatable(lambda: Reservoir("structure"), "Reservoir")


@pytest.mark.parametrize("part", ["whole", "layer"])
def test_a_function_that_gives_the_same_parts_again_is_told(part):
    made = torch.nn.Linear(2, 2)
    with pytest.raises(ModelError, match=r"'kept' returns a module with the very same '.*weight' each time"):
        require_repeatable(lambda: made if part == "whole" else torch.nn.Sequential(made), "kept")


def test_drawn_values_that_the_state_dict_holds_pass():
    require_rebuildable(Reservoir("buffer"), Reservoir, {"keep": "buffer"})


def test_a_module_that_seeds_itself_is_the_same_each_time():
    def seeded():
        torch.manual_seed(3)
        return Reservoir()

    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    require_repeatable(seeded, "seeded")
    assert torch.equal(torch.rand(3), expected)
