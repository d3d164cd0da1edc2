"""The network of snnTorch's tutorials, against one written by hand as there."""

from __future__ import annotations

import json
from fnmatch import fnmatchcase

import pytest
import snntorch
import torch
from pydantic import ValidationError
from snntorch import surrogate
from torch import nn

from snncompress import Inputs, ModelError, Time
from snncompress_snntorch.architectures import ConvNet
from snncompress_snntorch.backend import SnnTorchBackend


def tutorial_net():
    def leaky(**settings):
        return snntorch.Leaky(beta=0.5, spike_grad=surrogate.fast_sigmoid(slope=25), init_hidden=True, **settings)

    return nn.Sequential(
        nn.Conv2d(1, 12, 5),
        nn.MaxPool2d(2),
        leaky(),
        nn.Conv2d(12, 64, 5),
        nn.MaxPool2d(2),
        leaky(),
        nn.Flatten(),
        nn.Linear(64 * 4 * 4, 10),
        leaky(output=True),
    )


def test_it_is_the_tutorials_network_bit_for_bit():
    settings = ConvNet(padding="valid", beta=0.5, surrogate="fast_sigmoid").resolved(Inputs((1, 28, 28), 10), 4)
    module, time = settings.build()
    own = tutorial_net()
    own.load_state_dict(dict(zip(own.state_dict(), module.state_dict().values(), strict=True)))
    x = torch.rand(4, 3, 1, 28, 28) * 4
    spikes, membranes = SnnTorchBackend().forward(module, x, time)
    steps = [own(x_BCHW) for x_BCHW in x]
    assert torch.equal(spikes, torch.stack([step[0] for step in steps]))
    assert torch.equal(membranes, torch.stack([step[1] for step in steps]))
    gradients = [
        torch.autograd.grad(out.sum(), net[0].weight)[0] for out, net in ((membranes, module), (steps[-1][1], own))
    ]
    assert gradients[0].abs().sum() > gradients[1].abs().sum() > 0
    assert time == Time("per_step", T=4, records=("output", "membranes"))


@pytest.mark.parametrize("side", [8, 16, 28, 32])
@pytest.mark.parametrize("channels", [[6], [4, 8], [4, 4, 8]])
def test_it_takes_images_of_many_sizes(side, channels):
    module, time = ConvNet(channels=channels, kernel_size=3).resolved(Inputs((2, side, side), 7), 3).build()
    spikes, membranes = SnnTorchBackend().forward(module, torch.rand(3, 2, 2, side, side), time)
    assert spikes.shape == membranes.shape == (3, 2, 7)


def test_parameters_by_hand():
    module, _ = ConvNet(learn_beta=True).resolved(Inputs((1, 16, 16), 10), 4).build()
    convolutions = (25 * 1 * 12 + 12) + (25 * 12 * 64 + 64)
    assert sum(value.numel() for value in module.parameters()) == convolutions + (64 * 4 * 4 * 10 + 10) + 3
    valid, _ = ConvNet(padding="valid").resolved(Inputs((1, 32, 32), 10), 4).build()
    assert sum(value.numel() for value in valid.parameters()) == convolutions + (64 * 5 * 5 * 10 + 10)


def test_resolved_json_alone_rebuilds_it():
    resolved = ConvNet(channels=[4, 8]).resolved(Inputs((1, 16, 12), 10), None)
    again = ConvNet.model_validate_json(json.dumps(resolved.canonical()))
    (module, time), (rebuilt, time_again) = resolved.build(), again.build()
    assert {name: value.shape for name, value in module.state_dict().items()} == {
        name: value.shape for name, value in rebuilt.state_dict().items()
    }
    assert time == time_again
    assert time.T == 4


def test_roles_name_modules_that_exist():
    module, _ = ConvNet().resolved(Inputs((1, 16, 16), 10), 4).build()
    paths = [path for path, _ in module.named_modules()]
    for globs in ConvNet().roles().values():
        assert all(any(fnmatchcase(path, glob) for path in paths) for glob in globs)


def test_leaky_does_not_build_on_the_meta_device():
    settings = ConvNet().resolved(Inputs((1, 16, 16), 10), 4)
    with torch.device("meta"), pytest.raises(RuntimeError, match="meta"):
        settings.build()
    assert not settings.builds_on_meta


def test_frames_bring_their_number_of_steps():
    assert ConvNet().resolved(Inputs((9, 2, 16, 16), 10, "frames"), None).timesteps == 9


@pytest.mark.parametrize(
    ("settings", "timesteps", "said"),
    [
        (ConvNet(in_channels=3), 4, "in_channels of 'snntorch.convnet' is 3, but the data have 1"),
        (ConvNet(image_size=[16, 16]), 4, r"is \[16, 16\], but the data have \[8, 8\]"),
        (ConvNet(timesteps=5), 4, "is 5, but the pipeline says 4"),
        (ConvNet(padding="valid"), 4, r"image_size \[8, 8\] is too small for 2 convolutions of kernel_size 5"),
    ],
)
def test_settings_that_contradict_the_data_are_refused(settings, timesteps, said):
    with pytest.raises(ModelError, match=said):
        settings.resolved(Inputs((1, 8, 8), 10), timesteps)


def test_an_even_kernel_cannot_keep_the_size():
    with pytest.raises(ValidationError, match="kernel_size 4 is even"):
        ConvNet(kernel_size=4)


def test_an_open_size_cannot_be_built():
    with pytest.raises(ModelError, match="is open; give it"):
        ConvNet(in_channels=1).build()


def test_there_is_no_checkpoint():
    assert ConvNet().checkpoint_path() is None
