"""Networks that look ordinary and are not what they declare; importable, so that a pipeline can name them."""

from __future__ import annotations

import itertools
import random

import numpy as np
import torch
from spikingjelly.activation_based import functional, layer, neuron, surrogate
from torch import Tensor, nn

_NUMBERS = itertools.count()


class Reservoir(nn.Module):
    """Fixed random connections into firing neurons and a trained read-out; ``keep`` says where the connections are kept."""

    def __init__(self, keep: str = "attribute") -> None:
        super().__init__()
        self.keep(keep, torch.randn(64, 48) * 0.3)
        self.lif, self.out = neuron.LIFNode(tau=1.5, v_threshold=0.3), layer.Linear(48, 10)
        functional.set_step_mode(self, "m")

    def forward(self, x_TBCHW: Tensor) -> Tensor:
        return self.out(self.lif(self._projected(x_TBCHW.flatten(2))))

    def keep(self, keep: str, drawn: Tensor) -> None:  # noqa: C901 - one line for each way
        """Keep the connections, drawn or counted."""
        match keep:
            case "attribute":
                self.connections = drawn
            case "list":
                self.parts = [drawn]
            case "numpy":
                self.connections = np.random.randn(64, 48).astype(np.float32)  # noqa: NPY002 - as users do
            case "not stored":
                self.register_buffer("connections", drawn, persistent=False)
            case "closure":
                self.project = lambda x: x @ drawn
            case "number":
                self.connections, self.scale = torch.full((64, 48), 0.1), 1 + random.random()  # noqa: S311 - as users do
            case "buffer":
                self.register_buffer("connections", drawn)
            case "first call":
                self.connections = None
            case "counted":
                self.connections = torch.full((64, 48), 0.01 * next(_NUMBERS))
            case "structure":
                self.register_buffer("connections", drawn)
                self.more = nn.ModuleList(nn.Linear(1, 1) for _ in range(next(_NUMBERS)))

    def _projected(self, x_TBC: Tensor) -> Tensor:
        if hasattr(self, "project"):
            return self.project(x_TBC)
        if hasattr(self, "parts"):
            return x_TBC @ self.parts[0]
        if self.connections is None:
            self.connections = torch.randn(64, 48) * 0.3
        held = torch.as_tensor(self.connections).to(x_TBC)
        return getattr(self, "scale", 1.0) * (x_TBC @ held)


class Keeper(nn.Module):
    """A neuron written by hand, whose state is cleared by a method of a name of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.membrane = None
        self.spike = surrogate.Sigmoid()

    def clear(self) -> None:
        self.membrane = None

    def forward(self, x: Tensor) -> Tensor:
        before = 0.0 if self.membrane is None or self.membrane.shape != x.shape else self.membrane
        charged = 0.9 * before + x
        spike = self.spike(charged - 1.0)
        self.membrane = (charged * (1 - spike)).detach()
        return spike


class KeepsState(nn.Module):
    """Loops in forward over a neuron that is never cleared: a module of its own, or the network itself."""

    def __init__(self, *, itself: bool = False) -> None:
        super().__init__()
        self.itself, self.last = itself, None
        self.fc1, self.keeper, self.fc2 = nn.Linear(64, 32), Keeper(), nn.Linear(32, 10)
        with torch.no_grad():
            self.fc1.weight.fill_(0.02)  # about 0.64 a step: it fires at every second one

    def forward(self, x_TBCHW: Tensor) -> Tensor:
        if self.itself:
            self.keeper.clear()
        hidden = [self.fc2(self.keeper(self.fc1(x_BCHW.flatten(1)))) for x_BCHW in x_TBCHW]
        if self.itself:
            before, self.last = self.last, hidden[-1].detach()
            hidden[0] = hidden[0] if before is None else hidden[0] + before
        return torch.stack(hidden)


class FiresOnce(neuron.IFNode):
    """A library's neuron with one more attribute, which the library does not clear."""

    fired: Tensor | None = None

    def multi_step_forward(self, x_seq: Tensor) -> Tensor:
        v, out = torch.zeros_like(x_seq[0]), []
        fired = torch.zeros_like(v) if self.fired is None or self.fired.shape != v.shape else self.fired
        for x in x_seq:
            v = v + (1 - fired) * x
            spike = self.surrogate_function(v - self.v_threshold)
            fired = (fired + spike.detach()).clamp(max=1)
            v = v * (1 - spike)
            out.append(spike)
        self.fired = fired
        return torch.stack(out)


class Noisy(nn.Module):
    """Adds noise: from the global generators, from one of its own, or from one that begins anew at each call."""

    def __init__(self, generator: str = "global") -> None:
        super().__init__()
        self.kind, self.own = generator, torch.Generator().manual_seed(0)
        self.fc = nn.Linear(64, 10)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        if self.kind == "seeded":
            self.own.manual_seed(0)
        generator = None if self.kind == "global" else self.own
        x_BC = x_BCHW.flatten(1)
        return self.fc(x_BC + torch.rand(x_BC.shape, generator=generator))


class InPlace(nn.Module):
    """Normalises what it is given in place."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(64, 10)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        x_BCHW.sub_(0.5)
        return self.fc(x_BCHW.flatten(1))


class Loop(nn.Module):
    """Loops ``num_steps`` times over a still image; returns every step, time or batch first, or their mean."""

    def __init__(self, num_steps: int = 10, layout: str = "time first") -> None:
        super().__init__()
        self.num_steps, self.layout = num_steps, layout
        self.fc1, self.lif, self.fc2 = nn.Linear(64, 32), neuron.LIFNode(), nn.Linear(32, 10)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        steps = torch.stack([self.fc2(self.lif(self.fc1(x_BCHW.flatten(1)))) for _ in range(self.num_steps)])
        return {"time first": steps, "batch first": steps.transpose(0, 1), "mean": steps.mean(0)}[self.layout]


class SinglePrecision(nn.Module):
    """A network that cannot run in float64; ``how`` says which line of it makes float32."""

    def __init__(self, how: str = "float()") -> None:
        super().__init__()
        self.how = how
        self.fc1, self.lif, self.fc2 = nn.Linear(64, 24), neuron.LIFNode(tau=1.5, v_threshold=0.3), nn.Linear(24, 10)
        self.blur, self.identity = torch.full((1, 1, 3, 3), 1 / 9), np.eye(64, dtype=np.float32)
        functional.set_step_mode(self, "m")

    def forward(self, x_TBCHW: Tensor) -> Tensor:
        return self.fc2(self.lif(self.fc1(self._seen(x_TBCHW).flatten(2))))

    def _seen(self, x_TBCHW: Tensor) -> Tensor:  # noqa: PLR0911 - one line for each way
        match self.how:
            case "float()":
                return x_TBCHW.float()
            case "spikes":
                return (torch.rand_like(x_TBCHW) <= x_TBCHW).float()
            case "kernel":
                return nn.functional.conv2d(x_TBCHW.flatten(0, 1), self.blur, padding=1).reshape(x_TBCHW.shape)
            case "numpy":
                return x_TBCHW.flatten(2) @ torch.from_numpy(self.identity)
            case "assert":
                assert x_TBCHW.dtype is torch.float32
                return x_TBCHW
            case "training":
                return x_TBCHW.float() if self.training else x_TBCHW
            case _:
                return x_TBCHW.to(self.fc1.weight.dtype)
