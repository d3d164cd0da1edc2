"""Channel pruning: whole channels go, and the network becomes smaller."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from snncompress import Count, Facts, Names, Number, Problem, Run, StepError, Strategy, Training
from snncompress_structured.choosing import least_important, orders, picked
from snncompress_structured.groups import Removal

if TYPE_CHECKING:
    from snncompress import Network
    from snncompress_structured.groups import Group


class ChannelPruning(Strategy):
    """Remove whole channels, with everything that hangs on them, then fine-tune if asked.

    Which channels of which tensors go together is found by torch-pruning (DepGraph, arXiv 2301.12900); they are removed
    by an edit of our own, after which the network is proved to compute what it computed with those channels masked. The
    network's outputs are never cut.

    Example:
        ``{use: prune.channels, fraction: 0.5, importance: l2, finetune: {epochs: 4}}``
    """

    use: Literal["prune.channels"] = "prune.channels"
    fraction: Annotated[Number, Field(gt=0, lt=1)] = Field(description="Part of the channels to remove.")
    scope: Literal["layer", "global"] = Field(
        "layer", description="Remove that part of each layer's channels, or of all channels together."
    )
    importance: Literal["l1", "l2", "bn_scale", "firing"] = Field(
        "l2",
        description="The least important channels go: by the norm of their weights, by the scale of their batch norm, or "
        "by how often the neurons behind them fire on training samples.",
    )
    select: Names = Field(
        ("synapse",), description="Selector of layers. Layers whose outputs are added are cut only if all are picked."
    )
    keep_at_least: Count = Field(1, description="Channels that every layer keeps.")
    round_to: Count = Field(
        1, description="A layer that loses channels keeps a multiple of this many; it loses fewer rather than more."
    )
    samples: Count = Field(512, description="Training samples on which `firing` is measured.")
    seconds_at_most: Annotated[Number, Field(gt=0)] = Field(
        60.0, description="Time for torch-pruning to trace the network, which it does not finish for every network."
    )
    finetune: Training | None = Field(None, description="Training of the smaller network afterwards; none if null.")
    compresses: ClassVar[bool] = True

    def training(self) -> Training | None:
        """Return the settings of the fine-tuning."""
        return self.finetune

    def proves(self) -> bool:
        """Tell that what is cut is proved."""
        return True

    def check(self, facts: Facts) -> Iterable[Problem]:
        """Find a selector that picks nothing, an untrained network, and channels that cannot go as it is built."""
        unmatched = facts.check_selector(self.select)
        yield from unmatched
        yield from facts.check_trained()
        if self.finetune is not None:
            yield from facts.check_training(self.finetune, where=("finetune",))
        if "samples" in self.model_fields_set and self.importance != "firing":
            what = f"importance {self.importance!r} looks at no samples, so this does nothing"
            yield Problem(("samples",), what, "leave it out, or set `importance: firing`", warns=True)
        if facts.network is not None and not unmatched and not any(map(_may_reshape, facts.earlier)):
            yield from self._check_structure(facts.network())

    def apply(self, network: Network, run: Run) -> Network:
        """Remove channels, then fine-tune."""
        from snncompress_structured.importance import scores_of
        from snncompress_structured.removing import removed, told

        groups = self._groups(network)
        able = [group for group in groups if not group.trouble]
        scores = scores_of(able, self.importance, network, run.bench, self.samples)
        removals = self._removals(able, scores, self.scope)
        smaller = removed(network, removals, groups)
        run.note("pruned", told(network, smaller, removals, groups))
        if self.finetune is None:
            return smaller
        run.expect(self.finetune.epochs)
        return run.train(smaller, self.finetune, label="finetune")

    def _check_structure(self, network: Network) -> list[Problem]:
        """Return a problem if nothing can go, or if the network does not run without as many channels, whichever they are."""
        from snncompress_structured.importance import require_to_look_at
        from snncompress_structured.removing import fault_without, nothing_goes

        try:
            groups = self._groups(network)
        except StepError as error:
            return [Problem(("use",), str(error))]
        able = [group for group in groups if not group.trouble]
        try:
            require_to_look_at(able, self.importance)
        except StepError as error:
            return [Problem(("importance",), str(error))]
        equal = [[0.0] * group.size for group in able]
        if reasons := nothing_goes(self._removals(able, equal, self.scope), groups):
            return [Problem(("use",), reasons)]
        if self.scope == "global" and (fault := fault_without(network, self._fewest(able))):
            return [Problem(("select",), *fault)]
        for scores in orders([group.size for group in able]):
            if fault := fault_without(network, self._removals(able, scores, "layer")):
                what, hint = fault
                if self.scope == "global":
                    what = f"weights decide which layers lose channels; if all do, {what}"
                return [Problem(("select",), what, hint, warns=self.scope == "global")]
        return []

    def _fewest(self, groups: Sequence[Group]) -> list[Removal]:
        """Return the fewest channels that each group can lose under the limits: weights may choose any group, and any number."""
        found = []
        for group in groups:
            tried = (
                least_important([group], [[0.0] * group.size], count / group.size, **self._limits)
                for count in range(1, group.size)
            )
            found.append(next((one for one in tried if one[0].channels), [Removal(group, frozenset())])[0])
        return found

    def _groups(self, network: Network) -> list[Group]:
        from snncompress_structured.tracing import find_groups

        return picked(find_groups(network, self.seconds_at_most), network.inventory.select(self.select))

    def _removals(self, groups: Sequence[Group], scores: Sequence[Sequence[float]], scope: str) -> list[Removal]:
        if scope == "global":
            return least_important(groups, scores, self.fraction, **self._limits)
        return [
            removal
            for group, of_group in zip(groups, scores, strict=True)
            for removal in least_important([group], [of_group], self.fraction, **self._limits)
        ]

    @property
    def _limits(self) -> dict[str, int]:
        return {"keep_at_least": self.keep_at_least, "round_to": self.round_to}


def _may_reshape(step: Strategy) -> bool:
    """Tell whether layers may have other sizes after a step; one that gives masks only sets weights to zero."""
    return step.compresses and "masks" not in step.provides()
