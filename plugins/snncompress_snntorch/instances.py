"""The list of instances that ``snntorch.utils.reset`` goes through: copies of neurons never enter it by themselves."""

from __future__ import annotations

import weakref
from functools import partial
from typing import Any

import snntorch
import torch
from torch import nn


def enter(module: nn.Module) -> None:
    """Enter the neurons below ``module`` that the library does not know yet, weakly: the list keeps no copy alive."""
    known = snntorch.SpikingNeuron.instances
    known[:] = [neuron for neuron in known if neuron is not None]
    entered = {id(neuron.__dict__) for neuron in known}  # a proxy and its neuron share this dictionary
    for part in module.modules():
        if isinstance(part, snntorch.SpikingNeuron) and id(part.__dict__) not in entered:
            known.append(weakref.proxy(part, partial(_leave, known)))
    for neuron in known:
        if isinstance(neuron, snntorch.DeltaLeaky) and neuron.mem is None:
            begin_anew(neuron)


def begin_anew(neuron: Any) -> None:
    """Give a ``DeltaLeaky`` membranes of 0 that fit every batch.

    It begins with None, on which ``snntorch.utils.reset`` fails, for every network of the process.
    """
    neuron.mem = torch.zeros((), device=neuron.beta.device, dtype=neuron.beta.dtype)
    neuron.mem_prev = torch.zeros_like(neuron.mem)


def _leave(known: list[Any], proxy: Any) -> None:
    """Put None in the place of a neuron that is gone; the library may be counting through the list right now."""
    for position, neuron in enumerate(known):
        if neuron is proxy:
            known[position] = None
