"""One pass for every metric: against reruns, plain passes and hand-counted spikes."""

import gc

import pytest
import torch
from binarised import reference
from own_networks import IntegrateNet, JellyNet, LoopNet
from spikingjelly.activation_based import neuron
from torch import nn
from torch.utils.data import TensorDataset

from snncompress import Data, Inputs, Time, declare, predict
from snncompress.measure import Batches, DataBench
from snncompress.measure.observe import observe
from snncompress.network import open_architecture


def bench_of(host, x_B, labels_B, **settings):
    split = TensorDataset(x_B, labels_B)
    return DataBench(
        Data(split, split, split, Inputs(tuple(x_B.shape[1:]), 0)),
        host.catalogue["encoders"]["direct"](),
        0,
        **settings,
    )


@pytest.fixture
def spikformer(host):
    """A small Spikformer whose neurons fire, some of its weights zero, and its data."""
    torch.manual_seed(0)
    settings = host.catalogue["architectures"]["spikingjelly.spikformer"](embed_dims=32, depths=2, num_heads=2)
    network = open_architecture(settings.resolved(Inputs((3, 16, 16), 10), 4), host, timesteps=4)
    x_B = torch.rand(6, 3, 16, 16)
    network.module.train()
    with torch.no_grad():
        for part in network.module.modules():
            if isinstance(part, nn.modules.batchnorm._BatchNorm):
                part.momentum = None
        network.forward(x_B.expand(4, *x_B.shape))
        for name, value in network.module.named_parameters():
            if value.dim() > 1 and "head" not in name:
                value.mul_(torch.rand_like(value) < 0.5)
    network.reset()
    return network, bench_of(host, x_B, torch.zeros(6, dtype=torch.long), batch_size=4)


def test_every_layer_of_a_network_counts_what_a_binarised_rerun_counts(spikformer):
    network, bench = spikformer
    expected = {}

    def rerun(path):
        def hook(module, arguments):
            function = type(module)._conv_forward if isinstance(module, nn.modules.conv._ConvNd) else None

            def run(x, weight):
                if function is None:
                    return nn.functional.linear(x, weight)
                return function(module, x, weight, None)

            fanout, pairs = reference(run, arguments[0], module.weight)
            known = expected.setdefault(path, [0, 0])
            expected[path] = [known[0] + fanout, known[1] + pairs]

        return hook

    layers = {
        path: part
        for path, part in network.module.named_modules()
        if isinstance(part, (nn.modules.conv._ConvNd, nn.Linear))
    }
    hooks = [part.register_forward_pre_hook(rerun(path)) for path, part in layers.items()]
    predict(network, bench)
    for hook in hooks:
        hook.remove()
    counts = bench.observe(network, "counts").counts
    assert {row.path: [sum(row.fanout), sum(row.pairs)] for row in counts.of("synapse")} == expected
    assert counts.synops > 0
    assert counts.macs > 0


def test_an_observation_says_what_a_plain_pass_says(spikformer):
    network, bench = spikformer
    plain, seen = predict(network, bench), observe(network, bench, frozenset({"counts", "activity"}))
    assert torch.equal(seen.predictions.predicted_N, plain.predicted_N)
    assert seen.correct_by_step[-1] == plain.num_correct


def test_right_predictions_after_fewer_steps(host):
    # thresholds of 1: an input of 1 fires at once, 0.5 at steps 2 and 4, 0.3 at step 4; ties go to the lower class
    network = declare(IntegrateNet(), Time("multi_step", 4), host=host)
    x_B = torch.tensor([[[[0.5, 1.0, 0, 0]]], [[[0.5, 0.5, 0, 0]]], [[[0.0, 0.3, 0, 0]]]])
    seen = observe(network, bench_of(host, x_B, torch.tensor([1, 0, 1])))
    assert seen.correct_by_step == (2, 2, 2, 3)
    assert (seen.counts, seen.activity) == (None, None)


def test_activity_by_hand(host):
    # reset by subtraction: 0.5 fires at 2 and 4, 1.0 always, 0.25 at 4, 0 never; the second sample fires neuron 1 alone
    network = declare(IntegrateNet(), Time("multi_step", 4), host=host)
    x_B = torch.tensor([[[[0.5, 1.0, 0.25, 0.0]]], [[[0.0, 1.0, 0.0, 0.0]]]])
    activity = bench_of(host, x_B, torch.tensor([0, 0]), batch_size=1).observe(network, "activity").activity
    (layer,) = activity.layers
    assert (layer.path, layer.kind, layer.neurons, layer.dead, layer.saturated) == ("neuron", "IFNode", 4, 1, 1)
    assert (layer.spikes, layer.outputs) == ((2, 3, 2, 4), (8, 8, 8, 8))
    assert layer.raster == ("0101", "1111", "0001", "0000")
    assert activity.rate == 11 / 32


def test_a_loop_within_forward_tells_its_steps(host):
    torch.manual_seed(1)
    network = declare(LoopNet(num_steps=3), Time("inside", 3, input="static", attribute="num_steps", records=("output", "membranes")), host=host)  # fmt: skip
    x_B = torch.rand(5, 1, 8, 8)
    bench = bench_of(host, x_B, torch.zeros(5, dtype=torch.long))
    seen = bench.observe(network, "counts", "activity")
    spikes = []
    network.module.lif1.register_forward_hook(lambda *call: spikes.append(int(call[2][0].sum())))
    predict(network, bench)
    first, second = seen.activity.layers
    assert first.spikes == tuple(spikes)
    assert second.neurons == 10
    fc1, fc2 = seen.counts.of("synapse")
    assert fc2.pairs == tuple(10 * number for number in spikes)
    assert (fc1.is_first, fc1.repeats, len(fc1.pairs)) == (True, True, 3)
    assert seen.counts.macs == 3 * 48 * int(x_B.count_nonzero()) / 5


class Twice(nn.Module):
    """Call one neuron twice: the second time it fires where it did not the first time."""

    def __init__(self, step_mode):
        super().__init__()
        self.neuron = neuron.IFNode(v_threshold=0.5, v_reset=0.0, step_mode=step_mode)

    def forward(self, x):
        return self.neuron(1 - self.neuron(x))


@pytest.mark.parametrize(("step_mode", "runner"), [("m", "multi_step"), ("s", "per_step")])
def test_the_raster_of_a_neuron_that_is_called_twice_shows_its_first_call(observed, step_mode, runner):
    x_TB = torch.tensor([[[1.0, 0, 1]], [[0, 0, 1]], [[1, 0, 1]]])
    (layer,) = observed(Twice(step_mode), x_TB, runner).activity.layers
    assert layer.raster == ("101", "000", "111")
    assert (layer.neurons, layer.spikes, layer.dead, layer.saturated) == (6, (3, 3, 3), 2, 2)


class StepLoop(nn.Module):
    """Run a convolution and a neuron step by step, over a sequence or a still image."""

    def __init__(self, is_still):
        super().__init__()
        self.conv, self.neuron, self.is_still, self.T = (
            nn.Conv2d(2, 2, 1, bias=False),
            neuron.IFNode(v_threshold=0.5),
            is_still,
            2,
        )
        with torch.no_grad():
            self.conv.weight.copy_(torch.eye(2)[:, :, None, None])

    def forward(self, x):
        steps = [self.conv(x)] * self.T if self.is_still else [self.conv(x_t) for x_t in x]
        return torch.stack([self.neuron(step).flatten(1) for step in steps])


@pytest.mark.parametrize("batch_size", [1, 2, 3])
@pytest.mark.parametrize("is_still", [False, True])
def test_as_many_samples_and_channels_as_steps_are_no_steps(observed, is_still, batch_size):
    still_B = torch.ones(4, 2, 1, 3) * torch.tensor([[1.0, 0, 1], [0, 0, 1]])[None, :, None]
    how = {"input": "static", "timesteps": 2, "attribute": "T"} if is_still else {}
    x = still_B if is_still else torch.stack([still_B, 0 * still_B])
    seen = observed(StepLoop(is_still), x, "inside", batch_size=batch_size, **how)
    (layer,) = seen.activity.layers
    assert (layer.neurons, layer.dead, layer.outputs) == (6, 3, (24, 24))
    assert layer.spikes == ((12, 12) if is_still else (12, 0))
    assert layer.saturated == (3 if is_still else 0)
    (row,) = seen.counts.of("synapse")
    assert (sum(row.pairs), sum(row.dense)) == (12, 48 if is_still else 96)
    assert len(row.pairs) == (1 if is_still else 2)


def test_a_first_layer_that_sees_samples_before_steps_does_the_same_at_each_step(observed):
    class SamplesFirst(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc, self.neuron = nn.Linear(3, 2, bias=False), neuron.IFNode()

        def forward(self, x_TB):
            hidden_BT = self.fc(x_TB.transpose(0, 1).flatten(0, 1)).reshape(x_TB.shape[1], x_TB.shape[0], 2)
            return torch.stack([self.neuron(one) for one in hidden_BT.unbind(1)])

    x_TB = torch.tensor([[1.0, 1, 1], [0, 0, 1], [0, 0, 0]]).expand(2, 3, 3)  # samples of 3, 1 and 0 spikes
    (row,) = observed(SamplesFirst(), x_TB, "inside").counts.of("synapse")
    assert (row.pairs, row.fanout, row.repeats) == ((8, 8), (8, 8), True)


def test_a_network_whose_weights_have_changed_is_observed_again(host, network_of):
    linear = nn.Linear(4, 3, bias=False)
    network, x_B = network_of(linear, "none"), torch.ones(2, 4)
    bench = bench_of(host, x_B, torch.zeros(2, dtype=torch.long))
    assert bench.observe(network, "counts").counts.synops == 12
    with torch.no_grad():
        linear.weight[0] = 0
    assert bench.observe(network, "counts").counts.synops == 8


def test_what_was_observed_is_kept_for_the_next_metric(host, spikformer):
    network, _ = spikformer
    passes = []
    network.module.register_forward_hook(lambda *_: passes.append(1))
    split = TensorDataset(torch.rand(4, 3, 16, 16), torch.zeros(4, dtype=torch.long))
    bench = DataBench(
        Data(split, split, split, Inputs((3, 16, 16), 10)), host.catalogue["encoders"]["direct"](), 0, wanted=frozenset({"counts"})
    )  # fmt: skip
    first = bench.observe(network)
    assert first.counts is not None
    after = len(passes)
    assert bench.observe(network, "counts") is first
    assert len(passes) == after
    assert bench.observe(network, "activity").activity is not None
    assert bench.observe(network.copy()) is not first


def test_memory_does_not_grow_with_the_samples(host):
    torch.manual_seed(0)
    network = declare(JellyNet(), Time("multi_step", 2), host=host)

    class Held:
        """Hand out batches as a loader, and note how much all live tensors hold."""

        def __init__(self, num_batches):
            self.num_batches, self.sizes = num_batches, []

        def __iter__(self):
            for _ in range(self.num_batches):
                gc.collect()
                kinds = (value for value in gc.get_objects() if issubclass(type(value), torch.Tensor))
                self.sizes.append(sum(value.numel() for value in kinds if value.dim() > 1))
                yield torch.rand(16, 1, 8, 8), torch.zeros(16, dtype=torch.long)

    batches = Held(8)
    bench = bench_of(host, torch.rand(1, 1, 8, 8), torch.zeros(1, dtype=torch.long))
    object.__setattr__(bench, "batches", lambda _: Batches(batches, "test", Inputs((), 0)))
    seen = observe(network, bench, frozenset({"counts", "activity"}))
    assert seen.counts.samples == 128
    assert batches.sizes[-1] == batches.sizes[2]
