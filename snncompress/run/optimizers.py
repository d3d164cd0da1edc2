"""Optimisers and schedules, both timm's."""

from __future__ import annotations

from typing import Any

import torch

from snncompress.errors import InputError, StepError
from snncompress.network import Network
from snncompress.selectors import is_weight
from snncompress.training import Training, optimizer_fault


def make_optimizer(network: Network, training: Training) -> torch.optim.Optimizer:
    """Return a new optimiser over the trainable parameters.

    Weight decay is applied to synaptic weights alone. Groups that modules declare come first, with their own settings:
    an ``lr`` of their own, or an ``lr_scale`` that multiplies the learning rate at every step of the schedule.
    """
    from timm.optim import create_optimizer_v2  # type: ignore[attr-defined] # public there, and defined elsewhere

    if fault := optimizer_fault(training):
        setting, what, hint = fault
        raise InputError(f"{setting}: {what}; {hint}")
    groups = parameter_groups(network, training.weight_decay)
    if not groups:
        raise StepError("nothing can be trained: every parameter is frozen (requires_grad is False)")
    momentum: dict[str, Any] = {} if training.momentum is None else {"momentum": training.momentum}
    made: torch.optim.Optimizer = create_optimizer_v2(
        groups,
        opt=training.optimizer,
        lr=training.lr,
        weight_decay=0.0,
        **momentum,
    )
    return made


def parameter_groups(network: Network, weight_decay: float) -> list[dict[str, Any]]:
    """Return the declared groups, then synaptic weights with decay, then everything else without."""
    declared = [
        {**group, "params": [value for value in group["params"] if value.requires_grad]}
        for group in network.parameter_groups()
    ]
    taken = {id(value) for group in declared for value in group["params"]}
    decayed_names = _decayed(network)
    free = [
        (name, value)
        for name, value in network.module.named_parameters()
        if value.requires_grad and id(value) not in taken
    ]
    decayed = [value for name, value in free if name in decayed_names]
    plain = [value for name, value in free if name not in decayed_names]
    groups = [*declared, {"params": decayed, "weight_decay": weight_decay}, {"params": plain, "weight_decay": 0.0}]
    return [group for group in groups if group["params"]]


def _decayed(network: Network) -> set[str]:
    """Return the names of the synaptic weights, and of the matrices that parametrisations compute some of them from."""
    inventory = network.inventory
    named = dict(network.module.named_parameters())
    originals = [name for one in inventory.derived_weights(("synapse",)) for name in one.originals]
    matrices = {name for name in originals if name in named and is_weight(name, named[name].shape)}
    return matrices.union(inventory.weights(("synapse",)))


def make_scheduler(
    optimizer: torch.optim.Optimizer, training: Training, *, num_epochs: int, steps_per_epoch: int
) -> Any:
    """Return timm's scheduler for ``training``, updated at every optimiser step by ``step_update(number)``."""
    from timm.scheduler.cosine_lr import CosineLRScheduler
    from timm.scheduler.step_lr import StepLRScheduler

    for group in optimizer.param_groups:  # timm's warm-up begins at one rate for all, whatever a group's own
        group["lr_scale"] = group.get("lr_scale", 1.0) * group["lr"] / training.lr
        group["lr"] = training.lr
    rising = round(training.warmup(num_epochs) * steps_per_epoch)
    warmup: dict[str, Any] = {
        "warmup_t": rising,
        "warmup_lr_init": training.lr / (rising + 1),
        "warmup_prefix": True,
        "t_in_epochs": False,
    }
    falling = num_epochs * steps_per_epoch - rising
    if training.schedule == "cosine" and falling > 1:
        return CosineLRScheduler(optimizer, t_initial=falling, **warmup)
    rate = 0.1 if training.schedule == "step" else 1.0
    decay_t = max(1, round(training.decay_epochs * steps_per_epoch))
    return StepLRScheduler(optimizer, decay_t=decay_t, decay_rate=rate, **warmup)
