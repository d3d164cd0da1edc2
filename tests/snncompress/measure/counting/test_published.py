"""Totals that others have published, from a built network."""

import pytest
import torch

from snncompress import Host, Inputs
from snncompress.measure.counting.counter import Counter
from snncompress.network import open_architecture

T, D, BLOCKS, TOKENS = 4, 384, 4, 64


@pytest.fixture(scope="module")
def counts():
    """Spikformer 4-384 on one image of 32x32, its norms calibrated on a few so that neurons fire."""
    host = Host.from_environment()
    architecture = host.catalogue["architectures"]["spikingjelly.spikformer"](
        embed_dims=D, depths=BLOCKS, num_heads=12, patch_size=4
    )
    torch.manual_seed(0)
    network = open_architecture(architecture.resolved(Inputs((3, 32, 32), 10), T), host, timesteps=T)
    x = torch.rand(2, 3, 32, 32).expand(T, 2, 3, 32, 32)
    with torch.no_grad():
        network.module.train()
        for part in network.module.modules():
            if isinstance(part, torch.nn.modules.batchnorm._BatchNorm):
                part.momentum = None
        network.forward(x)
        network.reset()
        network.module.eval()
        counter = Counter(network)
        with counter.counting(x[:, :1], repeats=True):
            network.forward(x[:, :1])
        network.reset()
    return counter.result()


def dense(counts, *, ending):
    return sum(sum(row.dense) for row in counts.of("synapse") if row.path.endswith(ending))


def test_the_flops_of_spikformer_4_384(counts):
    # T x (stem + blocks n (4 D^2 + 8 D^2)); SpikingJelly multiplies (V K^T) Q, which costs 2 n D d_head instead of 2 n^2 D
    stem = 9 * (3 * 48 * 32**2 + 48 * 96 * 32**2 + 96 * 192 * 32**2 + 192 * 384 * 16**2 + 384 * 384 * 8**2)
    blocks = BLOCKS * TOKENS * 12 * D**2
    attention = BLOCKS * 2 * TOKENS * D * (D // 12)
    head = 10 * D
    assert counts.dense_ops == T * (stem + blocks + attention + head)
    assert T * (stem + blocks + BLOCKS * 2 * TOKENS**2 * D) == 3_736_141_824  # the paper's 3.74 G


def test_the_macs_of_first_convolution_and_head(counts):
    first, head = dense(counts, ending="stages.0.conv_bn.block.0"), dense(counts, ending="head")
    assert first == T * 48 * 3 * 9 * 32**2 == 5_308_416
    assert head == T * 3_840  # SpikingJelly's class applies its head at every step, the authors' once to the mean
    assert first + head // T + 10 == 5_312_266  # ten biases


def test_the_way_to_the_total_of_the_syops_rule(counts):
    """That program sums, as MACs, layers whose input is not binary, their biases, and two operations for each normed value."""
    residual = [row for row in counts.of("synapse") if row.operands == ("integers",)]
    assert {row.path.rpartition(".")[0].rpartition(".")[2] for row in residual} == {"qkv_conv_bn", "fc1"}
    assert len(residual) == 2 * BLOCKS
    sums = sum(sum(row.dense) for row in residual)
    norms = 2 * sum(sum(row.dense) for row in counts.of("norm"))
    # SpikingJelly's linear layers in the blocks have no bias; the authors' have, and the program counts one for each
    # output feature and step: 3 D for query, key, value and 4 D for the first layer of the MLP
    biases = T * BLOCKS * (3 * D + 4 * D)
    assert (sums, norms, biases) == (1_056_964_608, 10_813_440, 43_008)
    assert 5_312_266 + sums + norms + biases == 1_073_133_322
