import pytest
import torch
from torch import nn
from torch.nn.utils import prune, remove_spectral_norm, remove_weight_norm, spectral_norm

from snncompress import ModelError, PipelineError, Time, declare, measure, run

ANN = Time("none", input="static", output="averaged")


def pruned():
    made = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    prune.l1_unstructured(made[1], "weight", amount=0.8)
    return made


def pruned_and_baked():
    made = pruned()
    prune.remove(made[1], "weight")
    return made


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::UserWarning")
@pytest.mark.parametrize(
    ("hook", "remove", "name"),
    [
        (nn.utils.weight_norm, remove_weight_norm, "remove_weight_norm"),
        (spectral_norm, remove_spectral_norm, "remove_spectral_norm"),
        (
            lambda layer: prune.random_unstructured(layer, "weight", 0.5),
            lambda layer: prune.remove(layer, "weight"),
            "prune.remove",
        ),
    ],
)
def test_a_hook_that_computes_a_weight_is_refused_with_the_call_that_bakes_it_in(hook, remove, name, host):
    module = nn.Sequential(nn.Linear(4, 4))
    hook(module[0])
    module(torch.rand(2, 4)).sum().backward()
    with pytest.raises(
        ModelError,
        match=rf"'0.weight' of the module in hand.*torch.nn.utils.{name}\(module.get_submodule\('0'\), 'weight'\)",
    ):
        declare(module, ANN, build=plain, host=host)
    remove(module[0])
    assert declare(module, ANN, build=plain, host=host).inventory.weights(("synapse",)) == ("0.weight",)


def plain():
    return nn.Sequential(nn.Linear(4, 4))


def test_what_builds_the_module_may_hold_no_such_hook_either(host):
    with pytest.raises(ModelError, match=r"'1.weight' of what 'pruned' builds.*prune.remove"):
        declare(pruned_and_baked(), ANN, build=pruned, host=host)


def test_zeros_that_were_baked_in_are_counted(host):
    network = declare(pruned_and_baked(), ANN, build=pruned_and_baked, host=host)
    data = torch.utils.data.TensorDataset(torch.rand(8, 1, 8, 8), torch.arange(8))
    assert measure(network, data, ["sparsity"])["sparsity"].value == 0.8


def test_a_pipelines_model_is_refused_before_anything_runs(tmp_path, monkeypatch):
    (tmp_path / "pruned_by_torch.py").write_text(
        "from torch import nn\nfrom torch.nn.utils import prune\n\n\ndef build():\n"
        "    made = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))\n"
        "    prune.l1_unstructured(made[1], 'weight', amount=0.5)\n    return made\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    time = {"runner": "none", "input": "static", "output": "averaged"}
    pipeline = {
        "version": 1,
        "name": "hooked",
        "model": {"use": "python", "function": "pruned_by_torch:build", "time": time},
        "data": {"use": "digits", "size": 8},
        "steps": [{"use": "train", "epochs": 1}],
    }
    with pytest.raises(PipelineError, match=r"model: '1.weight' of the model 'python'.*prune.remove"):
        run(pipeline, allow_code=True, silent=True)
    assert not (tmp_path / "runs" / "hooked").exists()
