"""The networks of the speed benchmark, alive: their norms have seen data, and neurons of every layer fire."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from snncompress import Host, Inputs, Network
from snncompress.network import Output, open_architecture
from snncompress.run.losses import cross_entropy_each_step

NUM_CLASSES = 10
RATE = 0.15
"""Firing rate that the neurons of a network without norms are brought to, by scaling the weights before them."""


@dataclass(frozen=True)
class Case:
    """Name one network and what it is given.

    Attributes:
        title: as tables say it.
        library: the distribution whose way is the base line.
        use: the architecture.
        settings: of the architecture.
        image: channels, height, width.
        timesteps: T.
        encode: ``direct`` presents the same image at each step; ``poisson`` draws spikes anew.
        share: part of the rounds that is run; less where one takes long.
        equality_batch: samples on which results are compared.
    """

    title: str
    library: str
    use: str
    settings: Mapping[str, Any]
    image: tuple[int, int, int]
    timesteps: int = 4
    encode: str = "direct"
    share: float = 1.0
    equality_batch: int = 64


def _spikformer(width: int, depth: int, image: tuple[int, int, int], **others: Any) -> Case:
    size = f"{image[1]}x{image[2]}x{image[0]}"
    title = f"Spikformer {width}x{depth}, {size}" + (", Poisson" if others.get("encode") == "poisson" else "")
    settings = {"embed_dims": width, "depths": depth, "num_heads": 12 if width % 12 == 0 else 4}
    return Case(title, "spikingjelly", "spikingjelly.spikformer", settings, image, **others)


_RGB, _DIGIT = (3, 32, 32), (1, 16, 16)
_VGG: Mapping[str, Any] = {"channels": (32, 32, "M", 64, 64, "M", 128, 128, "M")}
_TUTORIAL: Mapping[str, Any] = {"padding": "valid", "beta": 0.5, "threshold": 0.5, "surrogate": "fast_sigmoid"}
_TUTORIAL_CONVNET = Case("tutorial convnet, 28x28x1", "snntorch", "snntorch.convnet", _TUTORIAL, (1, 28, 28), 25)

CASES: Mapping[str, Case] = {
    "spikformer-64x2": _spikformer(64, 2, _RGB),
    "spikformer-64x2-poisson": _spikformer(64, 2, _RGB, encode="poisson"),
    "spikformer-64x2-digits": _spikformer(64, 2, _DIGIT),
    "spikformer-128x2": _spikformer(128, 2, _RGB),
    "spikformer-384x4": _spikformer(384, 4, _RGB, share=0.3, equality_batch=8),
    "vgg": Case("spiking VGG, 32 to 128 channels, 32x32x3", "spikingjelly", "spikingjelly.spiking_vgg", _VGG, _RGB),
    "sew-resnet18": Case(
        "SEW-ResNet18, 16 to 128 channels, 32x32x3", "spikingjelly", "spikingjelly.sew_resnet", {"width": 16}, _RGB
    ),
    "convnet-tutorial": _TUTORIAL_CONVNET,
    "convnet-tutorial-poisson": replace(
        _TUTORIAL_CONVNET, title=f"{_TUTORIAL_CONVNET.title}, Poisson", encode="poisson"
    ),
    "convnet": Case("convnet as it comes, 28x28x1", "snntorch", "snntorch.convnet", {}, (1, 28, 28), 25, share=0.5),
}


@dataclass(frozen=True)
class Live:
    """A network whose neurons fire, and a batch for it.

    Attributes:
        case: what it is.
        network: the network, going its library's own way.
        x_TBCHW: the encoded batch.
        labels_B: its classes.
    """

    case: Case
    network: Network
    x_TBCHW: Tensor
    labels_B: Tensor

    def loss(self, output: Output) -> Tensor:
        """Return the cross entropy: of the mean over time, or of each step's membranes where they are recorded."""
        labels_B = self.labels_B[: output.logits.shape[1]]
        if output.membranes is not None:
            return cross_entropy_each_step(output.membranes, labels_B)
        return nn.functional.cross_entropy(output.mean(), labels_B)

    def training_step(self, network: Network, x_TBCHW: Tensor | None = None) -> None:
        """Run forward, loss and backward."""
        network.module.train()
        network.module.zero_grad(set_to_none=True)
        self.loss(network.forward(self.x_TBCHW if x_TBCHW is None else x_TBCHW)).backward()
        network.reset()

    def inference(self, network: Network, x_TBCHW: Tensor | None = None) -> None:
        """Run forward in evaluation, without gradients."""
        network.module.eval()
        with torch.no_grad():
            network.forward(self.x_TBCHW if x_TBCHW is None else x_TBCHW)
        network.reset()


def live(case: Case, batch: int, *, calibrate: int | None = None) -> Live:
    """Build a network, bring it to life on the first ``calibrate`` samples of a batch (all of it), and return both."""
    host = Host.from_environment()
    torch.manual_seed(0)
    settings = host.catalogue["architectures"][case.use](**case.settings)
    inputs = Inputs(case.image, NUM_CLASSES)
    network = open_architecture(settings.resolved(inputs, case.timesteps), host, timesteps=case.timesteps)
    generator = torch.Generator().manual_seed(1)
    encoder = host.catalogue["encoders"][case.encode]()
    x_TBCHW = encoder.encode(_images(batch, case.image, generator), case.timesteps, generator)
    labels_B = torch.randint(0, NUM_CLASSES, (batch,), generator=generator)
    _enliven(network, x_TBCHW[:, :calibrate])
    return Live(case, network, x_TBCHW, labels_B)


def _images(batch: int, image: tuple[int, int, int], generator: torch.Generator) -> Tensor:
    """Draw smooth images in 0..1, with a little noise."""
    channels, height, width = image
    coarse = torch.randn(batch, channels, height // 4, width // 4, generator=generator)
    smooth = nn.functional.interpolate(coarse, size=(height, width), mode="bilinear")
    return torch.sigmoid(smooth + 0.3 * torch.randn(smooth.shape, generator=generator))


def _enliven(network: Network, x_TBCHW: Tensor) -> None:
    norms = [part for part in network.module.modules() if isinstance(part, nn.modules.batchnorm._BatchNorm)]
    with torch.no_grad():
        if norms:
            _calibrate(network, norms, x_TBCHW)
        else:
            network.module.eval()
            for weights, neuron in _weights_and_neurons(network):
                _scale(network, weights, neuron, x_TBCHW[:, :16])


def _calibrate(network: Network, norms: list[Any], x_TBCHW: Tensor) -> None:
    """Move scales and shifts off their initial values, as training does, and take the statistics of the batch."""
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.weight.uniform_(0.8, 1.6)
        norm.bias.uniform_(0.2, 0.8)
        norm.momentum = None  # the statistics of what it has seen, whole
    network.module.train()
    network.forward(x_TBCHW)
    network.reset()
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum


def _weights_and_neurons(network: Network) -> Iterator[tuple[nn.Module, str]]:
    """Yield each neuron's path and the layer with weights before it, in the order of a sequential network."""
    neurons = {item.module: item.path for item in network.neurons}
    before: nn.Module | None = None
    for part in network.module.children():
        if part in neurons and before is not None:
            yield before, neurons[part]
        before = part if isinstance(part, nn.Conv2d | nn.Linear) else before


def _scale(network: Network, layer: Any, neuron: str, x_TBCHW: Tensor) -> None:
    """Multiply a layer's weights so that the neuron behind it fires at about ``RATE``."""
    low, high, initial = 0.25, 64.0, layer.weight.clone()
    for _ in range(10):
        middle = (low * high) ** 0.5
        layer.weight.copy_(initial * middle)
        low, high = (middle, high) if firing_rates(network, x_TBCHW)[neuron] < RATE else (low, middle)


def firing_rates(network: Network, x_TBCHW: Tensor) -> dict[str, float]:
    """Return each neuron's mean number of spikes a step, in the mode that the network is in."""
    seen: dict[str, list[float]] = {}

    def watch(path: str, spikes: Any) -> Any:
        return lambda module, _, output: seen.setdefault(path, []).append(float(spikes(module, output).mean()))

    handles = [item.module.register_forward_hook(watch(item.path, item.backend.spikes)) for item in network.neurons]
    with torch.no_grad():
        network.forward(x_TBCHW)
    network.reset()
    for handle in handles:
        handle.remove()
    return {path: sum(rates) / len(rates) for path, rates in seen.items()}
