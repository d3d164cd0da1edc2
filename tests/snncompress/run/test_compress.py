import subprocess
import sys
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from computed_networks import Convolutional
from own_networks import Gained, JellyNet, LoopNet, Scaled, jelly_chain
from sklearn.datasets import load_digits
from spikingjelly.activation_based import neuron
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from snncompress import DataError, ModelError, PipelineError, StepError, Time, compress, declare, run
from snncompress.cli import main
from snncompress.run.generators import generator_states, seed_everything
from snncompress.run.in_hand import LoadersInHand, NetworkInHand

TESTS = Path(__file__).parents[2]
LOOP = Time("inside", 6, input="static", records=("output", "membranes"), attribute="num_steps")


def trained(network, loader, epochs=25):
    """Train as a user would, with an ordinary loop."""
    torch.manual_seed(0)
    optimizer = torch.optim.Adam(network.module.parameters(), lr=5e-3)
    network.module.train()
    for _ in range(epochs):
        for x, y in loader:
            x_in = x if network.time.input == "static" else x.expand(network.time.T, *x.shape)
            loss = nn.functional.cross_entropy(network.forward(x_in).per_step().sum(0), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            network.reset()
    return network


def ticket(network, loaders, **more):
    steps = [
        {
            "use": "prune.lottery",
            "rounds": 8,
            "fraction_per_round": 0.26,
            "retrain": {"epochs": 15, "lr": 0.005, "loss": "own_networks:summed_loss", "batch_size": 20},
        }
    ]
    return compress(network, steps=steps, data=loaders, silent=True, **more)


@pytest.fixture
def digits_loaders():
    """The scanned digits as a user would hold them: arrays, a split of one's own, ordinary loaders."""
    x, y = load_digits(return_X_y=True)
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(3))
    images = torch.tensor(x, dtype=torch.float32).reshape(-1, 1, 8, 8)[order] / 16
    labels = torch.tensor(y)[order]
    parts = [
        TensorDataset(images[part], labels[part]) for part in (slice(0, 1000), slice(1000, 1297), slice(1297, None))
    ]
    return (
        DataLoader(parts[0], batch_size=20, shuffle=True),
        DataLoader(parts[1], batch_size=99),
        DataLoader(parts[2], batch_size=100),
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("make", "time"),
    [(lambda: JellyNet(64, 512), Time("multi_step", 4)), (lambda: LoopNet(512), LOOP)],
    ids=["spikingjelly", "snntorch-loop"],
)
def test_a_users_own_network_loaders_loss_and_checkpoint(folder, host, digits_loaders, make, time):
    loaders = digits_loaders
    torch.manual_seed(0)
    network = trained(declare(make(), time, arguments={"hidden": 512}, host=host), loaders[0])
    result = ticket(network, loaders)
    assert result.record.final["sparsity"].value > 0.9
    assert result.record.baseline["accuracy"].value - result.record.final["accuracy"].value <= 0.01 + 1e-9
    x = next(iter(loaders[2]))[0]
    x_in = x if time.input == "static" else x.expand(4, *x.shape).contiguous()
    result.network.module.eval()
    expected = result.network.forward(x_in).logits.detach()
    torch.save((x_in, expected), folder / "expected.pt")
    program = (
        "import torch, snncompress\n"
        "network = snncompress.load('runs/compressed/final', allow_code=True)\n"
        "network.module.eval()\n"
        "x, expected = torch.load('expected.pt')\n"
        "assert torch.equal(network.forward(x).logits, expected)\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, env={"PYTHONPATH": str(TESTS), "PATH": ""}, cwd=folder)


def test_the_users_module_is_left_alone(folder, host, loaders):
    network = declare(JellyNet(), Time("multi_step", 4), host=host)
    before = {name: value.clone() for name, value in network.module.state_dict().items()}
    compress(network, steps=[{"use": "prune.l1", "fraction": 0.5, "select": "fc1"}], data=loaders, silent=True)
    assert all(torch.equal(before[name], value) for name, value in network.module.state_dict().items())


def test_running_again_reuses_and_other_weights_do_not(folder, host, loaders):
    network = declare(JellyNet(), Time("multi_step", 4), host=host)
    steps = [{"use": "prune.l1", "fraction": 0.5, "finetune": {"epochs": 1}}]
    assert not compress(network, steps=steps, data=loaders, silent=True).record.steps[0].reused
    assert compress(network, steps=steps, data=loaders, silent=True).record.steps[0].reused
    changed = network.with_weights({"fc1.bias": torch.ones(32)})
    assert not compress(changed, steps=steps, data=loaders, silent=True).record.steps[0].reused


def test_all_problems_of_the_steps_are_told_at_once(folder, host, loaders):
    network = declare(JellyNet(), Time("multi_step", 4), host=host)
    with pytest.raises(PipelineError) as caught:
        compress(network, steps=[{"use": "prune.l2"}, {"use": "train", "epochs": 0}], data=loaders, silent=True)
    assert len(caught.value.lines) == 2
    with pytest.raises(PipelineError, match="selector 'fc9' matches nothing; near: fc2, fc1"):
        compress(network, steps=[{"use": "prune.l1", "fraction": 0.5, "select": "fc9"}], data=loaders, silent=True)


def test_data_that_do_not_fit_are_one_clear_error(folder, host, loaders):
    network = declare(JellyNet(), Time("multi_step", 4), host=host)
    with pytest.raises(DataError, match="three loaders"):
        compress(network, steps=[], data=loaders[:2], silent=True)
    with pytest.raises(DataError, match="kind must be"):
        compress(network, steps=[], data=loaders, kind="video", silent=True)


def test_a_membrane_loss_trains_a_loop(folder, host, loaders):
    network = declare(LoopNet(), LOOP, host=host)
    result = compress(
        network,
        steps=[{"use": "train", "epochs": 5, "lr": 0.01, "loss": "membrane_cross_entropy"}],
        data=loaders,
        silent=True,
    )
    assert result.record.final["accuracy"].value > 0.5


def test_the_compressed_network_is_known_to_its_library(folder, host, loaders):
    """snntorch.utils.reset goes through a list of instances that copies are missing from."""
    from snntorch import utils

    network = declare(LoopNet(), LOOP, host=host)
    module = compress(network, steps=[{"use": "prune.l1", "fraction": 0.5}], data=loaders, silent=True).network.module
    module(next(iter(loaders[2]))[0])
    assert module.lif1.mem.abs().sum() > 0
    utils.reset(module)
    assert module.lif1.mem.abs().sum() == 0


PRUNE = [{"use": "prune.l1", "fraction": 0.5, "select": "synapse"}]


def test_a_network_of_a_plugins_architecture_is_compressed_further(folder, pipeline, host):
    settings = {"model": {"use": "snntorch.convnet", "channels": [4]}, "data": {"use": "digits", "size": 8}}
    steps = [{"use": "train", "epochs": 1, "batch_size": 500}, *PRUNE]
    first = run({**pipeline, **settings, "steps": steps}, silent=True, host=host).network
    images = TensorDataset(torch.rand(40, 1, 8, 8), torch.arange(40) % 10)
    second = compress(first, steps=PRUNE, data=(images, images, images), silent=True)
    before = sum(int(mask.sum()) for mask in first.masks.values())
    assert sum(int(mask.sum()) for mask in second.network.masks.values()) == before - round(before / 2)


@pytest.mark.parametrize("use", ["prune.dsp", "prune.channels"])
def test_samples_that_are_no_images_are_planned_too(folder, host, use):
    torch.manual_seed(0)
    network = declare(jelly_chain(), Time("multi_step", 2), build=jelly_chain, host=host)
    samples = TensorDataset(12 * torch.rand(40, 6), torch.arange(40) % 4)
    result = compress(network, steps=[{"use": use, "fraction": 0.5}], data=(samples, samples, samples), silent=True)
    values = [result.record.baseline["parameters"].value, result.record.final["parameters"].value]
    assert values == [6 * 16 + 16 + 16 * 4 + 4, 6 * 8 + 8 + 8 * 4 + 4]


def test_a_number_set_after_building_is_refused(folder, host, loaders):
    module = Scaled()
    network = declare(module, Time("multi_step", 4), host=host)
    inputs = LoadersInHand.of(loaders, network, kind="static").inputs()
    assert (inputs.num_classes, inputs.num_train) == (10, len(loaders[0].dataset))
    module.scale = 2.0
    with pytest.raises(ModelError, match="computes something else, although every stored tensor is equal"):
        compress(declare(module, Time("multi_step", 4), host=host), steps=PRUNE, data=loaders, silent=True)


def test_what_is_held_beside_the_values_is_part_of_the_identity(host):
    module = JellyNet()
    with torch.no_grad():
        module.fc1.weight[0] = 0
    network = declare(module, Time("multi_step", 4), host=host)
    mask = torch.ones_like(module.fc1.weight, dtype=torch.bool)
    mask[0] = False
    others = (network.with_masks({"fc1.weight": mask}), network.with_snapshot("mine"))
    known = {NetworkInHand.of(one).canonical()["values"] for one in (network, *others)}
    assert len(known) == 3
    assert NetworkInHand.of(network.copy()).canonical()["values"] in known


def test_the_order_in_which_loaders_bring_samples_is_part_of_the_identity(host, loaders):
    network = declare(JellyNet(), Time("multi_step", 4), host=host)
    train, *rest = loaders
    plain = DataLoader(train.dataset, batch_size=20)
    shorter = DataLoader(train.dataset, batch_size=20, shuffle=True, drop_last=True)
    described = [LoadersInHand.of((one, *rest), network, kind="static").canonical() for one in (train, plain, shorter)]
    assert described[0] != described[1]
    assert described[0] != described[2]


class Augmented(TensorDataset):
    """Samples that are disturbed at random, as an augmentation does."""

    def __getitem__(self, index):
        x, y = super().__getitem__(index)
        return x + torch.rand(x.shape), y


def test_random_augmentation_keeps_its_identity_and_the_generators(host, loaders):
    network = declare(JellyNet(), Time("multi_step", 4), host=host)
    data = LoadersInHand.of((Augmented(*loaders[0].dataset.tensors), *loaders[1:]), network, kind="static")
    torch.manual_seed(1)
    first = data.fingerprint()
    drawn = torch.rand(1)
    torch.manual_seed(2)
    assert data.fingerprint() == first
    torch.manual_seed(1)
    assert torch.equal(torch.rand(1), drawn)


IMAGES = torch.rand(20, 1, 8, 8)


@pytest.mark.parametrize(
    ("train", "message"),
    [
        (3, "train data must be a DataLoader or a data set with a length"),
        ([], "train data hold no sample"),
        (TensorDataset(IMAGES, torch.rand(20)), r"labels must be one whole number .* not float32 \[20\]"),
        (TensorDataset(IMAGES, torch.eye(10).long()[torch.arange(20) % 10]), r"not int64 \[20, 10\]"),
    ],
    ids=["number", "empty", "float labels", "one-hot labels"],
)
def test_data_that_cannot_be_trained_on_are_told(host, loaders, train, message):
    network = declare(JellyNet(), Time("multi_step", 4), host=host)
    with pytest.raises(DataError, match=message):
        compress(network, steps=PRUNE, data=(train, *loaders[1:]), silent=True)


def test_images_of_another_size_are_told(host, loaders):
    small = TensorDataset(torch.rand(20, 1, 4, 4), torch.arange(20) % 10)
    network = declare(JellyNet(), Time("multi_step", 4), host=host)
    with pytest.raises(
        ModelError, match=r"running the network on float32 \[4, 20, 1, 4, 4\] of the training data failed"
    ):
        compress(network, steps=PRUNE, data=(small, *loaders[1:]), silent=True)


def test_a_wholly_frozen_network_is_told(folder, host, loaders):
    module = JellyNet()
    module.requires_grad_(requires_grad=False)
    network = declare(module, Time("multi_step", 4), host=host)
    with pytest.raises(StepError, match="every parameter is frozen"):
        compress(network, steps=[{"use": "train", "epochs": 1}], data=loaders, silent=True)


@pytest.mark.parametrize(("kind", "shape"), [("frames", (4, 1, 8, 8)), ("frames", (4, 64)), ("static", (64,))], ids=str)
def test_event_frames_and_samples_that_are_no_images(folder, host, kind, shape):
    network = declare(JellyNet(), Time("multi_step", 4), host=host)
    samples = TensorDataset(torch.rand(20, *shape), torch.arange(20) % 10)
    result = compress(
        network, steps=[{"use": "train", "epochs": 1}, *PRUNE], data=(samples,) * 3, kind=kind, silent=True
    )
    assert result.record.final["sparsity"].value == 0.5


def test_frames_of_another_length_are_told(folder, host):
    network = declare(JellyNet(), Time("multi_step", 4), host=host)
    samples = TensorDataset(torch.rand(20, 5, 1, 8, 8), torch.arange(20) % 10)
    with pytest.raises(
        DataError, match=r"the data bring 5 time steps, and the network runs 4; give frames \[B, 4, ...\]"
    ):
        compress(network, steps=PRUNE, data=(samples,) * 3, kind="frames", silent=True)


def test_the_users_generators_are_left_alone(folder, host, loaders):
    network = declare(JellyNet(), Time("multi_step", 4), host=host)
    seed_everything(3)
    before = generator_states()
    compress(network, steps=[{"use": "train", "epochs": 2}], data=loaders, silent=True)
    after = generator_states()
    assert torch.equal(after["torch"], before["torch"])
    assert torch.equal(after["numpy"][1], before["numpy"][1])
    assert after["random"] == before["random"]


def two_layers():
    return nn.Sequential(
        nn.Flatten(2), nn.Linear(64, 8), neuron.LIFNode(step_mode="m"), nn.Linear(8, 10), neuron.LIFNode(step_mode="m")
    )


def test_a_run_says_what_was_proved_and_of_which_layers_little(folder, digits_loaders, capsys):
    """The last neurons' inputs are all 0.1, with which none reaches its threshold; the first ones' 2 and more."""
    network = declare(two_layers(), Time("multi_step", 4), build=two_layers)
    held = {"1.weight": torch.zeros(8, 64), "1.bias": torch.full((8,), 2.5)}
    held |= {"3.weight": torch.zeros(10, 8), "3.bias": torch.full((10,), 0.1)}
    steps = [{"use": "neurons.substitute", "to": "slif"}]
    compress(network.with_weights(held), steps=steps, data=digits_loaders)
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "proved" in line]
    assert line == (  # 20 samples in the loader's batch, 8 neurons, 4 steps
        "  replace proved: 640 spikes of 2 layers equal in float64, 0 differ in float32; "
        "little is shown of layers that stay silent on the batch: '4'"
    )


def test_it_ends_in_the_table_of_the_command_line_unless_silent(folder, host, loaders, capsys):
    network = declare(JellyNet(), Time("multi_step", 4), host=host)
    result = compress(network, steps=PRUNE, data=loaders)
    shown = capsys.readouterr().out
    assert shown == (result.folder / "report.txt").read_text(encoding="utf-8")
    assert CliRunner().invoke(main, ["report", str(result.folder)]).stdout == shown
    compress(network, steps=PRUNE, data=loaders, silent=True)
    assert capsys.readouterr().out == ""


def test_a_pipeline_made_with_data_in_hand_says_so_and_cannot_be_run(folder, host, loaders):
    network = declare(JellyNet(), Time("multi_step", 4), host=host)
    file = compress(network, steps=PRUNE, data=loaders, silent=True).folder / "pipeline.yaml"
    text = file.read_text(encoding="utf-8")
    assert text.startswith(
        "# Written by snncompress.compress(). The network (built by 'own_networks:JellyNet') and the data were in hand"
    )
    for verb in ("run", "validate", "plan", "inspect"):
        done = CliRunner().invoke(main, [verb, str(file)])
        assert done.exit_code == 2
        (line,) = done.stderr.splitlines()
        assert line.startswith(f"{file}:")
        assert line.endswith(
            ": model: the network and the data were in hand in Python when this was written; "
            "name a model, for example file:runs/NAME/final and data"
        )
    with pytest.raises(PipelineError, match="the data were in hand in Python when this was written; name data"):
        run(str(file), overrides=["model=snntorch.convnet"], host=host)
    named = ["model=snntorch.convnet", "data={use: digits, size: 8}", "name=named", "steps=[{use: train, epochs: 1}]"]
    assert run(str(file), overrides=named, host=host, silent=True).folder == Path("runs/named")


def test_selecting_what_only_mixes_time_steps_is_refused_by_the_plan(folder, host, loaders):
    network = declare(Gained(), Time("multi_step", 4), host=host)
    with pytest.raises(PipelineError, match=r"steps.0.select: selector \['over_time'\] picks no synaptic weight"):
        compress(
            network, steps=[{"use": "prune.l1", "fraction": 0.5, "select": "over_time"}], data=loaders, silent=True
        )


def test_what_forward_computes_is_refused_before_anything_is_trained(folder, host, loaders):
    arguments = {"kind": "StdConv2d", "size": 8}
    network = declare(Convolutional(**arguments), Time("multi_step", 4), arguments=arguments, host=host)
    steps = [{"use": "train", "epochs": 1}, {"use": "prune.l1", "fraction": 0.5}]
    with pytest.raises(PipelineError) as caught:
        compress(network, steps=steps, data=loaders, silent=True)
    assert [line.split(",")[0] for line in str(caught.value).splitlines()] == [
        f"pipeline: steps.1.select: forward computes the weight in use from '{layer}.weight'"
        for layer in ("first", "second")
    ]
    assert not (folder / "runs").exists()
    steps[1]["select"] = "out"
    result = compress(network, steps=steps, data=loaders, measure=["sparsity"], silent=True)
    assert set(result.network.masks) == {"out.weight"}
