"""Which weights are pruned, and the training that follows, shared by the strategies of this plugin."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from snncompress import StepError, Strategy, Training

if TYPE_CHECKING:
    from torch import Tensor

    from snncompress import Network


def next_masks(network: Network, terms: Sequence[str], fraction: float, scope: str) -> dict[str, Tensor]:
    """Return the network's masks after pruning ``fraction`` of the surviving weights that ``terms`` pick, by magnitude."""
    from snncompress_prune.ops import prune_smallest

    if derived := network.inventory.derived_weights(terms):
        raise StepError(derived[0].fault)
    names = network.inventory.weights(terms)
    if not names:
        raise StepError(f"selector {list(terms)!r} picks no synaptic weight of this network; see `snncompress inspect`")
    tensors = network.tensors
    _require_finite({name: tensors[name] for name in names})
    masks = {name: mask.to(tensors[name].device) for name, mask in network.masks.items()}
    pruned = prune_smallest({name: tensors[name].abs() for name in names}, masks, fraction, scope=scope)
    return {**masks, **pruned}


def _require_finite(weights: Mapping[str, Tensor]) -> None:
    from snncompress_prune.threshold import are_finite

    wrong = [name for name, value in weights.items() if not are_finite((value, None))]
    if wrong:
        raise StepError(
            f"{wrong[0]!r} holds values that are not finite, so its weights have no order; train again with a lower lr"
        )


def density(network: Network, terms: Sequence[str]) -> dict[str, Any]:
    """Return how many of the weights that ``terms`` pick are left."""
    names = network.inventory.weights(terms)
    total = sum(network.tensors[name].numel() for name in names)
    left = sum(
        int(network.masks[name].sum()) if name in network.masks else network.tensors[name].numel() for name in names
    )
    return {"weights": total, "remaining": left, "sparsity": 1 - left / total}


def last_training(earlier: Sequence[Strategy]) -> Training | None:
    """Return the settings of the last step that trained."""
    known = [training for step in earlier if (training := step.training()) is not None]
    return known[-1] if known else None


def training_of(own: Training | None, epochs: int | None, earlier: Sequence[Strategy]) -> Training:
    """Return a strategy's own training settings, or those of the last step that trained, with ``epochs`` if given."""
    chosen = own or last_training(earlier) or Training(epochs=epochs or 1)
    return chosen if epochs is None else chosen.model_copy(update={"epochs": epochs})
