"""Building SpikingJelly's convolutional networks where its own constructors fix channels, widths or classifiers."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal

from spikingjelly.activation_based import layer, neuron
from spikingjelly.activation_based.model import parametric_lif_net as plif_nets
from spikingjelly.activation_based.model import sew_resnet as sew
from spikingjelly.activation_based.model import spiking_vgg as vgg
from torch import nn

if TYPE_CHECKING:
    from collections.abc import Sequence

_SEW_BLOCKS = {
    18: (sew.BasicBlock, (2, 2, 2, 2)),
    34: (sew.BasicBlock, (3, 4, 6, 3)),
    50: (sew.Bottleneck, (3, 4, 6, 3)),
}
_VGG_PLANS = {11: "A", 13: "B", 16: "D", 19: "E"}
_PLIF_NETS = {
    "mnist": plif_nets.MNISTNet,
    "fashion_mnist": plif_nets.FashionMNISTNet,
    "nmnist": plif_nets.NMNISTNet,
    "cifar10": plif_nets.CIFAR10Net,
    "cifar10_dvs": plif_nets.CIFAR10DVSNet,
    "dvs_gesture": plif_nets.DVSGestureNet,
}
_LIBRARY_WIDTH = 64
_LIBRARY_CHANNELS = 3


class ScaledSEWResNet(sew.SEWResNet):  # type: ignore[misc] # the library is untyped
    """A SEW-ResNet whose stages are as many times narrower or wider as ``width`` is than the library's 64."""

    def __init__(self, layers: int, cnf: str, width: int, *, in_channels: int, num_classes: int) -> None:
        self.width = width
        block, depths = _SEW_BLOCKS[layers]
        super().__init__(block, depths, num_classes=num_classes, cnf=cnf, spiking_neuron=neuron.LIFNode)
        self.conv1 = _stem(in_channels, width)
        self.bn1 = layer.BatchNorm2d(width)
        self.fc = layer.Linear(8 * width * block.expansion, num_classes)

    def _make_layer(self, block: Any, planes: int, *arguments: Any, **settings: Any) -> nn.Module:
        if planes == _LIBRARY_WIDTH:  # the first stage: the library has just set its own width
            self.inplanes = self.width
        scaled = planes // _LIBRARY_WIDTH * self.width
        return super()._make_layer(block, scaled, *arguments, **settings)  # type: ignore[no-any-return] # the library is untyped


def sew_resnet(layers: int, cnf: str, width: int, *, in_channels: int, num_classes: int) -> nn.Module:
    """Return a SEW-ResNet: the library's own at width 64, with another first convolution where the input is not RGB."""
    if width != _LIBRARY_WIDTH:
        return ScaledSEWResNet(layers, cnf, width, in_channels=in_channels, num_classes=num_classes)
    block, depths = _SEW_BLOCKS[layers]
    network = sew.SEWResNet(block, depths, num_classes=num_classes, cnf=cnf, spiking_neuron=neuron.LIFNode)
    if in_channels != _LIBRARY_CHANNELS:
        network.conv1 = _stem(in_channels, width)
    return network  # type: ignore[no-any-return] # the library is untyped


def spiking_vgg(depth: int, *, batch_norm: bool, in_channels: int, num_classes: int) -> nn.Module:
    """Return the library's VGG, with another first convolution where the input is not RGB."""
    plan = vgg.cfgs[_VGG_PLANS[depth]]
    network = vgg.SpikingVGG(plan, batch_norm=batch_norm, num_classes=num_classes, spiking_neuron=neuron.LIFNode)
    _widen_input(network.features, in_channels)
    return network  # type: ignore[no-any-return] # the library is untyped


class CompactVGG(vgg.SpikingVGG):  # type: ignore[misc] # the library is untyped
    """A VGG of any channels and classifier; it keeps the paths and the forward pass of the library's."""

    def __init__(
        self,
        channels: Sequence[int | Literal["M"]],
        hidden: Sequence[int],
        *,
        in_channels: int,
        num_classes: int,
        image_size: tuple[int, int],
        batch_norm: bool,
    ) -> None:
        nn.Module.__init__(self)  # the library's own constructor would build its fixed classifier
        self.features = self.make_layers(channels, batch_norm=batch_norm, neuron=neuron.LIFNode)
        _widen_input(self.features, in_channels)
        pools = channels.count("M")
        height, width = (side // 2**pools for side in image_size)
        self.avgpool = layer.AdaptiveAvgPool2d(
            (height, width)
        )  # maps have this size already; the forward pass asks for it
        last = [size for size in channels if size != "M"][-1]
        self.classifier = _classifier((last * height * width, *hidden), num_classes, batch_norm=batch_norm)
        _initialise_convolutions(self.features)


def parametric_lif_net(variant: str, channels: int, tau: float) -> nn.Module:
    """Return one of the library's networks with learnable time constants that start at ``tau``."""
    return _PLIF_NETS[variant](channels, spiking_neuron=neuron.ParametricLIFNode, init_tau=tau)  # type: ignore[no-any-return] # the library is untyped


def _stem(in_channels: int, width: int) -> nn.Module:
    stem = layer.Conv2d(in_channels, width, kernel_size=7, stride=2, padding=3, bias=False)
    nn.init.kaiming_normal_(stem.weight, mode="fan_out", nonlinearity="relu")
    return stem  # type: ignore[no-any-return] # the library is untyped


def _widen_input(features: nn.Sequential, in_channels: int) -> None:
    if in_channels == _LIBRARY_CHANNELS:
        return
    first: Any = layer.Conv2d(in_channels, features[0].out_channels, kernel_size=3, padding=1)
    nn.init.kaiming_normal_(first.weight, mode="fan_out", nonlinearity="relu")
    nn.init.zeros_(first.bias)
    features[0] = first


def _classifier(widths: Sequence[int], num_classes: int, *, batch_norm: bool) -> nn.Sequential:
    hidden: list[nn.Module] = []
    for before, after in pairwise(widths):
        norm = [layer.BatchNorm1d(after)] if batch_norm else []
        hidden += [layer.Linear(before, after), *norm, neuron.LIFNode()]
    return nn.Sequential(*hidden, layer.Linear(widths[-1], num_classes))


def _initialise_convolutions(features: nn.Sequential) -> None:
    """Initialise as the library does; its linear layers (0.01 wide) would never make a neuron fire without norms."""
    for module in features:
        if isinstance(module, nn.Conv2d) and module.bias is not None:
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            nn.init.zeros_(module.bias)
