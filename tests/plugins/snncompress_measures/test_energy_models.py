import pytest

from snncompress import OperationCounts, Row
from snncompress_measures.energy_models import (
    Compute45nm,
    Memory45nm,
    Neuromorphic77fj,
    SpikeDrivenTransformer,
    Spikformer,
    Spikingformer,
)

MJ = 1e-9
"""One pJ in mJ."""

MODELS = [Compute45nm, Memory45nm, Spikformer, Spikingformer, SpikeDrivenTransformer, Neuromorphic77fj]


def counted(*rows, samples=1, timesteps=2):
    return OperationCounts(samples=samples, timesteps=timesteps, rows=rows)


def synapse(*operands, pairs=(5, 7), fanout=(10, 14), dense=(100, 100), **known):
    return Row(
        path="fc",
        operation="linear",
        kind="synapse",
        operands=operands,
        pairs=pairs,
        fanout=fanout,
        dense=dense,
        **known,
    )


def attention(*operands, pairs=(3, 4), dense=(50, 50), nonzero=(20, 40), sizes=(100, 100)):
    return Row(
        path="attn",
        operation="matmul",
        kind="attention",
        operands=operands,
        pairs=pairs,
        dense=dense,
        nonzero=nonzero,
        sizes=sizes,
    )


def whole(model, *rows, **known):
    parts = model.energy(counted(*rows, **known))
    return sum(parts.values())


# ---- published totals


def test_the_published_total_of_spikformer_8_768_under_77_fj():
    ops = synapse("spikes", pairs=(22_090_000_000,))
    assert round(whole(Neuromorphic77fj(), ops), 3) == 1.701


def test_the_published_total_of_spikingformer_8_768():
    stem = synapse("real", pairs=(521_000_000,))
    rest = synapse("spikes", pairs=(12_510_000_000,))
    parts = Spikingformer().energy(counted(stem, rest))
    assert round(sum(parts.values()), 2) == 13.66
    assert parts["synapse_mac"] == pytest.approx(2.3966)
    assert parts["synapse_ac"] == pytest.approx(11.259)


# ---- what is an accumulate


@pytest.mark.parametrize(
    ("operand", "compute", "spikformer", "spikingformer"),
    [
        ("spikes", 0.9, 0.9, 0.9),
        ("scaled_spikes", 0.9, 0.9, 0.9),
        ("integers", 4.6, 0.9, 4.6),
        ("real", 4.6, 4.6, 4.6),
    ],
)
def test_what_a_weight_costs_depends_on_what_meets_it(operand, compute, spikformer, spikingformer):
    row = synapse(operand)  # 5 pairs at the first step and 7 at the second
    assert whole(Compute45nm(), row) == pytest.approx(12 * compute * MJ)
    assert whole(SpikeDrivenTransformer(), row) == pytest.approx(12 * compute * MJ)
    assert whole(Spikformer(), row) == pytest.approx(12 * spikformer * MJ)
    assert whole(Spikingformer(), row) == pytest.approx(12 * spikingformer * MJ)
    assert whole(Neuromorphic77fj(), row) == pytest.approx(12 * (0.077 if compute == 0.9 else 12.5) * MJ)


def test_pooled_spikes_are_events_each_or_one_number():
    # 30 of 100 entries hold 80 spikes in all; a dense layer does 400 MACs; half of its 8 weights are left
    row = synapse(
        "spike_counts",
        pairs=(160,),
        fanout=(320,),
        dense=(400,),
        nonzero=(30,),
        sizes=(100,),
        weights=8,
        weights_nonzero=4,
    )
    assert whole(Compute45nm(), row) == pytest.approx(160 * 0.9 * MJ)
    assert whole(Spikformer(), row) == pytest.approx(160 * 0.9 * MJ)
    assert whole(Spikingformer(), row) == pytest.approx(400 * 0.3 * 0.5 * 4.6 * MJ)
    assert whole(Spikingformer(zero_weights="counted"), row) == pytest.approx(400 * 4.6 * MJ)


def test_an_image_of_whole_numbers_is_no_residual_stream():
    assert whole(Spikformer(), synapse("integers", is_first=True)) == pytest.approx(12 * 4.6 * MJ)


@pytest.mark.parametrize(
    ("operands", "compute", "spikformer", "spikingformer"),
    [
        # 7 products of non-zero entries; 100 dense ones, densities 0.2 and 0.4
        (("spikes", "spikes"), 7 * 0.9, 7 * 0.9, 100 * 0.2 * 0.9),
        (("integers", "spikes"), 7 * 4.6, 7 * 0.9, 100 * 0.4 * 0.9),
        (("spikes", "real"), 7 * 4.6, 7 * 4.6, 100 * 0.2 * 0.9),
        (("integers", "integers"), 7 * 4.6, 7 * 0.9, 100 * 4.6),
        (("real", "real"), 7 * 4.6, 7 * 4.6, 100 * 4.6),
    ],
)
def test_a_product_of_two_activations(operands, compute, spikformer, spikingformer):
    row = attention(*operands)
    assert whole(Compute45nm(), row) == pytest.approx(compute * MJ)
    assert whole(SpikeDrivenTransformer(), row) == pytest.approx(compute * MJ)
    assert whole(Spikformer(), row) == pytest.approx(spikformer * MJ)
    assert whole(Spikingformer(), row) == pytest.approx(spikingformer * MJ)


def test_spikingformers_formula_for_attention():
    # T heads n d^2 (min(fr_k, fr_v) + fr_q), with T 4, 8 heads, 16 tokens, 32 channels a head, rates 0.1, 0.3, 0.2
    steps, heads, tokens, channels = 4, 8, 16, 32
    entries = steps * heads * tokens * channels
    dense = (heads * tokens * channels * channels,) * steps
    size = {"k": entries // 10, "v": 3 * entries // 10, "q": entries // 5}
    keys_by_values = attention(
        "spikes", "spikes", dense=dense, nonzero=(size["k"], size["v"]), sizes=(entries, entries)
    )
    squares = steps * heads * channels * channels
    queries_by_those = attention("spikes", "integers", dense=dense, nonzero=(size["q"], 9), sizes=(entries, squares))
    rates = {name: some / entries for name, some in size.items()}
    published = steps * heads * tokens * channels**2 * (min(rates["k"], rates["v"]) + rates["q"])
    found = Spikingformer().energy(counted(keys_by_values, queries_by_those))["attention_ac"]
    assert found == pytest.approx(0.9 * published * MJ)


# ---- zero weights, repeated inputs, samples


@pytest.mark.parametrize("model", [Compute45nm, Spikformer, Spikingformer, SpikeDrivenTransformer])
def test_counted_zero_weights_cost_fan_out_for_spikes_and_dense_operations_for_the_rest(model):
    parts = model(zero_weights="counted").energy(counted(synapse("spikes"), synapse("real")))
    assert parts["synapse_ac"] == pytest.approx(24 * 0.9 * MJ)
    assert parts["synapse_mac"] == pytest.approx(200 * 4.6 * MJ)


def test_a_residual_stream_that_counts_as_spikes_costs_its_fan_out():
    assert whole(Spikformer(zero_weights="counted"), synapse("integers")) == pytest.approx(24 * 0.9 * MJ)


def test_the_spike_driven_transformer_counts_a_repeated_input_once():
    stem = synapse("real", pairs=(6, 6, 6, 6), dense=(9, 9, 9, 9), is_first=True, repeats=True)
    assert whole(Compute45nm(), stem) == pytest.approx(24 * 4.6 * MJ)
    assert whole(SpikeDrivenTransformer(), stem) == pytest.approx(6 * 4.6 * MJ)
    assert whole(SpikeDrivenTransformer(zero_weights="counted"), stem) == pytest.approx(9 * 4.6 * MJ)
    moving = stem.model_copy(update={"repeats": False})
    assert whole(SpikeDrivenTransformer(), moving) == pytest.approx(24 * 4.6 * MJ)
    inner = stem.model_copy(update={"is_first": False})
    assert whole(SpikeDrivenTransformer(), inner) == pytest.approx(24 * 4.6 * MJ)


def test_memory_is_a_model_of_its_own():
    rows = (
        synapse("spikes"),  # 12 weights read
        synapse("real"),  # 12 more
        Row(path="fc", operation="bias", kind="bias", dense=(3, 3)),  # 6 biases read
        Row(path="lif", operation="lif", kind="neuron", dense=(8, 8)),  # 16 states read and written
        Row(path="norm", operation="batch_norm", kind="norm", dense=(8, 8)),
        attention("spikes", "spikes"),
    )
    parts = Memory45nm().energy(counted(*rows))
    compute = Compute45nm().energy(counted(*rows))
    assert {name: parts[name] for name in compute} == compute
    moved = {name: mj / (4 * 24.96 * MJ) for name, mj in parts.items() if name not in compute}
    assert moved == pytest.approx({"weight_reads": 24, "bias_reads": 6, "state_reads": 16, "state_writes": 16})
    fan_out = Memory45nm(zero_weights="counted", bytes_per_value=1, byte_pj=2.0).energy(counted(*rows))
    assert fan_out["weight_reads"] == pytest.approx((24 + 200) * 2 * MJ)


@pytest.mark.parametrize("model", MODELS)
def test_the_energy_is_that_of_one_sample(model):
    rows = (synapse("spikes"), synapse("real"), attention("spikes", "spikes"))
    doubled = tuple(
        row.model_copy(update={"pairs": tuple(2 * number for number in row.pairs), "dense": (200, 200)}) for row in rows
    )
    doubled = (*doubled[:2], doubled[2].model_copy(update={"dense": (100, 100)}))
    assert model().energy(counted(*doubled, samples=2)) == pytest.approx(dict(model().energy(counted(*rows))))


@pytest.mark.parametrize("model", MODELS)
def test_nothing_costs_nothing(model):
    assert set(model().energy(counted()).values()) == {0.0}
    quiet = synapse("spikes", pairs=(0, 0), fanout=(0, 0))
    assert whole(model(), quiet) == 0


@pytest.mark.parametrize("model", MODELS)
def test_what_is_no_product_costs_no_computing(model):
    kinds = ("norm", "scale", "pool", "softmax", "other")
    rows = [Row(path="x", operation=kind, kind=kind, operands=("real",), dense=(99, 99)) for kind in kinds]
    assert whole(model(), *rows) == 0


@pytest.mark.parametrize("model", MODELS)
def test_every_model_says_where_it_comes_from_and_what_it_counts(model):
    assert len(model.source) > 20
    assert "left out" in model.scope


def test_constants_can_be_set():
    assert whole(Compute45nm(ac_pj=0.03, mac_pj=0.23), synapse("spikes"), synapse("real")) == pytest.approx(
        12 * 0.26 * MJ
    )
    assert whole(Neuromorphic77fj(synop_pj=1.0), synapse("spikes")) == pytest.approx(12 * MJ)
