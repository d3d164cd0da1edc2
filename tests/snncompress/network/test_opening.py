import pytest
import torch
from own_networks import JellyNet, LoopNet
from safetensors.torch import save_file

from snncompress import ModelError, Time, declare
from snncompress.network import open_architecture, read_checkpoint
from snncompress.references import ArtifactFolder, PythonFunction


def test_a_module_is_declared_with_what_builds_it_again(host):
    network = declare(JellyNet(64, 20), Time("multi_step", 4), arguments={"hidden": 20}, host=host)
    assert network.source.reference["function"] == "own_networks:JellyNet"


def test_arguments_that_build_something_else_are_refused_at_once(host):
    with pytest.raises(ModelError, match="builds tensors of other names or shapes"):
        declare(JellyNet(64, 20), Time("multi_step", 4), host=host)


def test_required_arguments_are_asked_for(host):
    class Needs(JellyNet):
        def __init__(self, width):
            super().__init__(64, width)

    with pytest.raises(ModelError, match="defined inside a function"):
        declare(Needs(8), Time("multi_step", 4), host=host)
    with pytest.raises(ModelError, match="could not build"):
        declare(JellyNet(), Time("multi_step", 4), arguments={"wrong": 1}, host=host)


def test_a_function_and_its_checkpoint(host, tmp_path):
    trained = JellyNet(64, 12)
    torch.save({"state_dict": trained.state_dict(), "epoch": 3}, tmp_path / "trained.pt")
    save_file(trained.state_dict(), tmp_path / "trained.safetensors")
    for name in ("trained.pt", "trained.safetensors"):
        model = PythonFunction(
            function="own_networks:JellyNet", arguments={"hidden": 12}, checkpoint=str(tmp_path / name)
        )
        network = open_architecture(model, host)
        assert torch.equal(network.tensors["fc1.weight"], trained.fc1.weight)


def test_a_checkpoint_that_does_not_fit_is_told_clearly(tmp_path):
    wanted = JellyNet(64, 12).state_dict()
    torch.save(JellyNet(64, 13).state_dict(), tmp_path / "other.pt")
    torch.save({"fc1.weight": torch.ones(1)}, tmp_path / "few.pt")
    torch.save(JellyNet(), tmp_path / "module.pt")
    (tmp_path / "noise.pt").write_bytes(b"noise")
    for name, message in (
        ("other.pt", "has shape"),
        ("few.pt", "lacks 'fc1.bias' and"),
        ("module.pt", "save the state dict"),
        ("noise.pt", "cannot be read as plain tensors"),
        ("none.pt", "does not exist"),
    ):
        with pytest.raises(ModelError, match=message):
            read_checkpoint(tmp_path / name, wanted)


def test_a_function_that_fails_is_one_line(host):
    model = PythonFunction(function="own_networks:JellyNet", arguments={"hidden": -1})
    with pytest.raises(
        ModelError,
        match=r"building the model 'python' failed: RuntimeError: Trying to create tensor with negative dimension",
    ):
        open_architecture(model, host)


def test_missing_functions_and_modules_are_named(host):
    for function, message in (
        ("own_networks:JelyNet", "did you mean 'JellyNet'"),
        ("own_netwrks:JellyNet", "module 'own_netwrks' cannot be imported"),
    ):
        with pytest.raises(ModelError, match=message):
            open_architecture(PythonFunction(function=function), host)


def test_timesteps_of_a_reference_can_be_set(host):
    model = PythonFunction(function="own_networks:JellyNet")
    assert open_architecture(model, host, timesteps=7).time.T == 7


def test_an_artifact_is_opened_with_its_own_architecture(host, tmp_path):
    from snncompress import save

    torch.manual_seed(0)
    network = declare(
        LoopNet(), Time("inside", 6, input="static", records=("output", "membranes"), attribute="num_steps"), host=host
    )
    save(network, tmp_path)
    opened = open_architecture(ArtifactFolder(folder=str(tmp_path)), host)
    assert opened.source.reference["function"] == "own_networks:LoopNet"
    assert torch.equal(opened.tensors["fc1.weight"], network.tensors["fc1.weight"])


def test_one_glob_names_a_role_as_well_as_several(host):
    network = declare(JellyNet(), Time("multi_step", 4), head="fc2", stem=["fc1", "norm"], host=host)
    assert network.inventory.select(["head"]) == {"fc2"}
    assert network.inventory.select(["stem"]) == {"fc1", "norm"}


@pytest.mark.parametrize(("module", "time"), [("text", Time("multi_step", 4)), (JellyNet(), "multi_step")], ids=str)
def test_what_is_no_module_or_no_time_is_told(host, module, time):
    with pytest.raises(ModelError, match="declare takes a torch module and a snncompress.Time"):
        declare(module, time, host=host)


@pytest.mark.parametrize("role", ["stem", "head"])
def test_a_glob_that_names_no_module_is_told_with_a_near_name(host, role):
    with pytest.raises(ModelError, match=f"{role} 'fc3' matches no module of the network; did you mean 'fc[12]'"):
        declare(JellyNet(), Time("multi_step", 4), host=host, **{role: ["fc1", "fc3"]})
    with pytest.raises(ModelError, match=f"{role} 'fc3' matches no module"):
        open_architecture(PythonFunction(function="own_networks:JellyNet", **{role: ("fc3",)}), host)


@pytest.mark.parametrize("values", [True, False])
def test_values_drawn_while_building_are_refused_before_any_data_are_read(host, values):
    torch.manual_seed(0)
    with pytest.raises(ModelError, match="'connections' of 'odd_networks:Reservoir' has other values each time"):
        open_architecture(PythonFunction(function="odd_networks:Reservoir"), host, values=values)
