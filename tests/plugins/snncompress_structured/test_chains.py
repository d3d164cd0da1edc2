"""Layers in a row, found by watching a batch flow; and what breaks a row."""

import pytest
import snntorch
import torch
from live_networks import CHAINS, probed
from spikingjelly.activation_based import functional, layer, neuron
from torch import nn

from snncompress import EditError, Network, Time, declare
from snncompress.network import InHand
from snncompress.network.proof import spike_trains

T = 3


class Net(nn.Module):
    """Three convolutions, norms and neurons on [T, B, 2, 6, 6], and a classifier; how they are joined is the subclass's."""

    def __init__(self, groups=1):
        super().__init__()
        torch.manual_seed(0)
        self.conv1, self.conv2 = layer.Conv2d(2, 6, 3, padding=1), layer.Conv2d(6, 6, 3, padding=1, groups=groups)
        self.norm1, self.norm2 = layer.BatchNorm2d(6), layer.BatchNorm2d(6)
        self.lif1, self.lif2 = neuron.LIFNode(v_threshold=0.3), neuron.IFNode(v_threshold=0.5)
        self.pool, self.flat = layer.MaxPool2d(2), layer.Flatten()
        self.fc = layer.Linear(6 * 9, 4)
        functional.set_step_mode(self, "m")

    def forward(self, x):
        first = self.lif1(self.norm1(self.conv1(x)))
        second = self.lif2(self.norm2(self.conv2(first)))
        return self.fc(self.pool(self.join(first, second)).flatten(2))

    def join(self, first, second):
        return second


class Residual(Net):
    def join(self, first, second):
        return first + second


class InPlace(Net):
    def join(self, first, second):
        second *= 0.5
        return second


class ChannelsLast(Net):
    """The classifier reads places first, so that a channel is spread over its inputs."""

    def join(self, first, second):
        return second.permute(0, 1, 3, 4, 2).reshape(second.shape)


class Twice(Net):
    """The second convolution runs twice, and reads the first and itself."""

    def join(self, first, second):
        return self.lif2(self.norm2(self.conv2(second)))


class Watched(Net):
    """The first spikes leave the network too."""

    def forward(self, x):
        first = self.lif1(self.norm1(self.conv1(x)))
        return self.fc(self.pool(self.lif2(self.norm2(self.conv2(first)))).flatten(2)) + 0 * first.mean()


class Third(Net):
    """A third convolution stands beside the first."""

    def __init__(self):
        super().__init__()
        self.conv3, self.norm3 = layer.Conv2d(2, 6, 3, padding=1), layer.BatchNorm2d(6)
        functional.set_step_mode(self, "m")

    def forward(self, x):
        first = self.lif1(self.norm1(self.conv1(x)))
        return self.fc(self.pool(self.lif2(self.norm2(self.conv2(first)) + self.beside(x, first))).flatten(2))

    def beside(self, x, first):
        return self.norm3(self.conv3(x))


class ReadsTwoLayers(Third):
    def beside(self, x, first):
        return self.norm2(self.conv2(self.norm3(self.conv3(x))))


class ReadsAnything(Third):
    """The second convolution also reads what no layer has written."""

    def beside(self, x, first):
        return self.norm2(self.conv2(x[:, :, :1].repeat(1, 1, 6, 1, 1)))


class SharedNorm(Third):
    def beside(self, x, first):
        return self.norm1(self.conv3(x))


class ByName(Third):
    """A second layer reads the first spikes as a named argument."""

    def __init__(self):
        super().__init__()
        self.conv3 = layer.Conv2d(6, 6, 3, padding=1)
        functional.set_step_mode(self, "m")

    def beside(self, x, first):
        return self.norm3(self.conv3(x=first))


class Unread(Third):
    """A norm is given the channels, and nobody reads it."""

    def beside(self, x, first):
        self.norm3(self.conv1(x))
        return 0


class Tied(Third):
    def __init__(self):
        super().__init__()
        self.conv3.weight = self.conv1.weight


class Held(Third):
    """A module reads channels from what it holds, not from what it is given."""

    class Reader(nn.Module):
        def forward(self, x):
            return x + self.held[0][:, :, :1]

    def __init__(self):
        super().__init__()
        self.reader = self.Reader()

    def beside(self, x, first):
        self.reader.held = (first,)
        return self.reader(torch.zeros(()))


class Parametrised(Net):
    """The weight is computed from others, which are not cut."""

    def __init__(self):
        super().__init__()
        torch.nn.utils.parametrizations.weight_norm(self.conv1)


class Standardised(Net):
    """The second convolution standardises its weights over its inputs."""

    def __init__(self):
        super().__init__()
        self.conv2 = layer.WSConv2d(6, 6, 3, padding=1)
        functional.set_step_mode(self, "m")


class Grouped(Net):
    """Rows of a convolution of two groups cannot change places."""

    def __init__(self):
        super().__init__(groups=2)


class PooledAcross(Net):
    """Features of a linear layer pass a pool that takes them for places."""

    def __init__(self):
        super().__init__()
        self.fc, self.across, self.last = nn.Linear(54, 12), nn.AvgPool1d(3, 1, 1), nn.Linear(12, 4)

    def forward(self, x):
        return self.last(torch.stack([self.across(step) for step in super().forward(x)]))


class AsManySamples(Net):
    """A batch as large as the number of channels stands in front of the places where the channels stood."""

    def join(self, first, second):
        seen = second.select(2, 0)
        return torch.stack([seen] * 6, 1)


class Dropped(Net):
    """SpikingJelly's dropout, which is no class of torch's, hands its input on in evaluation."""

    def __init__(self):
        super().__init__()
        self.drop = layer.Dropout(0.5, step_mode="m")

    def join(self, first, second):
        return self.drop(second)


class Borrowed(Third):
    """The network takes the first convolution's weight for a product of its own."""

    def beside(self, x, first):
        return nn.functional.conv2d(x.flatten(0, 1), self.conv1.weight, padding=1).unflatten(0, x.shape[:2])


def live(module, host, **arguments):
    network = declare(module, Time("multi_step", T), arguments=arguments, host=host)
    x = torch.rand(T, 6, 2, 6, 6, generator=torch.Generator().manual_seed(1))
    module.train()
    for _ in range(20):
        network.forward(x)
        network.reset()
    module.eval()
    return network.with_probe(x)


def found(network):
    return [one.name for block in network.blocks() for one in block.dimensions]


def in_hand(module, time, host):
    """Return a network whose rebuilding is no matter here."""
    return Network(module, time, InHand(module, time, {"use": "python"}), host)


@pytest.mark.parametrize(
    ("make", "chains"),
    [
        (Net, ["conv1 to conv2", "conv2 to fc"]),
        (Residual, []),
        (InPlace, ["conv1 to conv2"]),
        (ChannelsLast, ["conv1 to conv2"]),
        (Twice, []),
        (Watched, ["conv2 to fc"]),
        (ReadsTwoLayers, []),
        (ReadsAnything, []),
        (SharedNorm, []),
        (ByName, []),
        (Unread, []),
        (Tied, []),
        (Held, []),
        (Dropped, ["conv1 to conv2", "conv2 to fc"]),
        (Borrowed, []),
        (Parametrised, ["conv2 to fc"]),
        (Standardised, []),
        (Grouped, []),
        (PooledAcross, ["conv1 to conv2", "conv2 to fc"]),
        (AsManySamples, ["conv1 to conv2"]),
    ],
)
def test_what_a_row_is(host, make, chains):
    assert found(live(make(), host)) == chains


@pytest.mark.parametrize("make", [Net, InPlace, ChannelsLast])
def test_what_is_found_can_be_cut(host, make):
    network = live(make(), host)
    blocks = network.blocks()
    smaller = network.cut(blocks, {one.name: [1, 4] for block in blocks for one in block.dimensions})
    assert smaller.proofs[-1].largest_logit_difference <= 1e-9
    assert smaller.module.conv1.out_channels == 2
    assert smaller.module.norm1.num_features == 2
    expected, _ = spike_trains(smaller, network.probe)
    assert expected.logits.shape == (T, 6, 4)


def test_sizes_after_a_cut_by_hand(host):
    network = live(Net(), host)
    blocks = network.blocks()
    smaller = network.cut(blocks, {"conv1 to conv2": [0, 2, 5], "conv2 to fc": [3, 4]})
    shapes = {name: tuple(value.shape) for name, value in smaller.module.named_parameters()}
    assert shapes == {
        "conv1.weight": (3, 2, 3, 3),
        "conv1.bias": (3,),
        "norm1.weight": (3,),
        "norm1.bias": (3,),
        "conv2.weight": (2, 3, 3, 3),
        "conv2.bias": (2,),
        "norm2.weight": (2,),
        "norm2.bias": (2,),
        "fc.weight": (4, 2 * 9),
        "fc.bias": (4,),
    }
    before = network.tensors["fc.weight"].reshape(4, 6, 9)[:, [3, 4]].reshape(4, 18)
    assert torch.equal(smaller.tensors["fc.weight"], before)


def test_grouped_convolutions_are_no_readers_of_a_row(host):
    network = live(Net(groups=2), host, groups=2)
    assert "conv1 to conv2" not in found(network)


@pytest.mark.parametrize("name", CHAINS)
def test_whole_networks(host, name):
    network = probed(CHAINS[name], host)
    blocks = network.blocks()
    assert [one.size for block in blocks for one in block.dimensions] == {"convnet": [4, 8], "vgg": [8, 16]}[name]
    smaller = network.cut(blocks, {one.name: range(one.size // 2) for block in blocks for one in block.dimensions})
    assert smaller.proofs[-1].num_spikes > 100


@pytest.mark.parametrize("beta", [(), (6,), (6, 1, 1), (6, 6, 6)], ids=str)
def test_leaks_of_every_shape(host, beta):
    torch.manual_seed(0)
    leak = torch.full(beta, 0.8) if len(beta) != 1 else torch.full((6, 1, 1), 0.8)
    module = nn.Sequential(
        nn.Conv2d(2, 6, 3, padding=1),
        snntorch.Leaky(beta=leak, learn_beta=True, init_hidden=True, threshold=0.2),
        nn.Flatten(),
        nn.Linear(6 * 36, 3),
        snntorch.Leaky(beta=0.5, init_hidden=True, threshold=0.2, output=True),
    )
    time = Time("per_step", T, records=("output", "membranes"))
    network = in_hand(module, time, host).with_probe(torch.rand(T, 4, 2, 6, 6))
    (block,) = network.blocks()
    smaller = network.cut([block], {block.dimensions[0].name: [0, 2, 3]})
    assert smaller.module[0].out_channels == 3
    assert smaller.tensors["1.beta"].shape[:1] == ((3,) if beta else ())


def test_a_neuron_whose_tensors_do_not_follow_is_an_error_and_no_wrong_network(host):
    """A leak for each column broadcasts along the places: its size of 6 looks like channels, and the cut does not fit."""
    torch.manual_seed(0)
    module = nn.Sequential(
        nn.Conv2d(2, 6, 3, padding=1),
        snntorch.Leaky(beta=torch.full((6,), 0.8), init_hidden=True, threshold=0.2),
        nn.Flatten(),
        nn.Linear(6 * 36, 3),
        snntorch.Leaky(beta=0.5, init_hidden=True, threshold=0.2),
    )
    network = in_hand(module, Time("per_step", T), host).with_probe(torch.rand(T, 4, 2, 6, 6))
    (block,) = network.blocks()
    with pytest.raises(Exception, match=r"size of tensor|must match"):
        network.cut([block], {block.dimensions[0].name: [0, 2, 3]})


def test_recurrent_weights_join_channels(host):
    torch.manual_seed(0)
    recurrent = snntorch.RLeaky(beta=0.8, linear_features=8, threshold=0.1, init_hidden=True)
    module = nn.Sequential(nn.Linear(16, 8), recurrent, nn.Linear(8, 3))
    network = in_hand(module, Time("per_step", T), host).with_probe(torch.rand(T, 4, 16))
    assert found(network) == []


class Loop(nn.Module):
    """Layers whose neurons' membranes the network keeps."""

    def __init__(self, *, begin=(0,), read=False):
        super().__init__()
        torch.manual_seed(0)
        self.begin, self.read = torch.zeros(begin), read
        self.fc1, self.fc2, self.fc3 = nn.Linear(16, 12), nn.Linear(12, 8), nn.Linear(8, 3)
        self.lif1, self.lif2, self.lif3 = (snntorch.Leaky(beta=0.8, threshold=0.1) for _ in range(3))

    def forward(self, x):
        mem1, mem2, mem3 = self.begin.to(x), torch.zeros(0).to(x), torch.zeros(0).to(x)
        spikes = []
        for _ in range(T):
            spike, mem1 = self.lif1(self.fc1(x), mem1)
            spike, mem2 = self.lif2(self.fc2(spike), mem2)
            spike, mem3 = self.lif3(self.fc3(mem2 if self.read else spike), mem3)
            spikes.append(spike)
        return torch.stack(spikes)


@pytest.mark.parametrize(
    ("module", "chains"),
    [
        (Loop(), ["fc1 to fc2", "fc2 to fc3"]),
        (Loop(begin=(6, 12)), ["fc2 to fc3"]),
        (Loop(read=True), ["fc1 to fc2"]),
    ],
    ids=["empty", "of a fixed size", "read by a layer"],
)
def test_membranes_that_the_network_keeps(host, module, chains):
    network = in_hand(module, Time("inside", T, settable=False, input="static"), host)
    network = network.with_probe(torch.rand(6, 16, generator=torch.Generator().manual_seed(0)))
    assert found(network) == chains
    smaller = network.cut(network.blocks(), {name: [1, 3, 4] for name in chains})
    assert smaller.proofs[-1].num_spikes > 20


def test_nothing_is_left_behind(host):
    network = live(Net(), host)
    before = torch.get_rng_state()
    network.module.train()
    network.blocks()
    assert torch.equal(torch.get_rng_state(), before)
    assert network.module.training
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in network.module.modules())
    assert not isinstance(network.module.lif1.v, torch.Tensor)


def test_no_index_left_is_refused(host):
    network = live(Net(), host)
    with pytest.raises(EditError, match="at least one"):
        network.cut(network.blocks(), {"conv1 to conv2": []})


@pytest.mark.parametrize(
    ("keep", "fault"),
    [
        ({"conv1 to conv3": [0]}, r"no dimension 'conv1 to conv3'; did you mean 'conv1 to conv2'\?"),
        ({"conv1 to conv2": [0, 6]}, r"'conv1 to conv2' has indices below 6; 6 is none of them"),
        ({"conv1 to conv2": [-1, 2]}, r"'conv1 to conv2' has indices below 6; -1 is none of them"),
        ({"conv1 to conv2": [0, 0, 1]}, r"indices to keep of 'conv1 to conv2' must be distinct"),
    ],
)
def test_what_there_is_not_cannot_be_kept(host, keep, fault):
    network = live(Net(), host)
    with pytest.raises(EditError, match=fault):
        network.cut(network.blocks(), keep)
