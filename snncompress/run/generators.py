"""Every source of randomness in a process: torch, numpy, random. Libraries draw from the global ones."""

from __future__ import annotations

import hashlib
import random
from typing import Any

import numpy as np
import torch


def seed_everything(seed: int) -> None:
    """Seed the generators of torch (all devices), numpy and random."""
    torch.manual_seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002 - libraries draw from the global generator
    random.seed(seed)


def derived_seed(*parts: object) -> int:
    """Return a seed below 2**63 that depends on every part."""
    digest = hashlib.sha256(":".join(str(part) for part in parts).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def generator_states() -> dict[str, Any]:
    """Return the state of every generator, as tensors, numbers and tuples alone."""
    kind, keys, position, has_gauss, cached = np.random.get_state()  # noqa: NPY002 - see above
    return {
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
        "numpy": (
            str(kind),
            torch.from_numpy(np.asarray(keys).astype(np.int64)),
            int(position),
            int(has_gauss),
            float(cached),
        ),
        "random": random.getstate(),
    }


def restore_generators(states: dict[str, Any]) -> None:
    """Set every generator to a state that ``generator_states`` returned."""
    torch.set_rng_state(states["torch"])
    if torch.cuda.is_available() and states["cuda"]:
        torch.cuda.set_rng_state_all(states["cuda"])
    kind, keys, position, has_gauss, cached = states["numpy"]
    np.random.set_state((kind, keys.numpy().astype(np.uint32), position, has_gauss, cached))  # noqa: NPY002 - see above
    version, internal, gauss = states["random"]
    random.setstate((version, tuple(internal), gauss))
