"""Which weights are pruned, and the training that follows, shared by the strategies of this plugin."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from snncompress import Facts, Problem, StepError, Strategy, Training

if TYPE_CHECKING:
    from torch import Tensor

    from snncompress import Network
    from snncompress_prune.amounts import Removed

    Score = Callable[[Mapping[str, Tensor]], Mapping[str, Tensor]]


def next_masks(
    network: Network, terms: Sequence[str], removed: Removed, scope: str, score: Score | None = None
) -> dict[str, Tensor]:
    """Return the network's masks after pruning as many of the weights that ``terms`` pick as ``removed`` says.

    The weights with the smallest scores go: by default those of the smallest magnitude.
    """
    from snncompress_prune.ops import magnitudes, prune

    weights = weights_of(network, terms)
    _require_finite(weights)
    masks = {name: mask.to(network.tensors[name].device) for name, mask in network.masks.items()}
    return {**masks, **prune((score or magnitudes)(weights), masks, removed, scope=scope)}


def weights_of(network: Network, terms: Sequence[str]) -> dict[str, Tensor]:
    """Return the synaptic weights that ``terms`` pick; raise StepError where that is none, or one cannot be masked."""
    if derived := network.inventory.derived_weights(terms):
        raise StepError(derived[0].fault)
    names = network.inventory.weights(terms)
    if not names:
        raise StepError(f"selector {list(terms)!r} picks no synaptic weight of this network; see `snncompress inspect`")
    return {name: network.tensors[name] for name in names}


def _require_finite(weights: Mapping[str, Tensor]) -> None:
    from snncompress_prune.threshold import are_finite

    wrong = [name for name, value in weights.items() if not are_finite((value, None))]
    if wrong:
        raise StepError(
            f"{wrong[0]!r} holds values that are not finite, so its weights have no order; train again with a lower lr"
        )


def alive_and_total(network: Network, terms: Sequence[str], scope: str) -> list[tuple[int, int]]:
    """Return how many of the weights that ``terms`` pick are left, and are there: of each matrix, or of all together."""
    weights = weights_of(network, terms)
    counts = [
        (int(network.masks[name].count_nonzero()) if name in network.masks else value.numel(), value.numel())
        for name, value in weights.items()
    ]
    return counts if scope == "matrix" else [tuple(map(sum, zip(*counts, strict=True)))]  # type: ignore[list-item]


def density(network: Network, terms: Sequence[str]) -> dict[str, Any]:
    """Return how many of the weights that ``terms`` pick are left."""
    ((left, total),) = alive_and_total(network, terms, "global")
    return {"weights": total, "remaining": left, "sparsity": 1 - left / total}


def last_training(earlier: Sequence[Strategy]) -> Training | None:
    """Return the settings of the last step that trained."""
    known = [training for step in earlier if (training := step.training()) is not None]
    return known[-1] if known else None


def training_of(own: Training | None, epochs: int | None, earlier: Sequence[Strategy]) -> Training:
    """Return a strategy's own training settings, or those of the last step that trained, with ``epochs`` if given."""
    chosen = own or last_training(earlier) or Training(epochs=epochs or 1)
    return chosen if epochs is None else chosen.model_copy(update={"epochs": epochs})


def check_retraining(
    facts: Facts, own: Training | None, epochs: int | None, *, start_epoch: int = 0
) -> Iterable[Problem]:
    """Find what cannot be in a strategy's own training settings, and two numbers of epochs."""
    if own is None:
        return
    if epochs is not None and epochs != own.epochs:
        what = f"{epochs} epochs are asked for, and `retrain` says {own.epochs}"
        yield Problem(("epochs",), what, "give the number in one place")
    yield from facts.check_training(own, where=("retrain",), start_epoch=start_epoch)
