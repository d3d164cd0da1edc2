"""The counter against hand arithmetic, against the oracle table, and against binarised reruns."""

import pytest
import torch
from binarised import binary, reference, sparse
from hypothesis import given, settings
from hypothesis import strategies as st
from spikingjelly.activation_based import functional, layer, neuron
from torch import nn
from torch.nn.functional import conv1d, conv2d, conv3d, conv_transpose1d, conv_transpose2d, scaled_dot_product_attention
from torch.nn.utils import parametrizations, parametrize, prune

from snncompress import CountError, StateError


class Over(nn.Module):
    """Run one function over time steps and batch, to an output [T, B, C]."""

    def __init__(self, function, *weights):
        super().__init__()
        self.function = function
        self.weights = nn.ParameterList(weights)
        self.neuron = neuron.IFNode(step_mode="m")  # so that a backend runs it

    def forward(self, x_TB):
        steps, batch = x_TB.shape[:2]
        result = self.function(x_TB.flatten(0, 1), *self.weights)
        return result.reshape(steps, batch, -1)


def hand_network():
    """Linear 4 to 3, IF, linear 3 to 2, IF; three of twelve and three of six weights are not zero."""
    network = nn.Sequential(
        layer.Linear(4, 3, bias=False), neuron.IFNode(), layer.Linear(3, 2, bias=False), neuron.IFNode()
    )
    with torch.no_grad():
        network[0].weight.copy_(torch.tensor([[1.0, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0]]))
        network[2].weight.copy_(torch.tensor([[1.0, 0, 0], [0, 1, 1]]))
    functional.set_step_mode(network, "m")
    return network


HAND_INPUT = torch.tensor([[[1.0, 1, 0, 1], [0, 0, 0, 1]], [[1, 1, 0, 1], [0, 0, 0, 1]]])
"""[T, B, 4]: eight spikes; the first sample fires hidden neurons 0 and 1 at both steps, four spikes; the second none."""


def test_the_hand_computed_network(counted):
    # dense: 2 steps x (12 + 6). Fan-out: 8 x 3 + 4 x 2 = 32 of two samples. Pairs: inputs 0 and 1 spike twice each and meet
    # one weight each, 4, input 3 meets none; the hidden neurons 0 and 1 spike twice each and meet one weight each: 4 + 4 = 8
    found = counted(hand_network(), HAND_INPUT)
    assert (found.dense_ops, found.synops_fanout, found.macs, found.attention_ops) == (36, 16, 0, 0)
    assert found.synops == 4
    rows = {row.path: row for row in found.rows if row.kind == "synapse"}
    assert (rows["0"].fanout, rows["0"].pairs, rows["2"].fanout, rows["2"].pairs) == (
        (12, 12),
        (4 - 2, 2),
        (4, 4),
        (2, 2),
    )
    assert (rows["0"].weights, rows["0"].weights_nonzero, rows["2"].weights_nonzero) == (12, 3, 3)
    assert rows["0"].densities == (0.5,)


def test_the_published_hand_computed_numbers(counted):
    # the same with a second weight behind hidden neuron 0: W2 has 3 of 6, and its spikes meet 2 + 1; ten pairs of two samples
    network = hand_network()
    with torch.no_grad():
        network[2].weight.copy_(torch.tensor([[1.0, 0, 0], [1, 1, 0]]))
    found = counted(network, HAND_INPUT)
    assert (found.dense_ops, found.synops_fanout, found.synops, found.macs) == (36, 16, 5, 0)


X = {
    "binary": [[1.0, 0, 0, 1], [0, 1, 0, 0]],
    "real": [[0.3, 0, 0, 0.7], [0, 0.2, 0, 0]],
    "half": [[0.5, 0, 0, 0.5], [0, 0.5, 0, 0]],
    "ternary": [[1.0, 0, 0, -1], [0, -1, 0, 0]],
    "integers": [[1.0, 0, 0, 2], [0, 2, 0, 0]],
}


@pytest.mark.parametrize(
    ("case", "synops", "macs", "operand"),
    [
        ("binary", 9, 0, "spikes"),
        ("real", 0, 9, "real"),
        ("half", 0, 9, "real"),
        ("ternary", 9, 0, "spikes"),
        ("integers", 0, 9, "integers"),
    ],
)
def test_the_case_table_of_a_linear_layer(counted, case, synops, macs, operand):
    linear = nn.Linear(4, 3, bias=False)
    found = counted(linear, torch.tensor(X[case]), "none")
    assert (2 * found.synops, 2 * found.macs, 2 * found.dense_ops) == (synops, macs, 24)
    assert found.of("synapse")[0].operands == (operand,)


def test_pruned_weights_cost_nothing(counted):
    linear = nn.Linear(4, 3, bias=False)
    with torch.no_grad():
        linear.weight.zero_()
        linear.weight[0, 0] = linear.weight[2, 1] = 1
    found = counted(linear, torch.tensor(X["binary"]), "none")
    assert (2 * found.synops, 2 * found.synops_fanout) == (2, 9)


@pytest.mark.parametrize(
    ("settings_of", "at", "expected"),
    [
        ({"padding": 1}, (0, 0), 8),
        ({"padding": 1}, (2, 2), 18),
        ({"padding": 1, "stride": 2}, (0, 0), 2 * 1),
        ({"padding": 1, "stride": 2}, (1, 1), 8),
        ({"padding": 1, "groups": 2}, (2, 2), 9),
    ],
)
def test_one_spike_before_a_convolution_of_two_channels(counted, settings_of, at, expected):
    # a corner meets 4 of 9 taps, twice for two output channels; at stride 2 the corner meets one output and (1, 1) four
    convolution = nn.Conv2d(2, 2, 3, bias=False, **settings_of)
    x = torch.zeros(1, 2, 5, 5)
    x[0, 0, at[0], at[1]] = 1
    module = nn.Sequential(convolution, nn.Flatten())
    assert counted(module, x, "none").synops == expected


@settings(max_examples=60, deadline=None)
@given(
    axes=st.integers(1, 3), groups=st.sampled_from([1, 2]), stride=st.integers(1, 3), padding=st.integers(0, 2),
    dilation=st.integers(1, 2), kernel=st.integers(1, 3), size=st.integers(5, 7), transposed=st.booleans(),
)  # fmt: skip
def test_any_convolution_counts_what_a_binarised_rerun_counts(
    axes, groups, stride, padding, dilation, kernel, size, transposed
):
    from snncompress.measure.counting.arithmetic import fan_out, met, summed, taps

    function = {(1, False): conv1d, (2, False): conv2d, (3, False): conv3d}.get((axes, transposed))
    if transposed:
        axes = min(axes, 2)
        function = {1: conv_transpose1d, 2: conv_transpose2d}[axes]
    shape = [4, 6 // groups] if not transposed else [4, 3]
    weight = sparse(*shape, *[kernel] * axes, seed=kernel)
    channels = 4 if transposed else shape[1] * groups
    x = binary(3, channels, *[size] * axes, seed=size)
    settings_of = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    out = function(x, weight, **settings_of)
    reach = [
        taps(
            size, out.shape[2 + axis], kernel, stride=stride, padding=padding, dilation=dilation, transposed=transposed
        )
        for axis in range(axes)
    ]
    met_SCK = met(summed(x, 1, axes + 1), reach)
    width = weight.shape[1] if transposed else weight.shape[0] // groups
    pairs = (met_SCK * fan_out(weight, groups, transposed=transposed)).sum()
    assert (int(met_SCK.sum() * width), int(pairs)) == reference(function, x, weight, **settings_of)


@pytest.mark.parametrize(
    "settings_of",
    [
        {},
        {"padding": "same"},
        {"padding": "valid"},
        {"stride": (2, 1), "padding": (0, 1), "dilation": (1, 2)},
        {"groups": 3},
    ],
)
def test_a_functional_convolution_step_by_step(counted, settings_of):
    weight = sparse(6, 6 // settings_of.get("groups", 1), 3, 3)
    x_TB = binary(4, 5, 6, 7, 7)
    module = Over(lambda x, weight: conv2d(x, weight, **settings_of), weight)
    (row,) = counted(module, x_TB).of("synapse")
    expected = [reference(conv2d, x_TB[step], weight, **settings_of) for step in range(4)]
    assert list(zip(row.fanout, row.pairs, strict=True)) == expected
    out = conv2d(x_TB.flatten(0, 1), weight, **settings_of)
    assert sum(row.dense) == out.numel() * weight[0].numel()
    assert row.operation == "conv2d(weights.0)"


def filled(x):
    """Copy x into a tensor made beforehand, as loops over time do."""
    copy = torch.zeros(x.shape)
    for index, one in enumerate(x):
        copy[index] = one
    return copy


def filled_by_parts(x):
    copy = torch.zeros(x.shape)
    for index, one in enumerate(x):
        copy[index].copy_(one)
    return copy


@pytest.mark.parametrize(
    "function",
    [
        nn.functional.linear,
        lambda x, w: x @ w.T,
        lambda x, w: torch.matmul(w, x.mT).mT,
        lambda x, w: torch.einsum("tni,oi->tno", x, w),
        lambda x, w: (x.unsqueeze(2) * w).sum(3),
        lambda x, w: torch.bmm(x, w.T.expand(len(x), -1, -1)),
        lambda x, w: torch.stack([torch.mm(one, w.t()) for one in x]),
        lambda x, w: torch.mm(x.flatten(0, 1), w.T, out=x.new_empty(24, 5)),
        lambda x, w: torch.mm(mat2=w.T, input=x.flatten(0, 1)),
        lambda x, w: torch.stack([nn.functional.linear(one, w) for one in x.flatten(0, 1)]),
        lambda x, w: torch.stack([w @ one for one in x.flatten(0, 1)]),
        lambda x, w: torch.einsum("bnT,oT->bno", x, w),
        lambda x, w: torch.einsum("bni,oi", x, w),
        lambda x, w: x @ w.type_as(x).T,
        lambda x, w: x @ (w * x.new_tensor([1.0] * 6)).T,
        lambda x, w: x @ w[None].expand_as(x[:5, 0, :].expand(1, 5, 6)).mT,
        lambda x, w: filled(x) @ w.T,
        lambda x, w: filled_by_parts(x) @ w.T,
        lambda x, w: torch.from_numpy(x.numpy()) @ w.T,
    ],
    ids=[
        *(
            "linear",
            "operator",
            "matmul",
            "einsum",
            "product",
            "bmm",
            "mm",
            "out",
            "named",
            "vectors",
            "mv",
            "einsum T",
        ),
        *("einsum implicit", "type_as", "new_tensor", "expand_as", "filled", "filled by parts", "numpy"),
    ],
)
def test_one_product_of_weights_however_it_is_written(counted, function):
    weight, x_TB = sparse(5, 6), binary(3, 2, 4, 6)
    found = counted(Over(function, weight), x_TB)
    expected = reference(nn.functional.linear, x_TB.flatten(0, 2), weight)
    assert (2 * found.synops_fanout, 2 * found.synops) == expected
    assert (2 * found.dense_ops, found.attention_ops, found.macs) == (3 * 2 * 4 * 30, 0, 0)


def attention_reference(a, b):
    return int((a.ne(0).double() @ b.ne(0).double()).sum())


@pytest.mark.parametrize(
    "product",
    [
        lambda q, k: q @ k.transpose(-2, -1),
        lambda q, k: torch.matmul(q, k.mT),
        lambda q, k: torch.einsum("bnd,bmd->bnm", q, k),
        lambda q, k: (q.unsqueeze(2) * k.unsqueeze(1)).sum(3),
        lambda q, k: torch.baddbmm(q.new_zeros(()), q, k.mT),
    ],
    ids=["operator", "matmul", "einsum", "product", "baddbmm"],
)
def test_products_of_two_activations_by_coincidence(counted, product):
    x_TB = binary(2, 3, 4, 10)
    found = counted(Over(lambda x: product(x[..., :5], x[..., 5:])), x_TB)
    x = x_TB.flatten(0, 1)
    expected = attention_reference(x[..., :5], x[..., 5:].mT)
    assert (3 * found.attention_ops, found.synops, found.macs) == (expected, 0, 0)
    assert 3 * found.dense_ops == 6 * 4 * 4 * 5


def test_the_steps_of_a_product_of_two_activations(counted):
    x_TB = binary(2, 3, 4, 10)
    (row,) = counted(Over(lambda x: x[..., :5] @ x[..., 5:].mT), x_TB).of("attention")
    assert row.pairs == tuple(attention_reference(x[..., :5], x[..., 5:].mT) for x in x_TB)
    assert row.nonzero == (int(x_TB[..., :5].sum()), int(x_TB[..., 5:].sum()))


def test_scaled_dot_product_attention_by_hand(counted):
    # two heads, four tokens of width 3; softmax leaves no zero, a causal mask leaves 10 of 16 places
    x_TB = binary(2, 3, 2, 4, 9)
    x = x_TB.flatten(0, 1)
    q, k, v = x.split(3, dim=-1)
    for is_causal, seen in ((False, torch.ones(4, 4)), (True, torch.ones(4, 4).tril())):
        module = Over(lambda x, causal=is_causal: scaled_dot_product_attention(*x.split(3, dim=-1), is_causal=causal))
        found = counted(module, x_TB)
        expected = attention_reference(q, k.mT) + attention_reference(seen.expand(6, 2, 4, 4), v)
        assert 3 * found.attention_ops == expected
        assert 3 * found.dense_ops == 2 * 6 * 2 * 4 * 4 * 3
        assert [row.operands for row in found.of("attention")] == [("spikes", "spikes"), ("real", "spikes")]


@pytest.mark.parametrize(("kind", "gates"), [(nn.LSTMCell, 4), (nn.GRUCell, 3), (nn.RNNCell, 1)])
def test_the_gates_of_a_recurrent_cell(counted, kind, gates):
    class Cells(nn.Module):
        def __init__(self):
            super().__init__()
            self.cell = kind(4, 3)

        def forward(self, x_TBC):
            state, outputs = None, []
            for x_BC in x_TBC:
                state = self.cell(x_BC, state)
                outputs.append(state[0] if isinstance(state, tuple) else state)
            return torch.stack(outputs)

    x_TBC = binary(2, 5, 4)
    found = counted(Cells(), x_TBC, "inside")
    of_input, of_state = found.of("synapse")
    assert (of_input.operation, of_state.operation) == ("cell(weight_ih)", "cell(weight_hh)")
    assert of_input.pairs == tuple(int(x_BC.sum()) * gates * 3 for x_BC in x_TBC)
    assert of_state.pairs == (0, 5 * 3 * gates * 3)  # the state is zero at first, then real
    assert found.dense_ops == 2 * gates * 3 * (4 + 3)


def test_layers_in_a_container_of_the_library(counted):
    weight = sparse(4, 3, 3, 3)
    convolution = nn.Conv2d(3, 4, 3, bias=False)
    with torch.no_grad():
        convolution.weight.copy_(weight)
    module = nn.Sequential(layer.SeqToANNContainer(convolution, nn.Flatten()), neuron.IFNode(step_mode="m"))
    x_TB = binary(2, 3, 3, 6, 6)
    row = next(row for row in counted(module, x_TB).rows if row.kind == "synapse")
    assert row.path == "0.0"
    assert [*zip(row.fanout, row.pairs, strict=True)] == [reference(conv2d, x, weight) for x in x_TB]


def test_biases_norms_neurons_pools_and_softmax_stand_apart(counted):
    module = nn.Sequential(
        layer.Conv2d(1, 2, 3, padding=1), layer.BatchNorm2d(2), neuron.IFNode(), layer.MaxPool2d(2), layer.Flatten(),
        layer.Linear(8, 3), nn.Softmax(-1),
    )  # fmt: skip
    functional.set_step_mode(module, "m")
    found = counted(module, binary(2, 5, 1, 4, 4))
    apart = {(row.path, row.kind): sum(row.dense) for row in found.rows if row.kind not in ("synapse", "attention")}
    steps = 2 * 5
    assert apart == {
        ("0", "bias"): 32 * steps, ("1", "norm"): 32 * steps, ("2", "neuron"): 32 * steps, ("3", "pool"): 8 * steps,
        ("5", "bias"): 3 * steps, ("6", "softmax"): 3 * steps,
    }  # fmt: skip
    assert found.dense_ops == 2 * (2 * 16 * 9 + 24)


@pytest.mark.parametrize("shape", [(4, 6), (1, 4, 6), (1, 1, 4, 6), (3, 1, 4, 6)])
def test_weights_for_each_position(counted, shape):
    weight, x_TB = sparse(*shape), binary(3, 2, 4, 6)

    class Positions(Over):
        def forward(self, x_TB):
            return self.function(x_TB, *self.weights).flatten(2)

    (row,) = counted(Positions(lambda x, w: x * w, weight), x_TB).of("synapse")
    assert (sum(row.fanout), sum(row.pairs)) == (x_TB.count_nonzero(), (x_TB * weight).count_nonzero())
    assert (sum(row.dense), row.weights) == (3 * 2 * 24, weight.numel())


def test_a_product_in_place_counts_what_was_there_before(counted):
    x_TB, weight = binary(3, 2, 4, 6), sparse(4, 6)
    for change in (lambda x, w: x.clone().mul_(w), lambda x, w: x.clone().__imul__(w), lambda x, w: x * w):
        (row,) = counted(Over(change, weight), x_TB).of("synapse")
        assert (row.operands, row.nonzero) == (("spikes",), (x_TB.count_nonzero(),))
        assert sum(row.pairs) == (x_TB * weight).count_nonzero()


def test_addcmul_multiplies_its_last_two(counted):
    x_TB = binary(2, 3, 4)
    found = counted(Over(lambda x: torch.addcmul(torch.ones_like(x), x, x)), x_TB)
    assert 3 * found.attention_ops == x_TB.count_nonzero()


@pytest.mark.parametrize("batch_size", [1, 2, 3])
def test_a_gate_for_each_sample_counts_in_batches_of_one_too(counted, batch_size):
    x_B = binary(3, 6)
    module = Gated()
    found = counted(module, x_B, "none", batch_size=batch_size)
    assert (3 * found.attention_ops, found.dense_ops) == (x_B.count_nonzero(), 6 + 6)  # a sigmoid is never zero


class Gated(nn.Linear):
    def __init__(self):
        super().__init__(6, 1)

    def forward(self, x):
        return x * super().forward(x).sigmoid()


class Biased(nn.Module):
    """A layer, and a bias for its outputs that a network of its own makes of weights or of constants, in each forward."""

    def __init__(self, positions):
        super().__init__()
        self.fc, self.inner, self.positions = nn.Linear(4, 3, bias=False), nn.Linear(2, 3), positions
        self.register_buffer("table", torch.rand(3, 2))

    def forward(self, x):
        inner = self.inner(self.positions(self)).relu()
        return self.fc(x) + inner.mean(0)


@pytest.mark.parametrize("batch_size", [1, 2, 3])
@pytest.mark.parametrize(
    "positions", [lambda module: module.table, lambda _: torch.stack([torch.arange(3.0), torch.arange(3.0).sin()], 1)]
)
def test_what_follows_from_weights_alone_is_not_counted(counted, batch_size, positions):
    found = counted(Biased(positions), binary(3, 4), "none", batch_size=batch_size)
    assert found.dense_ops == 12
    assert {row.path for row in found.rows} == {"fc"}


def test_the_first_state_of_a_loop_is_counted_however_it_is_written(counted):
    class Loop(nn.Module):
        def __init__(self, recur):
            super().__init__()
            self.weight, self.recur = nn.Parameter(sparse(4, 4)), recur
            self.neuron = neuron.IFNode()

        def forward(self, x_TB):
            state, outputs = torch.zeros(x_TB.shape[1:]), []
            for x in x_TB:
                state = (x + self.recur(state, self.weight)).tanh()
                outputs.append(state)
            return torch.stack(outputs)

    for recur in (nn.functional.linear, lambda x, w: x @ w.T, lambda x, w: torch.einsum("bi,oi->bo", x, w)):
        found = counted(Loop(recur), binary(3, 2, 4), "inside")
        assert found.dense_ops == 3 * 16


@pytest.mark.parametrize("shape", [(6, 4), (3, 9001, 3)])
@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16])
def test_spikes_in_any_precision_are_counted_exactly(counted, shape, dtype):
    class Cast(nn.Module):
        def __init__(self, width):
            super().__init__()
            self.neuron, self.fc = (
                neuron.IFNode(v_threshold=0.5, v_reset=0.0),
                nn.Linear(width, 3, bias=False).to(dtype),
            )

        def forward(self, x):
            return self.fc(self.neuron(x).to(dtype)).float()

    x = binary(2, *shape[-2:], rate=0.8)
    found = counted(Cast(shape[-1]), x, "per_step", batch_size=10_000)
    assert sum(map(sum, (row.pairs for row in found.of("synapse")))) == 3 * x.count_nonzero()


def test_sums_longer_than_float32_can_hold_are_exact():
    from snncompress.measure.counting.arithmetic import coincidences, summed

    ones = torch.ones(1, 1).expand(2**24 + 3, 1)
    assert summed(ones, 1, 1) == 2**24 + 3
    assert coincidences(ones, torch.ones(1, 1), "ai", "oi") == 2**24 + 3


@pytest.mark.parametrize("batch_size", [1, 2, 5])
def test_counts_do_not_depend_on_the_batches(counted, batch_size):
    x_TB = torch.cat([binary(2, 3, 4), 2 * binary(2, 2, 4)], dim=1)  # the last samples hold twos: integers for all
    found = counted(Over(lambda x, w: x @ w.T, sparse(3, 4)), x_TB, batch_size=batch_size)
    assert (found.samples, found.of("synapse")[0].operands, found.synops) == (5, ("integers",), 0)
    assert 5 * found.macs == reference(nn.functional.linear, x_TB.flatten(0, 1), sparse(3, 4))[1]


def test_the_networks_own_input_is_known_and_whether_it_repeats(counted):
    module = hand_network()
    still = torch.rand(1, 3, 4).expand(2, 3, 4)
    first, second = counted(module, still).of("synapse")
    assert (first.is_first, first.repeats, second.is_first, second.repeats) == (True, True, False, False)
    assert counted(module, HAND_INPUT + torch.rand(2, 2, 4)).of("synapse")[0].repeats is False


# ---- where others return zero


def test_inference_mode_counts_as_ever(counted):
    expected = counted(hand_network(), HAND_INPUT)
    with torch.inference_mode():
        assert counted(hand_network(), HAND_INPUT) == expected


def test_pruning_hooks_and_parametrisations_are_counted_with_the_weights_in_use(counted):
    x = torch.tensor(X["binary"])
    mask = torch.tensor(
        [[1.0, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 0]]
    )  # one weight behind inputs 0 and 1: one pair a sample
    hooked = nn.Linear(4, 3, bias=False)
    prune.custom_from_mask(hooked, "weight", mask)

    class Masked(nn.Module):
        def forward(self, weight):
            return weight * mask

    dressed = nn.Linear(4, 3, bias=False)
    parametrize.register_parametrization(dressed, "weight", Masked())
    for module in (hooked, dressed):
        found = counted(module, x, "none")
        assert (2 * found.synops, 2 * found.synops_fanout, found.attention_ops) == (2, 9, 0)


@pytest.mark.parametrize("normed", [parametrizations.weight_norm, parametrizations.spectral_norm])
def test_a_norm_of_weights_is_no_operation_of_the_network(counted, normed):
    found = counted(normed(nn.Linear(4, 3, bias=False)), torch.tensor(X["binary"]), "none")
    assert (2 * found.synops, found.dense_ops, found.attention_ops) == (9, 12, 0)


def test_a_quantised_layer_is_refused_by_name(counted):
    with pytest.warns(UserWarning, match="quantize_per_tensor"):
        quantised = torch.ao.nn.quantized.dynamic.Linear(4, 3)
    with pytest.raises(
        CountError, match=r"^0 \(Linear\) calls 'linear_dynamic', which no rule counts; write it with linear,"
    ):
        counted(nn.Sequential(quantised), torch.tensor(X["binary"]), "none")


@pytest.mark.parametrize(
    ("module", "match"),
    [
        (nn.LSTM(4, 3, batch_first=True), r"^the root \(First\) .*|^inner \(LSTM\) calls 'lstm'"),
        (nn.Bilinear(4, 4, 3), r"inner \(Bilinear\) calls 'bilinear'"),
        (
            nn.MultiheadAttention(4, 2, batch_first=True),
            "inner .MultiheadAttention. calls 'multi_head_attention_forward'",
        ),
    ],
)
def test_a_product_without_a_rule_is_refused_by_name(counted, module, match):
    class First(nn.Module):
        def __init__(self, inner):
            super().__init__()
            self.inner = inner

        def forward(self, x):
            several = {nn.LSTM: 1, nn.Bilinear: 2}.get(type(self.inner), 3)
            result = self.inner(*[x[:, None] if several != 2 else x] * several)
            return result[0][:, 0] if isinstance(result, tuple) else result

    with pytest.raises(CountError, match=match):
        counted(First(module), torch.tensor(X["binary"]), "none")


def test_a_diagonal_in_einsum_is_refused_by_name(counted):
    with pytest.raises(CountError, match=r"^the root \(Over\) calls einsum\('bii,oi->bo'\), which takes a diagonal"):
        counted(Over(lambda x, w: torch.einsum("bii,oi->bo", x, w), sparse(3, 4)), binary(2, 3, 4, 4))


def test_two_tensors_of_unknown_origin_are_refused_by_name(counted):
    def product(x):
        outside = torch.from_numpy(x.numpy())
        return outside @ outside.mT

    with pytest.raises(
        CountError, match=r"^the root \(Over\) multiplies two tensors of which the counter has not seen"
    ):
        counted(Over(product), binary(2, 3, 4, 4))


class Product(torch.autograd.Function):
    @staticmethod
    def forward(_, x, weight):
        return x @ weight.T


class HidingNet(nn.Module):
    """A layer, and a product that functions of Python do not show, as in a compiled extension."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 3)

    def forward(self, x):
        with torch._C.DisableTorchFunction():
            hidden = x @ self.fc.weight.T
        return self.fc(x) + hidden


def test_a_product_hidden_from_functions_is_found(counted):
    with pytest.raises(
        CountError, match=r"^the root \(HidingNet\) made 24 multiply-accumulates in mm, of which 0 were counted"
    ):
        counted(HidingNet(), torch.tensor(X["binary"]), "none")


def test_a_product_in_a_custom_autograd_function_is_counted(counted):
    module = Over(Product.apply, sparse(3, 4))
    x_TB = torch.tensor(X["binary"])[:, None]
    assert counted(module, x_TB).synops == reference(nn.functional.linear, x_TB[:, 0], sparse(3, 4))[1]


class Unused(nn.Module):
    """A layer whose weights a library of its own reads."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(3, 4))

    def forward(self, x):
        return x.new_tensor(x.numpy() @ self.weight.detach().numpy().T)


def test_a_transform_whose_products_no_rule_counts_is_refused(counted):
    class Mixing(nn.Module):
        def forward(self, x):
            return torch.fft.fft(x, dim=1).real

    with pytest.raises(CountError, match=r"^0 \(Mixing\) calls 'fft_fft', which no rule counts"):
        counted(nn.Sequential(Mixing()), torch.tensor(X["binary"]), "none")


def test_a_live_layer_that_counted_nothing_is_found(counted):
    with pytest.raises(CountError, match=r"^0 \(Unused\) ran, but no counted operation used its weights '0.weight'"):
        counted(nn.Sequential(Unused()), torch.tensor(X["binary"]), "none")


def test_a_compiled_module_counts_as_the_module_itself(counted):
    x = torch.tensor(X["binary"])
    assert 2 * counted(nn.Sequential(torch.compile(nn.Linear(4, 3, bias=False))), x, "none").synops == 9


def test_a_transform_that_hides_the_samples_is_refused_by_name(counted):
    class Mapped(nn.Linear):
        def forward(self, x):
            return torch.vmap(super().forward)(x)

    with pytest.raises(CountError, match=r"^0 \(Mapped\) runs under torch.vmap or another transform"):
        counted(nn.Sequential(Mapped(4, 3)), torch.tensor(X["binary"]), "none")


class Forgetful(neuron.IFNode):
    """A neuron that fires at once when it has been called before, which no reset undoes."""

    calls = 0

    def multi_step_forward(self, x):
        self.calls += 1
        return super().multi_step_forward(x + 2 * (self.calls > 1))


def test_state_that_survives_a_reset_is_found(counted):
    module = nn.Sequential(layer.Linear(4, 3, step_mode="m"), Forgetful(step_mode="m"))
    with torch.no_grad():
        module[0].weight.fill_(0.1)
        module[0].bias.zero_()
    with pytest.raises(StateError, match="answers differently to the same input after a reset"):
        counted(module, HAND_INPUT)


def test_state_left_by_the_caller_is_cleared(counted, network_of):
    module = hand_network()
    expected = counted(module, HAND_INPUT)
    module(torch.full((1, 2, 4), 0.6))
    assert counted(module, HAND_INPUT) == expected


def test_masks_that_do_not_hold_are_found(network_of, observed):
    from snncompress.measure.observe import observe

    network = network_of(nn.Linear(4, 3, bias=False), "none")
    masked = network.with_masks({"weight": torch.tensor([[True, False, True, True]] * 3)})
    with torch.no_grad():
        masked.module.weight.fill_(1)
    with pytest.raises(
        StateError, match=r"^3 masked weights of 'weight' are not zero; train within network.hold_masks"
    ):
        observe(masked, None)


def test_counting_leaves_no_hook_and_the_same_output(network_of, counted):
    module = hand_network()
    before = module(HAND_INPUT)
    functional.reset_net(module)
    counted(module, HAND_INPUT)
    assert torch.equal(module(HAND_INPUT), before)
    assert not any(part._forward_hooks or part._forward_pre_hooks for part in module.modules())


class Remembering(nn.Module):
    """Keep the last input in a buffer, and weights of its own in another type's clothes."""

    def __init__(self):
        super().__init__()
        self.register_buffer("last", torch.zeros(3, 4))
        self.fc = nn.Linear(4, 2, bias=False)

    def forward(self, x):
        self.last.zero_().add_(x)
        return self.last @ self.fc.weight.type_as(x).T


def test_counting_leaves_nothing_on_tensors(counted):
    module, x = Remembering(), binary(3, 4)
    assert 3 * counted(module, x, "none").synops == 2 * x.count_nonzero()
    assert [vars(value) for value in (*module.parameters(), *module.buffers(), x)] == [{}] * 3


def test_memory_does_not_grow_with_batches(network_of):
    from snncompress.measure.counting.counter import Counter

    network = network_of(Over(lambda x, w: x @ w.T, sparse(3, 4)))
    counter, sizes = Counter(network), []
    for _ in range(3):
        with counter.counting(binary(2, 5, 4), repeats=False), torch.no_grad():
            network.forward(binary(2, 5, 4))
        sizes.append(len(counter._of_weights))
    assert sizes[0] == sizes[-1]
