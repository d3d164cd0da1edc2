"""Small networks of every form whose channels are cut, and what makes them live."""

from __future__ import annotations

from collections.abc import Sequence

import snntorch
import torch
from spikingjelly.activation_based import functional, layer, neuron
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from snncompress import Network

SIDE = 8
"""Height and width of their images, which have one channel."""


def lively(network: Network, sizes: tuple[int, ...] = (1, SIDE, SIDE), *, batch: int = 8) -> Network:
    """Return the network with a probe batch, its norms calibrated so that neurons fire."""
    generator = torch.Generator().manual_seed(1)
    norms = [(part, part.momentum) for part in network.module.modules() if isinstance(part, _BatchNorm)]
    affine = [norm for norm, _ in norms if norm.affine]
    with torch.no_grad():
        for value in network.module.parameters():
            value.mul_(1.5)
        for norm in affine:
            norm.weight.uniform_(1, 2, generator=generator)
            if norm.bias is not None:
                norm.bias.uniform_(0, 0.8, generator=generator)
        for norm, _ in norms:
            norm.momentum = None  # the mean over all batches, not a slow one
        network.module.train()
        for _ in range(3):
            network.forward(images(network, sizes, batch, generator))
            network.reset()
    for norm, momentum in norms:
        norm.momentum = momentum
    return network.with_probe(images(network, sizes, batch, generator))


def images(network: Network, sizes: tuple[int, ...], batch: int, generator: torch.Generator) -> Tensor:
    shape = (batch, *sizes) if network.time.input == "static" else (network.time.T, batch, *sizes)
    return torch.rand(shape, generator=generator) * 2 - 0.3


def jelly_block(before: int, after: int, *, groups: int = 1) -> nn.Sequential:
    conv = layer.Conv2d(before, after, 3, padding=1, groups=groups, bias=False)
    return nn.Sequential(conv, layer.BatchNorm2d(after), neuron.LIFNode(tau=1.5, v_threshold=0.5))


class Jelly(nn.Module):
    """Some blocks, and a classifier on flattened maps, all steps at once."""

    channels = 12

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.build()
        self.head = layer.Linear(self.channels * SIDE * SIDE, 10)
        functional.set_step_mode(self, "m")

    def build(self) -> None:
        raise NotImplementedError

    def body(self, x_TBCHW: Tensor) -> Tensor:
        raise NotImplementedError

    def forward(self, x_TBCHW: Tensor) -> Tensor:
        return self.head(self.body(x_TBCHW).flatten(2))


class Grouped(Jelly):
    """A convolution, a depthwise one, and one of four groups."""

    def build(self) -> None:
        self.blocks = nn.Sequential(jelly_block(1, 8), jelly_block(8, 8, groups=8), jelly_block(8, 12, groups=4))

    def body(self, x_TBCHW: Tensor) -> Tensor:
        return self.blocks(x_TBCHW)


class Joined(Jelly):
    """Two convolutions side by side, neurons on both of their maps together, and one more block."""

    channels = 10

    def build(self) -> None:
        self.left, self.right, self.both = jelly_block(1, 4)[:2], jelly_block(1, 6)[:2], jelly_block(10, 10)
        self.lif = neuron.LIFNode(tau=1.5, v_threshold=0.5)

    def body(self, x_TBCHW: Tensor) -> Tensor:
        return self.both(self.lif(torch.cat([self.left(x_TBCHW), self.right(x_TBCHW)], 2)))


class AddedToInput(Jelly):
    """What a convolution gives is added to the image, which has as many channels, or one for all."""

    channels = 6

    def __init__(self, of_image: int) -> None:
        self.__dict__["of_image"] = of_image
        super().__init__()

    def build(self) -> None:
        self.block = jelly_block(self.of_image, 6)

    def body(self, x_TBCHW: Tensor) -> Tensor:
        return self.block(x_TBCHW) + x_TBCHW


class Contained(Jelly):
    """Plain torch layers in a container that the library runs over all steps at once, and in no other way."""

    channels = 8

    def build(self) -> None:
        self.stem = layer.SeqToANNContainer(nn.Conv2d(1, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8))
        self.lif = neuron.LIFNode(tau=1.5, v_threshold=0.5)

    def body(self, x_TBCHW: Tensor) -> Tensor:
        return self.lif(self.stem(x_TBCHW))


class Scaled(Jelly):
    """A parameter of the network itself lies on the maps: a scale for each channel, or a value for each place too."""

    channels = 6

    def __init__(self, shape: Sequence[int]) -> None:
        self.__dict__["shape"] = tuple(shape)
        super().__init__()

    def build(self) -> None:
        self.first, self.scale = jelly_block(1, 6), nn.Parameter(torch.rand(self.shape) + 0.5)

    def body(self, x_TBCHW: Tensor) -> Tensor:
        return self.first(x_TBCHW) * self.scale


class FixedSize(Jelly):
    """Its own code names the number of channels of one layer."""

    channels = 8

    def build(self) -> None:
        self.first, self.second = jelly_block(1, 8), jelly_block(8, 8)

    def body(self, x_TBCHW: Tensor) -> Tensor:
        steps, batch = x_TBCHW.shape[:2]
        return self.second(self.first(x_TBCHW)).reshape(steps, batch, 8, SIDE, SIDE)


class MixedByNorm(Jelly):
    """A norm whose statistics are those of all channels together."""

    channels = 8

    def build(self) -> None:
        self.first, self.norm = jelly_block(1, 8), layer.GroupNorm(1, 8)

    def body(self, x_TBCHW: Tensor) -> Tensor:
        return self.norm(self.first(x_TBCHW))


def stepwise_net() -> nn.Module:
    """SpikingJelly's layers, one step at a time."""
    torch.manual_seed(0)
    return nn.Sequential(jelly_block(1, 8), layer.Flatten(), layer.Linear(8 * SIDE * SIDE, 10))


def leaky_net(shape: Sequence[int], channels: int = 6) -> nn.Module:
    """snnTorch neurons with a trained leak of any shape behind a convolution of 6 channels, 8 x 8 places."""
    torch.manual_seed(0)
    beta = torch.rand(tuple(shape)) * 0.3 + 0.6
    return nn.Sequential(
        nn.Conv2d(1, channels, 3, padding=1),
        nn.BatchNorm2d(channels),
        snntorch.Leaky(beta=beta, learn_beta=True, threshold=0.5, init_hidden=True),
        nn.Flatten(),
        nn.Linear(channels * SIDE * SIDE, 10),
        snntorch.Leaky(beta=0.9, init_hidden=True, output=True),
    )


def dense_leaky_net(shape: Sequence[int], hidden: int = 6) -> nn.Module:
    """The same behind a linear layer, where a leak of one axis lies on the neurons."""
    torch.manual_seed(0)
    beta = torch.rand(tuple(shape)) * 0.3 + 0.6
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(SIDE * SIDE, hidden),
        nn.BatchNorm1d(hidden),
        snntorch.Leaky(beta=beta, learn_beta=True, threshold=0.5, init_hidden=True),
        nn.Linear(hidden, 10),
        snntorch.Leaky(beta=0.9, init_hidden=True, output=True),
    )


def plain_net() -> nn.Module:
    """Two linear layers without neurons: an ANN."""
    return nn.Sequential(nn.Flatten(), nn.Linear(SIDE * SIDE, 6), nn.Linear(6, 10))


class _Scale(nn.Module):
    """A norm, then a number for each time step: a parameter of five axes, or of one that forward lays along time."""

    def __init__(self, num_steps: int, channels: int, *, flat: bool) -> None:
        super().__init__()
        self.norm = layer.BatchNorm2d(channels, step_mode="m")
        self.scale = nn.Parameter(torch.linspace(0.8, 1.2, num_steps).reshape(-1, *[1] * (0 if flat else 4)))

    def forward(self, x_TBCHW: Tensor) -> Tensor:
        return self.norm(x_TBCHW) * self.scale.view(-1, 1, 1, 1, 1)


STEPPED = {
    "library": layer.TemporalEffectiveBatchNorm2d,
    "own": lambda steps, channels: _Scale(steps, channels, flat=False),
    "flat": lambda steps, channels: _Scale(steps, channels, flat=True),
}
"""Norms of six channels with a scale for each time step."""


class Stepped(nn.Module):
    """A convolution of six channels, and a norm that scales each step by a number of its own."""

    def __init__(self, kind: str, num_steps: int) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first = layer.Conv2d(1, 6, 3, padding=1, bias=False)
        self.norm = STEPPED[kind](num_steps, 6)
        self.lif = neuron.LIFNode(tau=1.5, v_threshold=0.5)
        self.head = layer.Linear(6 * SIDE * SIDE, 10)
        functional.set_step_mode(self, "m")

    def forward(self, x_TBCHW: Tensor) -> Tensor:
        return self.head(self.lif(self.norm(self.first(x_TBCHW))).flatten(2))


class NormEachStep(nn.Module):
    """snnTorch's batch norm through time: a norm for each of eight steps, of which it takes the first."""

    def __init__(self, num_steps: int) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.num_steps = num_steps
        self.conv = nn.Conv2d(1, 8, 3, padding=1, bias=False)
        self.norms = snntorch.BatchNormTT2d(8, time_steps=8)
        self.lif = snntorch.Leaky(beta=0.8, threshold=0.3, init_hidden=True)
        self.head = nn.Linear(8 * SIDE * SIDE, 10)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        steps = range(self.num_steps)
        return torch.stack([self.head(self.lif(self.norms[t](self.conv(x_BCHW))).flatten(1)) for t in steps])


class Unflattened(nn.Module):
    """A linear layer whose 64 outputs become four maps of 4 x 4 places."""

    def __init__(self, sizes: Sequence[int]) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.sizes = tuple(sizes)
        self.first, self.conv, self.head = nn.Linear(64, 64), nn.Conv2d(4, 8, 3, padding=1), nn.Linear(128, 10)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        maps = torch.relu(self.first(x_BCHW.flatten(1))).unflatten(1, self.sizes)
        return self.head(torch.relu(self.conv(maps)).flatten(1))


class Heads(nn.Module):
    """The mean over four heads of four channels each."""

    def __init__(self, sizes: Sequence[int]) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.sizes = tuple(sizes)
        self.conv, self.head = nn.Conv2d(1, 16, 3, padding=1), nn.Linear(4 * SIDE * SIDE, 10)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        return self.head(torch.relu(self.conv(x_BCHW)).unflatten(1, self.sizes).mean(1).flatten(1))
