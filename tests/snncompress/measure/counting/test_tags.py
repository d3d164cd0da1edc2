"""Spikes that carry a scale: what their producer declares is folded, what nobody declares stays real."""

import pytest
import snntorch
import torch
from binarised import binary, reference, sparse
from spikingjelly.activation_based import ann2snn, functional, layer, neuron
from torch import nn
from torch.nn.functional import avg_pool1d, avg_pool2d, max_pool2d

from snncompress import CountError


class Scaled(neuron.IFNode):
    """Emit theta times a spike, as neurons of converted networks do."""

    def __init__(self, scale, *, declared=True):
        super().__init__(v_threshold=0.7, v_reset=None, step_mode="m")
        self.register_buffer("theta", torch.as_tensor(scale))
        if declared:
            self.spike_scale = self.theta

    def multi_step_forward(self, x):
        return super().multi_step_forward(x) * self.theta


def chain(first, scale, *, folded, declared=True, between=()):
    """Two convolutions with neurons behind the first that emit ``scale`` times a spike, or with it in the next weights."""
    one, two = nn.Conv2d(2, 3, 3, bias=False, padding=1), nn.Conv2d(3, 4, 3, bias=False)
    with torch.no_grad():
        one.weight.copy_(sparse(3, 2, 3, 3, rate=0.8))
        two.weight.copy_(sparse(4, 3, 3, 3, seed=3) * (torch.as_tensor(scale).reshape(1, -1, 1, 1) if folded else 1))
    spiking = first(torch.ones(()) if folded else scale, declared=declared)
    return nn.Sequential(
        layer.SeqToANNContainer(one), spiking, layer.SeqToANNContainer(*between, two, nn.Flatten()),
    )  # fmt: skip


@pytest.mark.parametrize("scale", [torch.tensor(0.37), torch.tensor([0.2, 1.7, 0.05]).reshape(3, 1, 1)])
@pytest.mark.parametrize(
    "between", [(), (nn.MaxPool2d(2),), (nn.AvgPool2d(2),), (nn.MaxPool2d(2), nn.AvgPool2d(2, padding=1))]
)
def test_a_scale_in_the_neuron_and_in_the_next_weights_count_alike(host, counted, scale, between):
    x_TB = torch.rand(3, 4, 2, 8, 8, generator=torch.Generator().manual_seed(5))
    emitting = counted(chain(Scaled, scale, folded=False, between=between), x_TB)
    folded = counted(chain(Scaled, scale, folded=True, between=between), x_TB)
    assert emitting.synops > 0
    assert (emitting.synops, emitting.macs, emitting.synops_fanout) == (
        folded.synops,
        folded.macs,
        folded.synops_fanout,
    )
    assert [row.pairs for row in emitting.of("synapse")] == [row.pairs for row in folded.of("synapse")]
    assert [row.scale_folded for row in emitting.of("synapse")] == [False, True]
    for name, model in host.catalogue["energy_models"].items():
        assert sum(model().energy(emitting).values()) == sum(model().energy(folded).values()), name


def test_an_undeclared_scale_stays_real(counted):
    x_TB = torch.rand(3, 4, 2, 8, 8)
    scale = torch.tensor(0.37)
    told, untold = (counted(chain(Scaled, scale, folded=False, declared=declared), x_TB) for declared in (True, False))
    assert untold.synops == 0
    assert untold.macs == told.macs + told.synops
    assert [row.operands for row in untold.of("synapse")] == [("real",), ("real",)]


def test_average_pooled_spikes_count_every_spike(counted):
    # each pooled value stands for as many events as spikes went into it: as if every spike went to the weights behind its window
    class Pooled(nn.Module):
        def __init__(self, pool):
            super().__init__()
            self.neuron = neuron.IFNode(v_threshold=0.5, v_reset=0.0, step_mode="m")
            self.pool = pool
            self.weight = nn.Parameter(sparse(5, 3, 2, 2))

        def forward(self, x_TB):
            spikes = self.neuron(x_TB)
            pooled = self.pool(spikes.flatten(0, 1))
            return nn.functional.conv2d(pooled, self.weight).reshape(*x_TB.shape[:2], -1)

    x_TB = binary(2, 3, 3, 8, 8)  # IF at 0.5 repeats its input
    spikes = x_TB.flatten(0, 1)
    events = avg_pool2d(spikes, 2) * 4
    weight = sparse(5, 3, 2, 2)
    expected = torch.nn.functional.conv2d(events.double(), weight.ne(0).double()).sum()
    for pool in (nn.AvgPool2d(2), nn.AdaptiveAvgPool2d(4)):
        found = counted(Pooled(pool), x_TB)
        assert (3 * found.synops, found.macs) == (expected, 0)
        assert found.of("synapse")[0].operands == ("spike_counts",)
    found = counted(Pooled(nn.AvgPool2d(3, padding=1, count_include_pad=False)), x_TB)  # borders are divided by less
    assert (found.synops, found.of("synapse")[0].operands) == (0, ("real",))
    found = counted(Pooled(nn.MaxPool2d(2)), x_TB)
    assert 3 * found.synops == reference(nn.functional.conv2d, max_pool2d(spikes, 2), weight)[1]


@pytest.mark.parametrize(
    "move",
    [
        lambda x: x.flatten(1), lambda x: x.reshape(len(x), -1), lambda x: x.permute(0, 2, 3, 1).flatten(1), lambda x: x.mT.flatten(1),
        lambda x: torch.cat([x, x], 1).flatten(1)[:, : x[0].numel()], lambda x: torch.stack(list(x)).flatten(1), lambda x: torch.cat(x.chunk(2, 1), 1).flatten(1), lambda x: x.float().contiguous().flatten(1),
    ],
)  # fmt: skip
def test_moving_scaled_spikes_about_keeps_what_they_are(counted, move):
    class Moved(nn.Module):
        def __init__(self):
            super().__init__()
            self.neuron = Scaled(torch.tensor(0.3))
            self.fc = nn.Linear(16, 4, bias=False)

        def forward(self, x_TB):
            return self.fc(move(self.neuron(x_TB).flatten(0, 1))).reshape(*x_TB.shape[:2], -1)

    (row,) = counted(Moved(), 2 * binary(2, 3, 2, 2, 4)).of("synapse")
    assert (row.operands, row.scale_folded) == (("scaled_spikes",), True)


def test_changing_scaled_spikes_in_place_or_adding_to_them_forgets_the_scale(counted):
    class Changed(nn.Module):
        def __init__(self, change):
            super().__init__()
            self.neuron, self.fc, self.change = Scaled(torch.tensor(0.3)), nn.Linear(4, 4, bias=False), change

        def forward(self, x_TB):
            return self.fc(self.change(self.neuron(x_TB)))

    for change in (lambda x: x.add_(0.1), lambda x: x + x, lambda x: x.mul_(0.5), torch.sqrt):
        assert counted(Changed(change), 2 * binary(2, 3, 4)).of("synapse")[0].operands == ("real",)


class Next(nn.Module):
    """Layers behind a neuron that declares its scale."""

    def __init__(self, function, scale=0.3, width=4):
        super().__init__()
        self.one, self.two = Scaled(torch.tensor(scale)), Scaled(torch.tensor(scale))
        self.fc, self.function = nn.Linear(width, 4, bias=False), function

    def forward(self, x_TB):
        return self.function(self, x_TB)


def overwritten(spikes):
    spikes.data = spikes.data * 0.5
    return spikes


def in_numpy(spikes):
    spikes.numpy()[...] *= 0.5
    return spikes


@pytest.mark.parametrize("change", [lambda x: (x.data.mul_(0.5), x)[1], overwritten, in_numpy])
@pytest.mark.parametrize("scale", [1.0, 0.3])
def test_spikes_changed_behind_the_back_of_torch_are_judged_by_their_values(counted, change, scale):
    x_TB = binary(1, 3, 4)  # at the first step every neuron with an input of 1 fires
    found = counted(Next(lambda self, x: self.fc(change(self.one(x))), scale), x_TB)
    assert (found.synops, 3 * found.macs) == (0, 4 * x_TB.count_nonzero())


def test_a_layer_that_gets_scaled_spikes_and_other_values_gets_real_ones(counted):
    for function in (
        lambda self, x: self.fc(self.fc(self.one(x))),
        lambda self, x: self.fc(self.one(x)) + self.fc(x * 0.1),
    ):
        (row,) = counted(Next(function), 2 * binary(2, 3, 4)).of("synapse")
        assert (row.operands, row.is_event_driven) == (("real",), False)


def test_a_layer_that_gets_pooled_spikes_and_other_values_is_refused_by_name(counted):
    def function(self, x):
        pooled = avg_pool1d(self.one(x), 2).repeat(1, 1, 2)
        return self.fc(self.fc(pooled))

    with pytest.raises(
        CountError, match=r"^fc \(Linear\) was given average-pooled spikes in one call and other values"
    ):
        counted(Next(function), 2 * binary(2, 3, 4))


def test_joining_by_name_looks_at_every_part(counted):
    x_TB = binary(1, 3, 4)  # at the first step every neuron with an input of 1 fires
    (row,) = counted(
        Next(lambda self, x: self.fc(torch.cat(tensors=[self.one(x), x * 0.1], dim=-1)), width=8), x_TB
    ).of("synapse")
    assert row.operands == ("real",)


@pytest.mark.parametrize("batch_size", [1, 3])
def test_scaled_spikes_beside_a_layer_that_stays_silent_keep_their_scale(counted, batch_size):
    x_TB = binary(1, 3, 4)  # at the first step every neuron with an input of 1 fires
    module = Next(lambda self, x: self.fc(torch.cat([self.one(x), self.two(0 * x)], -1)), width=8)
    found = counted(module, x_TB, batch_size=batch_size)
    assert (3 * found.synops, found.macs) == (4 * x_TB.count_nonzero(), 0)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_pooled_spikes_in_low_precision_are_counted_exactly(counted, dtype):
    class Pooled(nn.Module):
        def __init__(self):
            super().__init__()
            self.neuron, self.fc = (
                neuron.IFNode(v_threshold=0.5, v_reset=0.0, step_mode="m"),
                nn.Linear(2, 3, bias=False),
            )

        def forward(self, x_TB):
            pooled = nn.functional.adaptive_avg_pool2d(self.neuron(x_TB).flatten(0, 1).to(dtype), 1)
            return nn.functional.linear(pooled.flatten(1), self.fc.weight.to(dtype)).float()[None]

    x_TB = binary(1, 1, 2, 41, 43, rate=0.7)
    assert counted(Pooled(), x_TB).synops == 3 * x_TB.count_nonzero()


def test_sums_of_spikes_are_integers_though_some_sums_stay_below_two(counted):
    class Residual(nn.Module):
        def __init__(self):
            super().__init__()
            self.one, self.two = (neuron.IFNode(v_threshold=0.5, step_mode="m") for _ in range(2))
            self.fc = nn.Linear(4, 4, bias=False)

        def forward(self, x_TB):
            return self.fc(self.one(x_TB[..., :4]) + self.two(x_TB[..., 4:]))

    both, one = torch.ones(2, 3, 8), torch.cat([torch.ones(2, 3, 4), torch.zeros(2, 3, 4)], -1)
    assert counted(Residual(), both).of("synapse")[0].operands == ("integers",)
    assert counted(Residual(), one).of("synapse")[0].operands == ("spikes",)


def test_graded_spikes_of_snntorch_declare_their_factor(counted):
    class Graded(nn.Module):
        def __init__(self, factor):
            super().__init__()
            self.neuron = snntorch.Leaky(beta=0.9, graded_spikes_factor=factor, init_hidden=True)
            self.fc = nn.Linear(4, 3, bias=False)

        def forward(self, x_B):
            return self.fc(self.neuron(x_B))

    x_TB = torch.rand(3, 5, 4, generator=torch.Generator().manual_seed(2))
    plain, graded = (counted(Graded(factor), x_TB, "per_step") for factor in (1.0, 0.25))
    assert graded.of("synapse")[0].operands == ("scaled_spikes",)
    assert (graded.synops, graded.macs) == (plain.synops, 0)
    assert plain.of("synapse")[0].operands == ("spikes",)
    assert len(plain.of("synapse")[0].pairs) == 3


def test_a_network_that_spikingjelly_converted_counts_its_spikes(counted):
    torch.manual_seed(0)
    ann = nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 10), nn.ReLU(), nn.Linear(10, 3)
    ).eval()
    images = torch.rand(8, 1, 8, 8)
    recipe = ann2snn.RateCodingRecipe([(images, torch.zeros(8))], mode="Max")
    converted = ann2snn.Converter(recipe).convert(ann)
    scalers = [module for module in converted.modules() if isinstance(module, ann2snn.modules.VoltageScaler)]
    assert len(scalers) >= 4
    functional.set_step_mode(converted, "s")
    found = counted(converted, images.expand(6, *images.shape), "per_step")
    rows = found.of("synapse")
    assert [row.operands for row in rows] == [("real",), ("scaled_spikes",), ("scaled_spikes",)]
    # the same by hand: non-zero inputs of each linear layer
    seen = []
    hooks = [
        module.register_forward_pre_hook(lambda _, x: seen.append(x[0]))
        for module in converted.modules()
        if isinstance(module, nn.Linear)
    ]
    functional.reset_net(converted)
    with torch.no_grad():
        for _ in range(6):
            converted(images)
    for hook in hooks:
        hook.remove()
    assert 8 * found.synops == sum(int(x.count_nonzero()) * (10 if x.shape[1] == 144 else 3) for x in seen)
