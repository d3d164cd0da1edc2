"""Operation counts against SpikingJelly's own counter, on single layers and live networks.

How SpikingJelly counts (``op_counter``, a dispatch mode over kernels):

- A product is a synaptic operation where one operand holds nothing but 0 and 1, else dense multiply-accumulates: -1, 2 and
  0.5 are no spikes. All calls of a kernel are judged one by one.
- Spikes times fan-out, zero weights included: ``spikes * outputs`` for matrices, and for convolutions the number of taps
  that each spike meets (padding, stride, dilation and groups exact). Biases do not count.
- Weights of nothing but 0 and 1 are taken for spikes too: with spikes it then counts coincidences, and with real inputs the
  ones among the weights.
- Two activations: coincidences where both hold 0 and 1 (v k^T); else the spikes of the one times the rows (or columns) of
  the other, zeros included ((v k^T) q).
- Nothing at all, in silence, for ``linear`` and convolutions under ``inference_mode``, for ``scaled_dot_product_attention``,
  for int8 products, for matrix times vector, and for layers behind the scaled spikes of its own converted networks.
"""

from contextlib import ExitStack, contextmanager

import pytest
import torch
from oracles.differing import STILL, count
from oracles.networks import Case, bench, live_network
from oracles.single_layers import LAYERS, Layer, filled
from spikingjelly.activation_based import ann2snn, functional, layer, neuron
from spikingjelly.activation_based.op_counter import DispatchCounterMode, MACCounter, SynOpCounter
from torch import nn
from torch.nn.functional import linear, scaled_dot_product_attention
from torch.utils.data import DataLoader, TensorDataset

from snncompress import CountError, Time

aten = torch.ops.aten
SYNAPSES = (nn.Linear, nn.Conv1d, nn.Conv2d)
SPIKFORMER = Case(
    "spikformer",
    "spikingjelly.spikformer",
    (("embed_dims", 32), ("depths", 2), ("num_heads", 2), ("mlp_ratio", 2), ("patch_size", 4)),
    (1, 16, 16),
    samples=4,
)
SEW_RESNET = Case("sew_resnet", "spikingjelly.sew_resnet", (("layers", 18), ("width", 8)), (3, 32, 32), samples=4)


def jelly(module, *inputs):
    """Return SpikingJelly's synaptic operations and its multiply-accumulates, counter by counter."""
    synops, macs = SynOpCounter(), MACCounter()
    with torch.no_grad(), DispatchCounterMode([synops, macs]):
        module(*inputs)
    return synops, macs


def totals(module, *inputs):
    return tuple(counter.get_total() for counter in jelly(module, *inputs))


def counted(host, module, x_B, time=STILL):
    return count(module, x_B, time, host)


def flat(module):
    """Give a layer the output [B, C] that an ANN has."""
    return nn.Sequential(module, nn.Flatten())


# ---- single layers


@pytest.mark.parametrize("case", LAYERS, ids=lambda case: case.name)
def test_the_table_of_single_layers(host, case: Layer):
    assert totals(case.module, case.x) == case.jelly
    counts = counted(host, flat(case.module), case.x)
    samples = len(case.x)
    assert (counts.synops * samples, counts.macs * samples) == case.bench
    assert counts.dense_ops * samples == case.dense
    if case.jelly[1]:  # no spikes to SpikingJelly; -1 is one to us, and counts like 1
        assert case.jelly[1] == case.dense
        ternary = totals(case.module, case.x.abs())[0] if case.name == "ternary" else 0
        assert counts.synops_fanout * samples == ternary
    else:
        assert counts.synops_fanout * samples == case.jelly[0]


CONVOLUTIONS = [
    pytest.param(nn.Conv2d, {"kernel_size": 3, "stride": 2, "padding": 1}, id="conv2d-stride"),
    pytest.param(nn.Conv2d, {"kernel_size": (3, 5), "padding": (2, 0), "stride": (1, 3)}, id="conv2d-uneven"),
    pytest.param(nn.Conv2d, {"kernel_size": 3, "dilation": 2, "groups": 2}, id="conv2d-dilation-groups"),
    pytest.param(nn.Conv2d, {"kernel_size": 3, "padding": "same", "groups": 4}, id="conv2d-same-depthwise"),
    pytest.param(nn.Conv2d, {"kernel_size": 1}, id="conv2d-pointwise"),
    pytest.param(nn.Conv1d, {"kernel_size": 1}, id="conv1d-pointwise"),
    pytest.param(nn.Conv1d, {"kernel_size": 4, "stride": 3, "padding": 2, "groups": 2}, id="conv1d-stride-groups"),
    pytest.param(nn.ConvTranspose2d, {"kernel_size": 3, "stride": 2, "padding": 1}, id="transposed"),
]


@pytest.mark.parametrize("fraction", [0.0, 0.9])
@pytest.mark.parametrize(("kind", "settings"), CONVOLUTIONS)
def test_fan_out_of_convolutions_is_spikingjellys(host, kind, settings, fraction):
    generator = torch.Generator().manual_seed(0)
    module = filled(kind(4, 8, **settings))
    with torch.no_grad():
        module.weight.masked_fill_(torch.rand(module.weight.shape, generator=generator) < fraction, 0)
    shape = (3, 4, 9) if kind is nn.Conv1d else (3, 4, 9, 11)
    x_B = (torch.rand(shape, generator=generator) < 0.3).float()
    synops, macs = totals(module, x_B)
    assert synops > 0
    assert macs == 0
    counts = counted(host, flat(module), x_B)
    assert counts.synops_fanout * 3 == synops
    nonzero = module.weight.ne(0).double()
    with torch.no_grad():
        pairs = torch.func.functional_call(
            module.double(), {"weight": nonzero, "bias": torch.zeros(8).double()}, x_B.double()
        )
    assert counts.synops * 3 == pairs.sum()


def test_the_network_that_can_be_counted_by_hand(host):
    chain = nn.Sequential(
        layer.Linear(4, 3, bias=False),
        neuron.IFNode(v_reset=None),
        layer.Linear(3, 2, bias=False),
        neuron.IFNode(v_reset=None),
    )
    with torch.no_grad():
        chain[0].weight.copy_(torch.tensor([[1.0, 0, 0, 0], [0, 0.5, 0, 0], [0, 0, 0.5, 0]]))
        chain[2].weight.copy_(torch.tensor([[0.3, 0.2, 0], [0, 0, 0.4]]))
    functional.set_step_mode(chain, "m")
    x_BI = torch.tensor([[1.0, 0, 1, 0], [0, 1, 0, 1]])
    # shown twice: 8 spikes in; the first hidden neuron fires twice, the others once, after two halves: 4 spikes
    counts = counted(host, chain, x_BI, Time("multi_step", 2))
    functional.reset_net(chain)
    assert totals(chain, x_BI.expand(2, 2, 4)) == (8 * 3 + 4 * 2, 0)
    functional.reset_net(chain)
    assert counts.dense_ops == 2 * (12 + 6)
    assert counts.synops_fanout == (8 * 3 + 4 * 2) / 2
    assert counts.synops == (6 + 4) / 2  # the spikes of the last input meet no weight, each hidden one meets one
    assert counts.macs == counts.attention_ops == 0


# ---- live networks


NETWORKS = [(case, fraction) for case in (SPIKFORMER, SEW_RESNET) for fraction in (0.0, 0.75)]


@pytest.fixture(scope="module", params=NETWORKS, ids=lambda param: f"{param[0].name}-{param[1]}")
def live(request, host):
    """A live network, its input, our counts, SpikingJelly's, and the input of each layer."""
    case, fraction = request.param
    return Live(case, live_network(case, fraction, host), host)


class Live:
    def __init__(self, case, network, host):
        images = bench(case, host)
        self.name, self.network, self.samples = case.name, network, case.samples
        self.layers = {path: part for path, part in network.module.named_modules() if isinstance(part, SYNAPSES)}
        self.inputs, self.qkv_TBCN = {}, {}
        self.counts = images.observe(network, "counts").counts
        with ExitStack() as hooks:
            for path, part in self.layers.items():
                hooks.enter_context(recording(part.register_forward_pre_hook, self.inputs, path))
            for path, part in network.module.named_modules():
                if path.endswith("qkv_lif"):
                    hooks.enter_context(recording(part.register_forward_hook, self.qkv_TBCN, path))
            x_B, _ = images.data.test[:]
            self.synops, _ = jelly(network.module, x_B.expand(network.time.T, *x_B.shape))
        network.reset()

    def scope(self, path):
        """Return what SpikingJelly recorded in one module, kernel by kernel."""
        return self.synops.get_counts()[f"{type(self.network.module).__name__}.{path}"]

    def one_step(self, path):
        """Return a layer as a function of one step, and its input at each step."""
        part, x = self.layers[path], self.inputs[path]
        steps = x.reshape(self.network.time.T, self.samples, *x.shape[1 - part.weight.dim() :])
        if isinstance(part, nn.Linear):
            return lambda x_BC: linear(x_BC, part.weight, part.bias), steps
        return lambda x_BC: part._conv_forward(x_BC, part.weight, part.bias), steps


@contextmanager
def recording(register, found, path):
    """Keep what a hook is given: a layer's input, or a neuron's output."""
    with register(lambda _, given, *result: found.update({path: (result[0] if result else given[0]).clone()})):
        yield


def test_fan_out_of_a_live_network_is_spikingjellys(live):
    rows = live.counts.of("synapse")
    assert {row.path for row in rows} == set(live.layers)
    for row in rows:
        synops = sum(live.scope(row.path).values())
        assert synops == (sum(row.fanout) if row.is_event_driven else 0), row.path
    assert sum(row.is_event_driven and sum(row.fanout) > 0 for row in rows) > 5
    products = live.synops.get_counts()["Global"].get(aten.bmm.default, 0)
    assert live.counts.synops_fanout * live.samples == live.synops.get_total() - products


def test_every_step_of_every_layer_has_spikingjellys_fan_out(live):
    for row in live.counts.of("synapse"):
        if row.is_event_driven:
            module, steps = live.one_step(row.path)
            assert row.fanout == tuple(totals(module, x)[0] for x in steps), row.path


def test_attention_is_what_spikingjelly_counts(live):
    rows = {(row.path, row.operation): row for row in live.counts.of("attention")}
    assert {f"{path}.qkv_lif" for path, _ in rows} == set(live.qkv_TBCN)
    assert len(live.qkv_TBCN) == {"spikformer": 2, "sew_resnet": 0}[live.name]
    assert (live.counts.attention_ops > 0) == (live.synops.get_counts()["Global"].get(aten.bmm.default, 0) > 0)
    for name, qkv_TBCN in live.qkv_TBCN.items():
        path = name.removesuffix(".qkv_lif")
        heads = live.network.module.get_submodule(path).num_heads
        q, k, v = (x.unflatten(2, (heads, -1)) for x in qkv_TBCN.chunk(3, 2))  # [T, B, H, D, N]
        vk = v @ k.transpose(-2, -1)
        inner, outer = rows[path, "matmul"], rows[path, "matmul 2"]
        assert inner.operands == ("spikes", "spikes")
        assert inner.pairs == tuple(totals(torch.matmul, a, b.transpose(-2, -1))[0] for a, b in zip(v, k, strict=True))
        assert outer.operands == ("integers", "spikes")
        assert outer.pairs == tuple(totals(torch.matmul, a.ne(0).to(b), b)[0] for a, b in zip(vk, q, strict=True))
        assert live.scope(path)[aten.bmm.default] == sum(inner.pairs) + outer.nonzero[1] * q.shape[3]
        assert sum(outer.pairs) > 0


# ---- where SpikingJelly returns a silent zero


def test_inference_mode_is_counted(host):
    module, x_BI = LAYERS[0].module, LAYERS[0].x
    with torch.inference_mode():
        assert totals(module, x_BI) == (0, 0)
        assert counted(host, flat(module), x_BI).synops_fanout == 9 / 2


class FusedAttention(nn.Module):
    def forward(self, x_BND):
        return scaled_dot_product_attention(x_BND, x_BND, x_BND).flatten(1)


def test_fused_attention_is_counted(host):
    x_BND = torch.tensor([[[1.0, 0, 0], [0, 1, 1]]])
    assert totals(FusedAttention(), x_BND) == (0, 0)
    counts = counted(host, FusedAttention(), x_BND)
    # two queries meet themselves alone, in 1 and 2 places; softmax leaves no zero, so each of v's 3 spikes counts twice
    assert counts.attention_ops == (1 + 2) + 2 * 3
    assert counts.dense_ops == 2 * 2 * 3 + 2 * 2 * 3


class Int8(nn.Module):
    def forward(self, x_BI):
        return torch._int_mm(x_BI.to(torch.int8), torch.ones(8, 8, dtype=torch.int8)).float()


def test_an_int8_product_is_refused(host):
    x_BI = torch.ones(32, 8)
    assert totals(Int8(), x_BI) == (0, 0)
    with pytest.raises(CountError, match="_int_mm"):
        counted(host, Int8(), x_BI)


def test_a_converted_network_has_synaptic_operations_behind_its_neurons(host):
    generator = torch.Generator().manual_seed(0)
    ann = nn.Sequential(nn.Linear(8, 16, bias=False), nn.ReLU(), nn.Linear(16, 4, bias=False)).eval()
    x_BI = torch.rand((4, 8), generator=generator)
    with torch.no_grad():
        ann[0].weight.copy_(torch.rand((16, 8), generator=generator) - 0.3)
        ann[2].weight.copy_(torch.rand((4, 16), generator=generator) - 0.5)
    batches = DataLoader(TensorDataset(x_BI, torch.zeros(4)), 4)
    converted = ann2snn.FXConverter(ann2snn.RateCodingRecipe(batches)).convert(ann)
    spikes = []
    functional.reset_net(converted)
    with converted.spiking_0.if_node.register_forward_hook(lambda *given: spikes.append(int(given[2].sum()))):
        synops, macs = jelly(lambda: [converted(x_BI) for _ in range(8)])
    functional.reset_net(converted)
    assert sum(spikes) > 20
    assert synops.get_total() == 0
    steps = sum(number > 0 for number in spikes)  # in a silent step it sees zeros, which are spikes to it
    assert macs.get_total() == 8 * 4 * 8 * 16 + steps * 4 * 16 * 4
    counts = counted(host, converted, x_BI, Time("per_step", 8))
    assert counts.synops_fanout * 4 == counts.synops * 4 == sum(spikes) * 4
    assert counts.macs * 4 == 8 * 4 * 8 * 16
