"""Random pruning: the control of whatever chooses weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, Literal

from snncompress import Run
from snncompress_prune.one_shot import OneShot

if TYPE_CHECKING:
    from torch import Tensor


class RandomPruning(OneShot):
    """Zero weights that are drawn at random, then fine-tune if asked: the control of ``prune.l1``.

    As many go as with ``prune.l1``, in each matrix or in all of them together, and every choice of them is as likely as any
    other. The seed of the run decides, so each seed draws another mask: repeat the pipeline with several ``seeds``.

    Example:
        ``{use: prune.random, fraction: 0.9, scope: global, finetune: {epochs: 4}}``
    """

    use: Literal["prune.random"] = "prune.random"
    judges: ClassVar[bool] = False

    def scores(self, weights: Mapping[str, Tensor], run: Run) -> Mapping[str, Tensor]:
        """Return random numbers, drawn with the seed of the step."""
        from torch import Generator

        from snncompress_prune.ops import draws

        return draws(weights, Generator().manual_seed(run.seed))
