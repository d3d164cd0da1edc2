"""timm networks built from settings, against the library's own constructors and hand-counted parameters."""

from __future__ import annotations

import json
from fnmatch import fnmatchcase

import pytest
import torch
from pydantic import ValidationError
from timm.models.swin_transformer import SwinTransformer as SwinOfLibrary
from timm.models.vision_transformer import VisionTransformer as VisionTransformerOfLibrary

from snncompress import Inputs, ModelError
from snncompress_timm.architectures import ARCHITECTURES, SwinTransformer, VisionTransformer

CASES = [
    pytest.param(
        VisionTransformer(embed_dim=48, depth=3, num_heads=3, mlp_ratio=2, patch_size=8),
        (3, 32, 32),
        lambda: VisionTransformerOfLibrary(
            img_size=32, patch_size=8, num_classes=10, embed_dim=48, depth=3, num_heads=3, mlp_ratio=2
        ),
        id="vit",
    ),
    pytest.param(
        SwinTransformer(embed_dim=16, depths=(2, 1, 1), num_heads=(1, 2, 4), window_size=4, patch_size=2),
        (1, 16, 32),
        lambda: SwinOfLibrary(
            img_size=(16, 32),
            patch_size=2,
            in_chans=1,
            num_classes=10,
            embed_dim=16,
            depths=(2, 1, 1),
            num_heads=(1, 2, 4),
            window_size=4,
        ),
        id="swin",
    ),
]
SHAPES = [
    *[(case.values[0], case.values[1]) for case in CASES],
    (VisionTransformer(), (1, 16, 16)),
    (VisionTransformer(patch_size=2), (1, 8, 8)),
    (SwinTransformer(), (1, 16, 16)),
    (SwinTransformer(patch_size=1), (1, 8, 8)),
    (SwinTransformer(patch_size=4, window_size=3), (3, 32, 32)),
    (SwinTransformer(depths=(1,), num_heads=(2,)), (1, 6, 10)),
]


def shape_of(value):
    return list(value.shape)


@pytest.mark.parametrize(("settings", "shape", "of_library"), CASES)
def test_a_network_is_the_librarys_own_bit_for_bit(settings, shape, of_library):
    torch.manual_seed(0)
    module, time = settings.resolved(Inputs(shape, 10), None).build()
    torch.manual_seed(0)
    own = of_library()
    assert all(torch.equal(value, own.state_dict()[name]) for name, value in module.state_dict().items())
    x = torch.rand(2, *shape)
    assert torch.equal(module.eval()(x), own.eval()(x))
    assert (time.runner, time.T, time.input, time.output) == ("none", 1, "static", "averaged")


@pytest.mark.parametrize(("settings", "shape"), SHAPES)
def test_resolved_json_alone_rebuilds_the_network(settings, shape):
    resolved = settings.resolved(Inputs(shape, 10), None)
    again = type(settings).model_validate_json(json.dumps(resolved.canonical()))
    module, rebuilt = resolved.build()[0], again.build()[0]
    assert {name: shape_of(value) for name, value in module.state_dict().items()} == {
        name: shape_of(value) for name, value in rebuilt.state_dict().items()
    }
    assert shape_of(module(torch.rand(2, *shape))) == [2, 10]


@pytest.mark.parametrize(("settings", "shape"), SHAPES)
def test_networks_build_on_the_meta_device(settings, shape):
    with torch.device("meta"):
        module, _ = settings.resolved(Inputs(shape, 10), None).build()
        assert shape_of(module(torch.rand(2, *shape))) == [2, 10]
    assert all(value.is_meta for value in module.parameters())
    assert settings.builds_on_meta


@pytest.mark.parametrize(("settings", "shape"), SHAPES)
def test_every_role_names_modules_that_exist(settings, shape):
    resolved = settings.resolved(Inputs(shape, 10), None)
    with torch.device("meta"):
        paths = [path for path, _ in resolved.build()[0].named_modules()]
    for globs in resolved.roles().values():
        assert all(any(fnmatchcase(path, glob) for path in paths) for glob in globs)


@pytest.mark.parametrize("kind", ARCHITECTURES)
def test_tables_and_embeddings_are_no_synapses(kind, host):
    """What is pruned or decayed by default are matrices of layers."""
    from snncompress.network import open_architecture

    network = open_architecture(kind().resolved(Inputs((1, 16, 16), 10), None), host)
    assert all(name.endswith(".weight") for name in network.inventory.weights(("synapse",)))


def test_stochastic_depth_grows_towards_the_last_block():
    module, _ = VisionTransformer(drop_path_rate=0.3, depth=4).resolved(Inputs((1, 16, 16), 10), None).build()
    assert [getattr(block.drop_path1, "drop_prob", 0) for block in module.blocks] == pytest.approx([0, 0.1, 0.2, 0.3])


# ---- parameters by hand


def num_parameters(settings, shape, num_classes=10):
    with torch.device("meta"):
        module, _ = settings.resolved(Inputs(shape, num_classes), None).build()
    return sum(value.numel() for value in module.parameters())


def test_parameters_of_a_vit():
    """A class token, 17 positions, two blocks 64 wide, a norm, a head."""
    stem = (4 * 4 * 64 + 64) + 64 + 17 * 64
    attention = (64 * 192 + 192) + (64 * 64 + 64)
    mlp = (64 * 256 + 256) + (256 * 64 + 64)
    block = attention + mlp + 2 * (64 + 64)
    assert stem + 2 * block + (64 + 64) + 64 * 10 + 10 == 102_986
    assert num_parameters(VisionTransformer(), (1, 16, 16)) == 102_986


def test_parameters_of_vit_base():
    """86,567,656, as its authors and torchvision have it."""
    base = VisionTransformer(embed_dim=768, depth=12, num_heads=12, patch_size=16)
    assert num_parameters(base, (3, 224, 224), 1000) == 86_567_656


def test_parameters_of_swin_tiny():
    """28,288,354, as its authors and torchvision have it."""
    tiny = SwinTransformer(embed_dim=96, depths=(2, 2, 6, 2), num_heads=(3, 6, 12, 24), patch_size=4, window_size=7)
    assert num_parameters(tiny, (3, 224, 224), 1000) == 28_288_354


# ---- what does not fit


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            VisionTransformer(patch_size=5),
            "'timm.vision_transformer' cannot be built for these data: image_size [16, 16] is not divisible by patch_size 5",
        ),
        (
            SwinTransformer(patch_size=32),
            "'timm.swin_transformer' cannot be built for these data: image_size [16, 16] is not divisible by patch_size 32",
        ),
        (
            VisionTransformer(in_channels=3),
            "in_channels of 'timm.vision_transformer' is 3, but the data have 1; leave in_channels out",
        ),
    ],
    ids=["patches", "patches larger than the image", "channels"],
)
def test_data_that_do_not_fit(settings, message):
    with pytest.raises(ModelError) as caught:
        settings.resolved(Inputs((1, 16, 16), 10), None)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: VisionTransformer(embed_dim=30),
            r"a width of 30 \(embed_dim\) is not divisible by 4 heads \(num_heads\)",
        ),
        (lambda: SwinTransformer(num_heads=(2, 3)), r"a width of 64 \(embed_dim\) is not divisible by 3 heads"),
        (lambda: SwinTransformer(depths=(1, 1, 1)), r"depths name 3 stages and num_heads 2"),
        (lambda: VisionTransformer(mlp_ratio=0.01), r"mlp_ratio 0.01 leaves nothing of a width of 64 \(embed_dim\)"),
        (lambda: VisionTransformer(timesteps=4), r"Input should be 1"),
        (lambda: SwinTransformer(depths=()), r"at least 1 item"),
    ],
    ids=["heads", "heads of a stage", "stages", "mlp", "time", "no stage"],
)
def test_settings_that_no_network_has(make, message):
    with pytest.raises(ValidationError, match=message):
        make()


def test_what_the_pipeline_says_of_time_steps_is_not_an_anns():
    assert VisionTransformer().resolved(Inputs((1, 16, 16), 10), 4).timesteps == 1
