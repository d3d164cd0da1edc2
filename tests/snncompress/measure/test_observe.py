"""One pass for every metric: against reruns, plain passes and hand-counted spikes."""

import gc

import pytest
import torch
from binarised import reference
from own_networks import IntegrateNet, JellyNet, LoopNet
from torch import nn
from torch.utils.data import TensorDataset

from snncompress import Data, Inputs, Time, declare, predict
from snncompress.measure import DataBench
from snncompress.measure.observe import observe
from snncompress.network import open_architecture


def bench_of(host, x_B, labels_B, **settings):
    split = TensorDataset(x_B, labels_B)
    return DataBench(
        Data(split, split, split, Inputs(tuple(x_B.shape[1:]), 10)),
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
        """Hand out batches, and note how much all live tensors hold."""

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
    object.__setattr__(bench, "batches", lambda _: batches)
    seen = observe(network, bench, frozenset({"counts", "activity"}))
    assert seen.counts.samples == 128
    assert batches.sizes[-1] == batches.sizes[2]
