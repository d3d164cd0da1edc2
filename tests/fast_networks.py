"""Small networks of every form for the tests of the fast path, and their outcomes."""

from __future__ import annotations

from typing import Any

import torch
from spikingjelly.activation_based import functional, layer, neuron
from torch import Tensor, nn

from snncompress import Network, Time, declare

T, B, SIDE = 4, 8, 8


class Base(nn.Module):
    """A convolution and a norm, something of one's own, and a classifier that averages over places."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.build()
        self.head = layer.Linear(6, 5)
        functional.set_step_mode(self, "m")
        with torch.no_grad():
            for value in self.parameters():
                value.mul_(1.5)

    def build(self) -> None:
        raise NotImplementedError

    def conv(self, channels: int, *, bias: bool = False, **settings: Any) -> nn.Module:
        return layer.Conv2d(channels, 6, 3, padding=1, bias=bias, **settings)

    def read(self, x_TBCHW: Tensor) -> Tensor:
        return self.head(x_TBCHW.mean((3, 4)))


def lif() -> nn.Module:
    """Return neurons of one rule, which is compiled once."""
    return neuron.LIFNode(tau=1.5, v_threshold=0.5)


class Residual(Base):
    """The image itself is added behind the first neurons, and spikes behind the second."""

    def build(self) -> None:
        self.conv1, self.norm1, self.lif1 = self.conv(1, bias=True), layer.BatchNorm2d(6), lif()
        self.conv2, self.norm2, self.lif2 = (
            self.conv(6),
            layer.BatchNorm2d(6),
            neuron.ParametricLIFNode(init_tau=1.7, v_threshold=0.5),
        )

    def forward(self, x_TBCHW: Tensor) -> Tensor:
        first = self.lif1(self.norm1(self.conv1(x_TBCHW))) + x_TBCHW
        return self.read(self.lif2(self.norm2(self.conv2(first))) + first)


class TwoConsumers(Residual):
    """The norm's output goes into the neuron and past it."""

    def forward(self, x_TBCHW: Tensor) -> Tensor:
        values = self.norm1(self.conv1(x_TBCHW))
        first = self.lif1(values) + 0.1 * values
        return self.read(self.lif2(self.norm2(self.conv2(first))))


class InPlace(Residual):
    """What the norm gives is changed in place before the neuron takes it, and so are spikes."""

    def forward(self, x_TBCHW: Tensor) -> Tensor:
        values = self.norm1(self.conv1(x_TBCHW))
        values += 0.3
        spikes = self.lif1(values)
        spikes += 0.25
        return self.read(self.lif2(self.norm2(self.conv2(spikes))))


class Shared(Base):
    """Convolution, norm and neuron are each called twice."""

    def build(self) -> None:
        self.stem, self.body, self.norm, self.lif = self.conv(1), self.conv(6), layer.BatchNorm2d(6), neuron.IFNode()

    def forward(self, x_TBCHW: Tensor) -> Tensor:
        first = self.lif(self.norm(self.stem(x_TBCHW)))
        second = self.lif(self.norm(self.body(first)))
        return self.read(self.norm(self.body(second)) + first)


class OtherNorms(Base):
    """Norms without affine or statistics, one behind a pool, one of a plain torch layer, an odd padding."""

    def build(self) -> None:
        self.conv1, self.norm1 = self.conv(1, padding_mode="circular"), layer.BatchNorm2d(6)
        self.conv2, self.norm2 = self.conv(6), layer.BatchNorm2d(6, affine=False)
        self.conv3, self.pool, self.norm3 = self.conv(6), layer.MaxPool2d(2), layer.BatchNorm2d(6, momentum=None)
        self.conv4, self.norm4 = self.conv(6, bias=True), nn.BatchNorm2d(6, track_running_stats=False)
        self.lifs = nn.ModuleList(lif() for _ in range(4))

    def forward(self, x_TBCHW: Tensor) -> Tensor:
        x = self.lifs[0](self.norm1(self.conv1(x_TBCHW)))
        x = self.lifs[1](self.norm2(self.conv2(x)))
        x = self.lifs[2](self.norm3(self.pool(self.conv3(x))))
        x = self.lifs[3](functional.seq_to_ann_forward(self.conv4(x), self.norm4))
        return self.read(x)


class Flat(Base):
    """Linear layers with norms over [T, B, C], and one over tokens with a pointwise convolution."""

    def build(self) -> None:
        self.fc1, self.norm1, self.lif1 = layer.Linear(64, B), layer.BatchNorm1d(B), lif()
        self.fc2, self.norm2 = layer.Linear(B, 16), layer.BatchNorm1d(16)
        self.mix = nn.Sequential(layer.Conv1d(4, 6, 1), layer.BatchNorm1d(6), lif())

    def forward(self, x_TBCHW: Tensor) -> Tensor:
        x = self.norm2(self.fc2(self.lif1(self.norm1(self.fc1(x_TBCHW.flatten(2))))))
        return self.head(self.mix(x.unflatten(2, (4, 4))).mean(3))


class SumOverTime(Residual):
    """The steps are added up in front of the first neurons: one step cannot stand for all."""

    def forward(self, x_TBCHW: Tensor) -> Tensor:
        x = x_TBCHW.sum(0, keepdim=True).expand(T, *x_TBCHW.shape[1:]) * x_TBCHW
        return super().forward(x)


class StepNumber(Residual):
    """Every step adds something of its own to the image."""

    def forward(self, x_TBCHW: Tensor) -> Tensor:
        steps = torch.linspace(0.5, 1, T, dtype=x_TBCHW.dtype).reshape(T, 1, 1, 1, 1)
        return super().forward(x_TBCHW * steps)


class OwnNeuron(neuron.IFNode):
    """A user's neuron that fires at an offset, of which no rule is known."""

    def neuronal_fire(self) -> Tensor:
        return self.surrogate_function(self.v - self.v_threshold - 0.1)


class PartlyUnknown(Residual):
    def build(self) -> None:
        super().build()
        self.lif2 = OwnNeuron()


class Dropping(Residual):
    def build(self) -> None:
        super().build()
        self.drop1, self.drop2 = nn.Dropout(0.3), layer.Dropout(0.4)

    def forward(self, x_TBCHW: Tensor) -> Tensor:
        first = self.drop2(self.lif1(self.norm1(self.conv1(self.drop1(x_TBCHW)))))
        return self.read(self.lif2(self.norm2(self.conv2(first))))


OWN = [Residual, TwoConsumers, InPlace, Shared, OtherNorms, Flat, SumOverTime, StepNumber, PartlyUnknown, Dropping]


def own(kind: type[nn.Module], host: Any) -> Network:
    return calibrated(declare(kind(), Time("multi_step", T), host=host), (1, SIDE, SIDE))


def images(sizes: tuple[int, ...], *, direct: bool, steps: int = T, batch: int = B, seed: int = 1) -> Tensor:
    """Return x_TBCHW in float64, the same image at each step where ``direct``."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.rand(1 if direct else steps, batch, *sizes, generator=generator, dtype=torch.float64) * 2 - 0.3
    return x.expand(steps, *x.shape[1:])


def calibrated(network: Network, sizes: tuple[int, ...]) -> Network:
    """Return a copy in float64 whose norms have seen data."""
    network = network.in_float64()
    network.module.train()
    torch.manual_seed(5)
    with torch.no_grad():
        for seed in range(3):
            network.forward(images(sizes, direct=False, steps=network.time.T, seed=seed))
            network.reset()
    return network


def outcome(network: Network, x: Tensor, *, training: bool) -> dict[str, Tensor]:
    """Return logits, gradients and buffers of one run, the random numbers the same each time."""
    network.module.train(training)
    network.module.zero_grad()
    torch.manual_seed(11)
    with torch.set_grad_enabled(training):
        logits = network.forward(x).logits
        if training:
            weights = torch.randn(logits.shape, generator=torch.Generator().manual_seed(3), dtype=logits.dtype)
            (logits * weights).sum().backward()
    network.reset()
    gradients = {f"gradient of {name}": value.grad for name, value in network.module.named_parameters()}
    buffers = {name: value.detach().clone() for name, value in network.module.named_buffers()}
    return {"logits": logits.detach(), **{name: g.clone() for name, g in gradients.items() if g is not None}, **buffers}


def assert_same(found: dict[str, Tensor], expected: dict[str, Tensor], tolerance: float = 1e-9) -> None:
    assert found.keys() == expected.keys()
    largest = (
        max(float(value.abs().max()) for name, value in expected.items() if name.startswith("gradient"))
        if any(name.startswith("gradient") for name in expected)
        else 1.0
    )
    for name, value in expected.items():
        scale = largest if name.startswith("gradient") else max(1.0, float(value.abs().max()))
        gap = float((found[name].double() - value.double()).abs().max())
        assert gap <= tolerance * scale, f"{name}: {gap:.1e}"
