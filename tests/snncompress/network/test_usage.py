import pytest
import torch
from spikingjelly.activation_based import functional, layer, neuron
from torch import Tensor, nn

from snncompress import Time, declare

T, C = 4, 4
"""As many steps as channels, so that sizes tell nothing."""


class Used(nn.Module):
    """A convolution of four channels on 4 x 4 places at each of four steps, then a matrix used in one way or another."""

    def __init__(self, way: str) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.way = way
        self.conv = layer.Conv2d(1, C, 3, padding=1)
        self.matrix = nn.Parameter(torch.rand(SHAPES.get(way, (4, 4))) + 0.5)
        self.linear = nn.Linear(4, 4)
        self.lif = neuron.LIFNode()
        self.head = layer.Linear(C * 16, 10)
        functional.set_step_mode(self, "m")

    def forward(self, x_TBCHW: Tensor) -> Tensor:
        return self.head(self.lif(WAYS[self.way](self, self.conv(x_TBCHW))).flatten(2))


SHAPES = {"entries": (C, 4, 4), "added": (C, 4, 4), "outer": (C, C), "table": (7, C)}
WAYS = {
    "entries": lambda net, x: x * net.matrix,
    "added": lambda net, x: x + net.matrix.sigmoid(),
    "table": lambda net, x: x * net.matrix[2].view(C, 1, 1),
    "time by matmul": lambda net, x: (net.matrix @ x.flatten(1)).view_as(x),
    "time by addmm": lambda net, x: torch.addmm(net.linear.bias[:, None], net.linear.weight, x.flatten(1)).view_as(x),
    "time by einsum": lambda net, x: torch.einsum("ts,sbchw->tbchw", net.matrix.softmax(1), x),
    "time by a layer": lambda net, x: net.linear(x.movedim(0, -1)).movedim(-1, 0),
    "channels by matmul": lambda net, x: (x.movedim(2, -1) @ net.matrix).movedim(-1, 2),
    "channels by einsum": lambda net, x: torch.einsum("oc,tbchw->tbohw", net.matrix, x),
    "channels by a layer": lambda net, x: net.linear(x.movedim(2, -1)).movedim(-1, 2),
    "outer": lambda net, x: (x[:, :, None] * net.matrix[:, :, None, None]).sum(3),
    "steps and channels": lambda net, x: net.linear(net.linear(x.movedim(0, -1)).movedim(-1, 0)),
}
EXPECTED = {
    "entries": (),
    "added": (),
    "table": (),
    "time by matmul": (),
    "time by addmm": (),
    "time by einsum": (),
    "time by a layer": (),
    "channels by matmul": ("matrix",),
    "channels by einsum": ("matrix",),
    "channels by a layer": ("linear.weight",),
    "outer": ("matrix",),
    "steps and channels": ("linear.weight",),
}
OTHERS = {"conv.weight", "head.weight"}


def network_of(way, host):
    return declare(Used(way), Time("multi_step", T), arguments={"way": way}, host=host)


@pytest.mark.parametrize("way", WAYS)
def test_what_is_summed_over_channels_is_a_weight(way, host):
    probe = torch.rand(T, 3, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    network = network_of(way, host).with_probe(probe)
    module = network.module
    before = torch.get_rng_state()
    named = set(network.inventory.weights(("*",))) - OTHERS
    assert torch.equal(torch.get_rng_state(), before)
    assert module.training
    used = "linear.weight" if any(word in way for word in ("layer", "addmm", "steps and")) else "matrix"
    assert named.intersection([used]) == set(EXPECTED[way])


def test_without_a_probe_shapes_decide(host):
    assert set(network_of("entries", host).inventory.weights(("*",))) == OTHERS | {"matrix", "linear.weight"}


def test_a_probe_that_the_network_does_not_take_leaves_it_to_the_shapes(host):
    network = network_of("entries", host).with_probe(torch.rand(T, 3, 2, 4, 4))
    assert "matrix" in network.inventory.weights(("*",))


class Normed(Used):
    """The same with a norm at its end."""

    def __init__(self, way: str) -> None:
        super().__init__(way)
        self.norm = nn.BatchNorm1d(10)

    def forward(self, x_TBCHW: Tensor) -> Tensor:
        return self.norm(super().forward(x_TBCHW).flatten(0, 1)).unflatten(0, x_TBCHW.shape[:2])


def test_the_state_is_cleared_and_no_norm_moves(host):
    network = declare(Normed("entries"), Time("multi_step", T), arguments={"way": "entries"}, host=host)
    network = network.with_probe(torch.rand(T, 3, 1, 4, 4))
    assert network.inventory.weights(("*",))
    assert int(network.module.norm.num_batches_tracked) == 0
    assert network.module.lif.v == 0.0


class Repeating(Used):
    """The same with a still image, which it repeats itself."""

    def forward(self, x_BCHW: Tensor) -> Tensor:
        return super().forward(x_BCHW.expand(T, *x_BCHW.shape))


@pytest.mark.parametrize(("way", "is_weight"), [("time by a layer", False), ("channels by a layer", True)])
def test_steps_are_told_where_the_network_repeats_a_still_image(way, is_weight, host):
    time = Time("inside", T, input="static", settable=False)
    network = declare(Repeating(way), time, arguments={"way": way}, host=host)
    named = network.with_probe(torch.rand(3, 1, 4, 4)).inventory.weights(("*",))
    assert ("linear.weight" in named) is is_weight
