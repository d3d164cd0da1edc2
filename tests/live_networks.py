"""Networks of every architecture that has blocks, small and alive: every layer of neurons fires."""

from __future__ import annotations

from oracles.networks import Case, images, live_network

from snncompress import Host, Network


def _case(use: str, size: int, planes: int = 3, gain: float = 1.0, **settings: object) -> Case:
    return Case(use, use, tuple(settings.items()), (planes, size, size), gain=gain)


BLOCKS = {
    "spikformer": _case("spikingjelly.spikformer", 16, 1, embed_dims=32, depths=2, num_heads=2),
    "qkformer over tokens": _case("spikingjelly.qkformer", 64, embed_dims=32, num_heads=(1, 2, 2)),
    "qkformer over channels": _case(
        "spikingjelly.qkformer", 64, embed_dims=32, num_heads=(1, 2, 2), attention="channel"
    ),
    "maxformer": _case("spikingjelly.maxformer", 32, embed_dims=32),
    "maxformer for large images": _case("spikingjelly.maxformer", 64, embed_dims=64, cifar=False),
    "spike-driven transformer": _case(
        "spikingjelly.spike_driven_transformer", 16, 1, embed_dims=32, num_heads=2, depths=2
    ),
}
"""SpikingJelly's Transformers."""

CHAINS = {
    "convnet": _case("snntorch.convnet", 8, 1, gain=0.5, channels=[4, 8]),
    "vgg": _case("spikingjelly.spiking_vgg", 8, 1, channels=(8, "M", 16, "M")),
}
"""Networks of layers in a row."""


def probed(case: Case, host: Host, samples: int = 4) -> Network:
    """Return the network of a case in float64, with a probe."""
    network = live_network(case, 0.0, host)
    x_BCHW = images(case, samples, seed=3)
    return network.with_probe(x_BCHW.expand(network.time.T, *x_BCHW.shape))
