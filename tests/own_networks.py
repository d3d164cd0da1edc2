"""Small real networks that tests are made of, importable so that other processes can build them too."""

from __future__ import annotations

import snntorch
import snntorch.functional
import torch
from snntorch import surrogate, utils
from spikingjelly.activation_based import functional, layer, neuron
from torch import Tensor, nn


class JellyNet(nn.Module):
    """A user's SpikingJelly network in multi-step mode."""

    def __init__(self, features: int = 64, hidden: int = 32, classes: int = 10) -> None:
        super().__init__()
        self.fc1 = layer.Linear(features, hidden)
        self.norm = nn.BatchNorm1d(hidden)
        self.lif1 = neuron.LIFNode(tau=2.0)
        self.fc2 = layer.Linear(hidden, classes)
        functional.set_step_mode(self, "m")

    def forward(self, x_TBCHW: Tensor) -> Tensor:
        hidden = self.fc1(x_TBCHW.flatten(2))
        shape = hidden.shape
        hidden = self.norm(hidden.flatten(0, 1)).reshape(shape)
        return self.fc2(self.lif1(hidden))


class LoopNet(nn.Module):
    """A user's snnTorch network that loops over time within forward and returns records."""

    def __init__(self, hidden: int = 48, num_steps: int = 6, beta: float = 0.9) -> None:
        super().__init__()
        self.num_steps = num_steps
        self.fc1 = nn.Linear(64, hidden)
        self.lif1 = snntorch.Leaky(beta=beta, spike_grad=surrogate.fast_sigmoid(slope=25))
        self.fc2 = nn.Linear(hidden, 10)
        self.lif2 = snntorch.Leaky(beta=beta, spike_grad=surrogate.fast_sigmoid(slope=25))

    def forward(self, x_BCHW: Tensor) -> tuple[Tensor, Tensor]:
        mem1, mem2 = torch.zeros(0), torch.zeros(0)
        mem1, mem2 = mem1.to(x_BCHW), mem2.to(x_BCHW)
        spikes, membranes = [], []
        for _ in range(self.num_steps):
            spike1, mem1 = self.lif1(self.fc1(x_BCHW.flatten(1)), mem1)
            spike2, mem2 = self.lif2(self.fc2(spike1), mem2)
            spikes.append(spike2)
            membranes.append(mem2)
        return torch.stack(spikes), torch.stack(membranes)


def jelly_chain(hidden: int = 16) -> nn.Module:
    """Two layers of SpikingJelly LIF neurons, for surgery."""
    chain = nn.Sequential(
        layer.Linear(6, hidden), neuron.LIFNode(tau=2.0), layer.Linear(hidden, 4), neuron.LIFNode(tau=2.0)
    )
    functional.set_step_mode(chain, "m")
    return chain


def summed_loss(output: object, labels_B: Tensor) -> Tensor:
    """A user's own loss: cross entropy on the summed output."""
    return nn.functional.cross_entropy(output.per_step().sum(0), labels_B)


def recurrent_net(hidden: int = 12) -> nn.Module:
    """snnTorch neurons that keep their state, the first with recurrent weights and a leak per neuron."""
    beta = torch.full((hidden,), 0.9)
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(64, hidden),
        snntorch.RLeaky(beta=beta, learn_beta=True, linear_features=hidden, all_to_all=True, init_hidden=True),
        nn.Linear(hidden, 10),
        snntorch.Leaky(beta=0.9, init_hidden=True),
    )


class IntegrateNet(nn.Module):
    """One identity layer before SpikingJelly IF neurons, so that spikes can be counted by hand."""

    def __init__(self, features: int = 4) -> None:
        super().__init__()
        self.fc = layer.Linear(features, features, bias=False)
        self.neuron = neuron.IFNode(v_threshold=1.0, v_reset=None)
        with torch.no_grad():
            self.fc.weight.copy_(torch.eye(features))
        functional.set_step_mode(self, "m")

    def forward(self, x_TBCHW: Tensor) -> Tensor:
        return self.neuron(self.fc(x_TBCHW.flatten(2)))


class Lazy(nn.Module):
    """A network whose first layer finds its size at the first batch."""

    def __init__(self) -> None:
        super().__init__()
        self.fc1 = nn.LazyLinear(10)

    def forward(self, x_BC: Tensor) -> Tensor:
        return self.fc1(x_BC)


class Scaled(JellyNet):
    """A network with a number that neither its tensors nor its text show."""

    scale = 1.0

    def forward(self, x_TBCHW: Tensor) -> Tensor:
        return self.scale * super().forward(x_TBCHW)


HIDDEN = 24
NEURONS = {
    "Leaky": lambda size: snntorch.Leaky(beta=0.9, init_hidden=True),
    "Lapicque": lambda size: snntorch.Lapicque(beta=0.9, threshold=0.02, init_hidden=True),
    "Synaptic": lambda size: snntorch.Synaptic(alpha=0.5, beta=0.8, init_hidden=True),
    "Alpha": lambda size: snntorch.Alpha(alpha=0.9, beta=0.5, threshold=0.1, init_hidden=True),
    "RLeaky": lambda size: snntorch.RLeaky(beta=0.9, linear_features=size, init_hidden=True),
    "RSynaptic": lambda size: snntorch.RSynaptic(alpha=0.5, beta=0.8, linear_features=size, init_hidden=True),
    "SLSTM": lambda size: snntorch.SLSTM(size, size, threshold=0.1, init_hidden=True),
}


class StepwiseNet(nn.Sequential):
    """A user's snnTorch network with hidden states, run step by step, of one class of neuron."""

    def __init__(self, kind: str) -> None:
        make = NEURONS[kind]
        super().__init__(nn.Flatten(), nn.Linear(64, HIDDEN), make(HIDDEN), nn.Linear(HIDDEN, 10), make(10))


class DeltaNet(nn.Sequential):
    """A user's network whose last neuron fires on changes; it returns its states besides the spikes."""

    def __init__(self) -> None:
        super().__init__(
            nn.Flatten(), nn.Linear(64, 10), snntorch.DeltaLeaky(delta_threshold=0.1, beta=0.9, init_hidden=True)
        )


class HiddenStates(nn.Module):
    """Hidden states and a loop in forward, which clears them with the library's own reset, as its tutorials do."""

    def __init__(self, num_steps: int = 4) -> None:
        super().__init__()
        self.num_steps = num_steps
        self.fc1, self.lif1 = nn.Linear(64, HIDDEN), snntorch.Leaky(beta=0.9, init_hidden=True)
        self.fc2, self.lif2 = nn.Linear(HIDDEN, 10), snntorch.Synaptic(alpha=0.5, beta=0.9, init_hidden=True)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        utils.reset(self)
        return torch.stack([self.lif2(self.fc2(self.lif1(self.fc1(x_BCHW.flatten(1))))) for _ in range(self.num_steps)])


class HiddenLoop(nn.Module):
    """A convolutional LSTM and a loop in forward that hands states around, begun by the library's ``reset_mem``."""

    def __init__(self, num_steps: int = 4) -> None:
        super().__init__()
        self.num_steps = num_steps
        self.lstm = snntorch.SConv2dLSTM(1, 4, 3, threshold=0.05, max_pool=2)
        self.fc, self.lif = nn.Linear(64, 10), snntorch.Leaky(beta=0.9)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        syn, mem = self.lstm.reset_mem()
        membrane, spikes = self.lif.reset_mem(), []
        for _ in range(self.num_steps):
            spike, syn, mem = self.lstm(x_BCHW, syn, mem)
            spike, membrane = self.lif(self.fc(spike.flatten(1)), membrane)
            spikes.append(spike)
        return torch.stack(spikes)


class KindNet(nn.Sequential):
    """A user's SpikingJelly network, run step by step, of one class of neuron of that library."""

    def __init__(self, kind: str) -> None:
        super().__init__(layer.Flatten(), layer.Linear(64, HIDDEN), getattr(neuron, kind)(), layer.Linear(HIDDEN, 10))


class Tied(nn.Module):
    """Two layers that share one matrix, which is used the other way round as well; then a classifier."""

    def __init__(self, width: int = 16) -> None:
        super().__init__()
        self.encode = nn.Linear(width, width, bias=False)
        self.again = nn.Linear(width, width, bias=False)
        self.again.weight = self.encode.weight
        self.head = nn.Linear(width, 10)

    def forward(self, x: Tensor) -> Tensor:
        hidden = torch.relu(self.encode(x.flatten(1)))
        return self.head(torch.relu(self.again(hidden)) + hidden @ self.encode.weight)


def untied_layers(width: int = 4) -> nn.Module:
    """Two layers of one shape."""
    return nn.Sequential(nn.Linear(width, width), nn.Linear(width, width))


def weight_normed(width: int = 4) -> nn.Module:
    """A layer whose weight a parametrisation computes from its length and its direction."""
    return nn.Sequential(
        nn.Flatten(), nn.utils.parametrizations.weight_norm(nn.Linear(width, width)), nn.Linear(width, 3)
    )


class Population(nn.Module):
    """A user's snnTorch network with ten outputs for each of ten classes; it returns spikes and membranes."""

    def __init__(self, num_steps: int = 5) -> None:
        super().__init__()
        self.num_steps = num_steps
        self.fc1, self.lif1 = nn.Linear(64, 32), snntorch.Leaky(beta=0.9)
        self.fc2, self.lif2 = nn.Linear(32, 100), snntorch.Leaky(beta=0.9)

    def forward(self, x_BCHW: Tensor) -> tuple[Tensor, Tensor]:
        membrane1, membrane2, records = self.lif1.reset_mem(), self.lif2.reset_mem(), []
        for _ in range(self.num_steps):
            spike1, membrane1 = self.lif1(self.fc1(x_BCHW.flatten(1)), membrane1)
            spike2, membrane2 = self.lif2(self.fc2(spike1), membrane2)
            records.append((spike2, membrane2))
        spikes, membranes = zip(*records, strict=True)
        return torch.stack(spikes), torch.stack(membranes)


def counted_loss(output: object, labels_B: Tensor) -> Tensor:
    """A user's function around a loss of snnTorch."""
    return snntorch.functional.ce_count_loss()(output.per_step(), labels_B)


CRITERION = snntorch.functional.ce_rate_loss()
"""A loss of snnTorch, which takes spikes and no Output."""


def halved_loss(output: object, labels_B: Tensor) -> Tensor:
    """Half of ``summed_loss``, so that weights trained by it differ."""
    return summed_loss(output, labels_B) / 2


def loss_of_each_sample(output: object, labels_B: Tensor) -> Tensor:
    """A user's loss that forgets to take the mean."""
    return nn.functional.cross_entropy(output.mean(), labels_B, reduction="none")


class Gained(nn.Module):
    """A convolution, a gain and a scale for each of its channels, a matrix over channels, one over time, a classifier."""

    def __init__(self, channels: int = 8, num_steps: int = 4) -> None:
        super().__init__()
        self.conv = layer.Conv2d(1, channels, 3, padding=1)
        self.gain = nn.Parameter(torch.ones(channels, 1, 1, 1))
        self.scale = nn.Parameter(torch.full((channels, 1, 1), 0.5))
        self.places = nn.Parameter(torch.full((channels, 8, 8), 0.9))
        self.mixing = nn.Parameter(torch.rand(channels, channels))
        self.over_time = nn.Linear(num_steps, num_steps)
        self.lif = neuron.LIFNode(tau=2.0, v_threshold=0.2)
        self.head = layer.Linear(channels * 64, 10)
        functional.set_step_mode(self, "m")

    def forward(self, x_TBCHW: Tensor) -> Tensor:
        maps = self.conv(x_TBCHW) * self.gain[..., 0] * self.scale * self.places
        mixed = torch.einsum("oc,tbchw->tbohw", self.mixing, self.over_time(maps.movedim(0, -1)).movedim(-1, 0))
        return self.head(self.lif(mixed).flatten(2))
