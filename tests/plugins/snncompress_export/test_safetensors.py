import subprocess
import sys

import pytest
import torch
from own_networks import JellyNet, Tied
from safetensors.torch import load_file, save_file
from spikingjelly.activation_based import functional

from snncompress import Time, declare
from snncompress_export import Safetensors


@pytest.fixture
def network(host):
    torch.manual_seed(0)
    module = JellyNet()
    network = declare(module, Time("multi_step", 4), host=host)
    module.train()
    for _ in range(5):
        network.forward(torch.rand(4, 32, 1, 8, 8))
        network.reset()
    module.eval()
    mask = torch.rand(32, 64) > 0.5
    return network.with_masks({"fc1.weight": mask})


def test_a_plain_module_loads_it_and_gives_the_same_logits(network, tmp_path):
    (file,) = Safetensors().export(network, tmp_path / "new" / "folder")
    assert file == tmp_path / "new" / "folder" / "state_dict.safetensors"
    plain = JellyNet().eval()
    assert not torch.equal(plain.fc1.weight, network.tensors["fc1.weight"])
    plain.load_state_dict(load_file(file))
    x_TBCHW = torch.rand(4, 16, 1, 8, 8)
    logits_TBC = plain(x_TBCHW)
    assert torch.equal(logits_TBC, network.forward(x_TBCHW).logits)
    assert logits_TBC.count_nonzero() > 0
    functional.reset_net(plain)


def test_masked_weights_are_stored_as_zeros(network, tmp_path):
    found = load_file(Safetensors().export(network, tmp_path)[0])
    assert set(found) == set(JellyNet().state_dict())
    assert found["fc1.weight"].shape == (32, 64)
    assert torch.equal(found["fc1.weight"] != 0, network.masks["fc1.weight"])


def test_another_process_loads_it_without_this_package(network, tmp_path):
    (file,) = Safetensors().export(network, tmp_path)
    x_TBCHW = torch.rand(4, 3, 1, 8, 8)
    save_file({"x": x_TBCHW}, tmp_path / "x.safetensors")
    program = (
        "import sys\nfrom own_networks import JellyNet\nfrom safetensors.torch import load_file, save_file\n"
        f"net = JellyNet().eval()\nnet.load_state_dict(load_file({str(file)!r}))\n"
        f"x = load_file({str(tmp_path / 'x.safetensors')!r})['x']\n"
        f"save_file({{'logits': net(x).detach()}}, {str(tmp_path / 'y.safetensors')!r})\n"
        "assert not any(name.startswith('snncompress') for name in sys.modules)"
    )
    folder = sys.modules["own_networks"].__file__.rpartition("/")[0]
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, cwd=folder)
    assert done.returncode == 0, done.stderr
    assert torch.equal(load_file(tmp_path / "y.safetensors")["logits"], network.forward(x_TBCHW).logits)


def test_shared_tensors_are_written_under_both_names(host, tmp_path):
    from torch import nn

    from snncompress.network import InHand, Network

    module = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    module[1].weight = module[0].weight
    time = Time("none", 1, output="averaged", input="static", settable=False)
    found = load_file(Safetensors().export(Network(module, time, InHand(module, time, {}), host), tmp_path)[0])
    assert torch.equal(found["0.weight"], found["1.weight"])


def test_a_tied_weight_stands_under_each_of_its_names(host, tmp_path):
    network = declare(Tied(), Time("none", input="static", output="averaged"), host=host)
    plain = Tied()
    plain.load_state_dict(load_file(Safetensors().export(network, tmp_path)[0]))  # strict: every name has to be there
    assert plain.again.weight is plain.encode.weight
    assert torch.equal(plain.encode.weight, network.module.encode.weight)
