"""L1P: one-shot magnitude pruning, then optional fine-tuning under fixed masks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, Literal

from snncompress import Run
from snncompress_prune.one_shot import OneShot

if TYPE_CHECKING:
    from torch import Tensor


class MagnitudePruning(OneShot):
    """Zero the smallest weights (L1P: unstructured L1-norm pruning), then fine-tune if asked.

    Our reading of L1P (arXiv 2508.01992, no public code): |w| above a quantile stays, in each matrix of the blocks or
    over all of them; stem and head are left alone; the mask stays fixed while the network is fine-tuned.

    Example:
        ``{use: prune.l1, fraction: 0.9, scope: global, finetune: {epochs: 4}}``
    """

    use: Literal["prune.l1"] = "prune.l1"
    judges: ClassVar[bool] = True

    def scores(self, weights: Mapping[str, Tensor], run: Run) -> Mapping[str, Tensor]:
        """Return magnitudes."""
        from snncompress_prune.ops import magnitudes

        del run
        return magnitudes(weights)
