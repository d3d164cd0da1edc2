"""SpikingJelly networks built from settings, against the library's own constructors and hand-counted parameters."""

from __future__ import annotations

import json
from fnmatch import fnmatchcase

import pytest
import torch
from pydantic import ValidationError
from spikingjelly.activation_based import functional, neuron
from spikingjelly.activation_based.model import (
    maxformer,
    parametric_lif_net,
    qkformer,
    sew_resnet,
    spike_driven_transformer,
    spikformer,
)

from snncompress import Inputs, ModelError
from snncompress_spikingjelly.architectures import (
    ARCHITECTURES,
    MaxFormer,
    ParametricLIFNet,
    QKFormer,
    SEWResNet,
    SpikeDrivenTransformer,
    Spikformer,
    SpikingVGG,
)


def spikformer_of_library():
    sizes = {"in_channels": 1, "img_size_h": 16, "img_size_w": 16, "patch_size": 4, "num_classes": 10}
    return spikformer.Spikformer(T=4, **sizes, embed_dims=32, num_heads=2, mlp_ratio=2.0, depths=1)


def plif_net_of_library():
    settings = {"spiking_neuron": neuron.ParametricLIFNode, "init_tau": 2.0, "v_threshold": 0.1}
    return parametric_lif_net.MNISTNet(channels=2, **settings)


def sew_of_library():
    return sew_resnet.sew_resnet18(cnf="ADD", num_classes=10, spiking_neuron=neuron.LIFNode)


CASES = [
    pytest.param(
        Spikformer(embed_dims=32, num_heads=2, mlp_ratio=2, depths=1),
        (1, 16, 16),
        spikformer_of_library,
        id="spikformer",
    ),
    pytest.param(
        QKFormer(embed_dims=32, num_heads=(1, 1, 2)),
        (3, 16, 16),
        lambda: qkformer.QKFormer(T=4, num_classes=10, embed_dims=32, num_heads=(1, 1, 2), depths=(1, 1, 1)),
        id="qkformer",
    ),
    pytest.param(
        MaxFormer(embed_dims=32),
        (3, 16, 16),
        lambda: maxformer.MaxFormer(T=4, num_classes=10, embed_dims=32, depths=(1, 1, 1), cifar=True),
        id="maxformer-cifar",
    ),
    pytest.param(
        MaxFormer(embed_dims=32, cifar=False),
        (3, 16, 16),
        lambda: maxformer.MaxFormer(T=4, num_classes=10, embed_dims=32, depths=(1, 1, 1)),
        id="maxformer",
    ),
    pytest.param(
        SpikeDrivenTransformer(embed_dims=32, num_heads=2, depths=1),
        (2, 16, 16),
        lambda: spike_driven_transformer.SpikeDrivenTransformer(
            T=4, in_channels=2, num_classes=10, embed_dims=32, num_heads=2, depths=1, pooling_stat="0011"
        ),
        id="spike_driven_transformer",
    ),
    pytest.param(SEWResNet(), (3, 16, 16), sew_of_library, id="sew_resnet"),
    pytest.param(
        ParametricLIFNet(channels=2, threshold=0.1), (1, 28, 28), plif_net_of_library, id="parametric_lif_net"
    ),
]
SHAPES = [
    *[(case.values[0], case.values[1]) for case in CASES],
    (SEWResNet(layers=50, width=4, cnf="IAND"), (1, 32, 32)),
    (SpikingVGG(channels=[8, "M", 16, "M"], hidden=[12]), (1, 16, 16)),
    (SpikingVGG(channels=[8, "M"], hidden=[6, 5], batch_norm=False), (2, 17, 9)),
]


def spiking_input(shape, *, batch=2):
    return torch.rand(4, batch, *shape, generator=torch.Generator().manual_seed(1)) * 3


@pytest.mark.parametrize(("settings", "shape", "of_library"), CASES)
def test_a_network_is_the_librarys_own_bit_for_bit(settings, shape, of_library):
    module, time = settings.resolved(Inputs(shape, 10), 4).build()
    own = of_library()
    own.load_state_dict(module.state_dict())
    functional.set_step_mode(own, "m")
    x = spiking_input(shape)
    torch.manual_seed(0)  # dropout
    ours = module(x)
    torch.manual_seed(0)
    theirs = own(x)
    assert ours.count_nonzero() > 0
    assert torch.equal(ours, theirs)
    assert tuple(ours.shape) == ((2, 10) if time.output == "averaged" else (4, 2, 10))


@pytest.mark.parametrize(("settings", "shape"), SHAPES)
def test_resolved_json_alone_rebuilds_the_network(settings, shape):
    resolved = settings.resolved(Inputs(shape, 10), None)
    again = type(settings).model_validate_json(json.dumps(resolved.canonical()))
    module, time = resolved.build()
    rebuilt, time_again = again.build()
    shapes = {name: value.shape for name, value in module.state_dict().items()}
    assert shapes == {name: value.shape for name, value in rebuilt.state_dict().items()}
    assert time == time_again
    assert (time.runner, time.T) == ("multi_step", 4)


@pytest.mark.parametrize(("settings", "shape"), SHAPES)
def test_networks_take_still_images_and_sequences_of_any_length(settings, shape):
    module, time = settings.resolved(Inputs(shape, 10), 4).build()
    for x in (torch.rand(2, *shape).expand(4, 2, *shape), torch.rand(3, 2, *shape)):
        functional.reset_net(module)
        assert tuple(module(x).shape) == ((2, 10) if time.output == "averaged" else (len(x), 2, 10))


@pytest.mark.parametrize(("settings", "shape"), SHAPES)
def test_networks_build_on_the_meta_device(settings, shape):
    with torch.device("meta"):
        module, _ = settings.resolved(Inputs(shape, 10), 4).build()
    assert all(value.is_meta for value in module.parameters())
    assert settings.builds_on_meta


@pytest.mark.parametrize(("settings", "shape"), SHAPES)
def test_every_role_names_modules_that_exist(settings, shape):
    resolved = settings.resolved(Inputs(shape, 10), 4)
    with torch.device("meta"):
        paths = [path for path, _ in resolved.build()[0].named_modules()]
    for globs in resolved.roles().values():
        assert all(any(fnmatchcase(path, glob) for path in paths) for glob in globs)


@pytest.mark.parametrize(("settings", "shape"), SHAPES)
def test_the_head_holds_the_last_synapse(settings, shape):
    resolved = settings.resolved(Inputs(shape, 10), 4)
    with torch.device("meta"):
        module, _ = resolved.build()
    last = [path for path, part in module.named_modules() if isinstance(part, torch.nn.Linear)][-1]
    assert last in resolved.roles()["head"]


@pytest.mark.parametrize("variant", list(ParametricLIFNet.SIZES))
def test_the_head_of_every_parametric_lif_net_is_its_last_linear(variant):
    channels, side, classes = ParametricLIFNet.SIZES[variant]
    resolved = ParametricLIFNet(variant=variant, channels=2).resolved(Inputs((channels, side, side), classes), 4)
    module, _ = resolved.build()
    last = [path for path, part in module.named_modules() if isinstance(part, torch.nn.Linear)][-1]
    assert resolved.roles()["head"][0] == last
    assert module(torch.rand(2, 1, channels, side, side)).shape == (2, 1, classes)


def num_parameters(settings, shape, num_classes=10):
    with torch.device("meta"):
        module, _ = settings.resolved(Inputs(shape, num_classes), 4).build()
    return sum(value.numel() for value in module.parameters())


def test_parameters_of_a_spikformer():
    stem = (9 * 1 * 8 + 16) + (9 * 8 * 16 + 32) + (9 * 16 * 32 + 64) + (9 * 32 * 64 + 128) + (9 * 64 * 64 + 128)
    attention = (64 * 192 + 384) + (64 * 64 + 128)
    mlp = (64 * 256 + 512) + (256 * 64 + 128)
    assert stem + 2 * (attention + mlp) + 64 * 10 + 10 == 162_754
    assert num_parameters(Spikformer(), (1, 16, 16)) == 162_754


def test_parameters_of_the_librarys_resnet_and_vgg():
    resnet18 = 11_689_512 - (512 * 1000 + 1000) + 512 * 10 + 10  # torchvision's, ten classes
    assert num_parameters(SEWResNet(), (3, 32, 32)) == resnet18
    assert num_parameters(SEWResNet(), (1, 32, 32)) == resnet18 - 2 * 49 * 64
    vgg11 = 132_868_840 - (4096 * 1000 + 1000) + 4096 * 10 + 10  # torchvision's with batch norm, ten classes
    assert num_parameters(SpikingVGG(), (3, 32, 32)) == vgg11
    assert num_parameters(SpikingVGG(depth=11), (1, 32, 32)) == vgg11 - 2 * 9 * 64


def test_parameters_of_a_narrow_resnet():
    def block(before, after):
        shortcut = before * after + 2 * after if before != after else 0
        return 9 * before * after + 9 * after * after + 4 * after + shortcut

    stages = [
        block(8, 8),
        block(8, 8),
        block(8, 16),
        block(16, 16),
        block(16, 32),
        block(32, 32),
        block(32, 64),
        block(64, 64),
    ]
    assert num_parameters(SEWResNet(width=8), (1, 16, 16)) == 49 * 8 + 16 + sum(stages) + 64 * 10 + 10


def test_parameters_of_a_small_vgg():
    features = (9 * 1 * 8 + 8 + 16) + (9 * 8 * 16 + 16 + 32)
    classifier = (16 * 4 * 4 * 12 + 12 + 24) + (12 * 10 + 10)
    settings = SpikingVGG(channels=[8, "M", 16, "M"], hidden=[12])
    assert num_parameters(settings, (1, 16, 16)) == features + classifier


def test_neuron_settings_reach_every_neuron_also_in_attention():
    settings = Spikformer(tau=3, threshold=0.8, surrogate="atan", detach_reset=False)
    module, _ = settings.resolved(Inputs((1, 16, 16), 10), 4).build()
    nodes = {path: part for path, part in module.named_modules() if isinstance(part, neuron.LIFNode)}
    assert {part.tau for part in nodes.values()} == {3.0}
    assert {type(part.surrogate_function).__name__ for part in nodes.values()} == {"ATan"}
    assert {part.detach_reset for part in nodes.values()} == {False}
    assert len({id(part.surrogate_function) for part in nodes.values()}) == len(nodes)
    assert nodes["blocks.0.attn.attn_lif"].v_threshold == pytest.approx(0.4)
    assert nodes["blocks.0.attn.qkv_lif"].v_threshold == pytest.approx(0.8)


def test_the_neurons_of_a_small_vgg_fire():
    module, _ = SpikingVGG(channels=[16, "M", 32, "M"], hidden=[32]).resolved(Inputs((1, 16, 16), 10), 4).build()
    rates = {}
    for path, part in module.named_modules():
        if isinstance(part, neuron.LIFNode):
            part.register_forward_hook(lambda _part, _x, spikes, path=path: rates.update({path: spikes.mean().item()}))
    module(torch.rand(4, 8, 1, 16, 16))
    assert len(rates) == 3
    assert all(0.005 < rate < 0.9 for rate in rates.values())


def test_timesteps_come_from_the_pipeline_the_settings_the_frames_or_are_four():
    image, frames = Inputs((1, 16, 16), 10), Inputs((7, 1, 16, 16), 10, "frames")
    assert Spikformer().resolved(image, None).timesteps == 4
    assert Spikformer().resolved(image, 6).timesteps == 6
    assert Spikformer(timesteps=5).resolved(frames, None).timesteps == 5
    assert Spikformer().resolved(frames, None).timesteps == 7


@pytest.mark.parametrize(
    ("settings", "timesteps", "said"),
    [
        (Spikformer(in_channels=3), 4, "in_channels of 'spikingjelly.spikformer' is 3, but the data have 1"),
        (Spikformer(num_classes=7), 4, "num_classes of 'spikingjelly.spikformer' is 7, but the data have 10"),
        (Spikformer(image_size=[32, 32]), 4, r"is \[32, 32\], but the data have \[16, 20\]"),
        (Spikformer(timesteps=5), 4, "is 5, but the pipeline says 4"),
        (Spikformer(patch_size=16), 4, r"image_size \[16, 20\] is not divisible by patch_size 16"),
        (SpikingVGG(channels=[4, *"MMMMM"]), 4, r"image_size \[16, 20\] is too small to be halved 5 times"),
        (ParametricLIFNet(), 4, r"image_size of the variant 'mnist' is \(28, 28\), not \(16, 20\)"),
    ],
)
def test_settings_that_contradict_the_data_are_refused(settings, timesteps, said):
    with pytest.raises(ModelError, match=said):
        settings.resolved(Inputs((1, 16, 20), 10), timesteps)


@pytest.mark.parametrize(
    ("kind", "settings", "said"),
    [
        (Spikformer, {"embed_dims": 64, "num_heads": 6}, "64 .* is not divisible by 6 heads"),
        (QKFormer, {"embed_dims": 64, "num_heads": [1, 3, 4]}, "32 .* is not divisible by 3 heads"),
        (MaxFormer, {"embed_dims": 200, "cifar": False}, "200 .* is not divisible by 3 heads"),
        (SpikeDrivenTransformer, {"num_heads": 5}, "64 .* is not divisible by 5 heads"),
        (SpikingVGG, {"depth": 11, "channels": [8]}, "give one of them"),
        (SpikingVGG, {"hidden": [8]}, "hidden needs channels"),
        (SpikingVGG, {"channels": ["M", 8]}, "must begin with a convolution"),
        (SEWResNet, {"layers": 20}, "18, 34 or 50"),
    ],
)
def test_impossible_settings_are_refused(kind, settings, said):
    with pytest.raises(ValidationError, match=said):
        kind(**settings)


def test_an_open_size_cannot_be_built():
    with pytest.raises(ModelError, match=r"num_classes, image_size, timesteps of 'spikingjelly\.spikformer' is open"):
        Spikformer(in_channels=1).build()


def test_every_architecture_ships_without_a_checkpoint_or_code():
    assert len({kind.model_fields["use"].default for kind in ARCHITECTURES}) == len(ARCHITECTURES) == 7
    assert all(kind().checkpoint_path() is None and not kind.needs_code for kind in ARCHITECTURES)
