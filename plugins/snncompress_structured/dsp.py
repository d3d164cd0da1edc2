"""DSP: cutting the inner dimensions of attention and MLPs, by how much their weights matter."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from snncompress import Count, EditError, Facts, Fraction, Names, Problem, Run, Settings, StepError, Strategy, Training
from snncompress_structured.running import fault_behind
from snncompress_structured.significance import num_left, num_left_together, significance, strongest

if TYPE_CHECKING:
    from torch import Tensor

    from snncompress import Block, Dimension, Network, Place

_BLOCKS = ("qk", "v", "mlp")
_NUM_SHOWN = 4


class Fractions(Settings):
    """Say for each kind of inner dimension which part of it goes."""

    qk: Fraction = Field(0.0, description="Of what query and key share: the rank of the attention map.")
    v: Fraction = Field(0.0, description="Of what value and projection share.")
    mlp: Fraction = Field(0.0, description="Of the hidden layers of MLPs.")
    chain: Fraction = Field(
        0.0, description="Of the channels between two layers in a row, outside of Transformer blocks."
    )


class DimensionPruning(Strategy):
    """Cut the inner dimensions that matter least (DSP: dimension significance pruning), and fine-tune if asked.

    Our reading of DSP (arXiv 2508.01992, no public code): an index j of an inner dimension matters as much as the L1 norms of
    the weights along it, for query and key |Wq[j]| + |Wk[j]|, for value and projection |Wv[j]| + |Wproj[:, j]|, for an MLP
    |Wfc1[j]| + |Wfc2[:, j]|. Every head keeps equally many, so that tensors stay rectangular. What is left is a smaller
    network: its spikes are those of the uncut one with weights, norm scales and norm shifts of the cut indices at zero, which
    is proved. In networks without Transformer blocks the same is done between any two layers in a row.

    Example:
        ``{use: prune.dsp, fraction: 0.5, finetune: {epochs: 4}}``
    """

    use: Literal["prune.dsp"] = "prune.dsp"
    fraction: Fraction | Fractions = Field(
        description="Part of the indices that goes: of `qk`, `v` and `mlp` alike (of `chain` where a network has none of "
        "them), or one number for each."
    )
    scope: Literal["layer", "global"] = Field(
        "layer", description="Remove that part of each dimension, or of all dimensions of a kind together."
    )
    keep_at_least: Annotated[int, Field(ge=1)] = Field(1, description="Indices that each head keeps in any case.")
    rounds: Count = Field(1, description="Rounds in which the part is reached, each with its fine-tuning.")
    select: Names | None = Field(None, description="Selector of the blocks that are cut; by default every one.")
    finetune: Training | None = Field(None, description="Training after each round; none if null.")
    compresses: ClassVar[bool] = True

    def training(self) -> Training | None:
        """Return the settings of the fine-tuning."""
        return self.finetune

    def num_epochs(self, earlier: Sequence[Strategy]) -> int:
        """Return the epochs of all rounds."""
        del earlier
        return self.rounds * self.finetune.epochs if self.finetune else 0

    def proves(self) -> bool:
        """Tell that what is cut is proved."""
        return True

    def check(self, facts: Facts) -> Iterable[Problem]:
        """Find a network that has nothing to cut, blocks that refuse, and fractions that contradict each other."""
        yield from facts.check_trained()
        if self.finetune is not None:
            yield from facts.check_training(self.finetune, where=("finetune",))
        elif self.rounds > 1:
            yield Problem(
                ("rounds",), "rounds without fine-tuning between them remove what one round does", "give `finetune`"
            )
        if self.select is not None and (unmatched := facts.inventory.unmatched(self.select)):
            yield from facts.check_selector([bad.term for bad in unmatched])
            return
        known = facts.blocks()
        blocks = self._picked(known, facts.inventory.select)
        if nothing := self._nothing_to_cut(blocks, known):
            yield nothing
        contradictions = list(self._contradictions(blocks))
        yield from contradictions
        if facts.network is None or nothing or contradictions or any(step.compresses for step in facts.earlier):
            return
        yield from self._check_running(facts.network(), [block for block in blocks if not block.refused])

    def _check_running(self, network: Network, blocks: Sequence[Block]) -> Iterable[Problem]:
        """Find blocks without whose indices the network's code does not run, whichever indices go."""
        dimensions = self._dimensions(blocks)
        left = self._counts_by_layer(dimensions, {}, {one.name: one.size for one in dimensions}, 1.0)
        first = {one.name: _first_of_each_head(one, left[one.name]) for one in dimensions}
        try:
            found = fault_behind(network, blocks, lambda some: network.cutting(some, _of(some, first)), _owner)
        except EditError as error:
            yield Problem(("select",), str(error), "choose other parts with select")
            return
        if found is None:
            return
        what, hint = f"the network does not run without these indices ({found[0]})", found[1]
        if self.scope == "global":
            what = f"weights decide which dimensions lose indices; if all do, {what}"
        yield Problem(("select",), what, hint, warns=self.scope == "global")

    def apply(self, network: Network, run: Run) -> Network:
        """Cut and fine-tune, round after round; each round is kept over an interruption."""
        run.expect(self.num_epochs(()))
        known = network.blocks()
        blocks = self._picked(known, network.inventory.select)
        if nothing := self._nothing_to_cut(blocks, known):
            raise StepError(f"{nothing.what}; {nothing.hint}")
        run.note("left whole", {block.path: block.refused for block in blocks if block.refused})
        whole = {one.name: one.size for one in self._dimensions(blocks)}
        for number in range(1, self.rounds + 1):
            network = run.stage(f"round-{number}", partial(self._round, network, whole, number, run))
        left = {one.name: one.size for one in self._dimensions(self._blocks(network))}
        run.note("cut", [{"dimension": name, "before": size, "after": left[name]} for name, size in whole.items()])
        return network

    def _round(self, network: Network, whole: Mapping[str, int], number: int, run: Run) -> Network:
        blocks = self._blocks(network)
        try:
            smaller = network.cut(blocks, self._kept(network, blocks, whole, number / self.rounds))
        except EditError as error:
            raise StepError(f"{error}; choose other parts with select") from error
        proofs = [proof.to_json() for proof in smaller.proofs[len(network.proofs) :]]
        run.note("rounds", [*run.notes().get("rounds", []), {"round": number, "proofs": proofs}])
        if self.finetune is None:
            return smaller
        return run.train(smaller, self.finetune, label=f"fine-tuning {number} of {self.rounds}")

    def _kept(
        self, network: Network, blocks: Sequence[Block], whole: Mapping[str, int], done: float
    ) -> dict[str, list[int]]:
        """Return the indices that stay when the part ``done`` of all that is to go has gone."""
        dimensions = self._dimensions(blocks)
        scores = {one.name: _scores(network, one) for one in dimensions}
        counts = self._counts_by_layer if self.scope == "layer" else self._counts_together
        left = counts(dimensions, scores, whole, done)
        return {one.name: strongest(scores[one.name], one.heads, left[one.name]) for one in dimensions}

    def _counts_by_layer(
        self, dimensions: Sequence[Dimension], scores: Mapping[str, Tensor], whole: Mapping[str, int], done: float
    ) -> dict[str, int]:
        """Return how many indices stay in each head."""
        del scores
        left = {
            one.name: num_left(
                whole[one.name] // one.heads, done * self._fraction_of(one, dimensions), self.keep_at_least
            )
            for one in dimensions
        }
        return {one.name: min(one.per_head, left[one.name]) for one in dimensions}

    def _counts_together(
        self, dimensions: Sequence[Dimension], scores: Mapping[str, Tensor], whole: Mapping[str, int], done: float
    ) -> dict[str, int]:
        """Return how many indices stay in each head, dimensions of a kind compared with each other."""
        left: dict[str, int] = {}
        for parts in dict.fromkeys(one.parts for one in dimensions):
            same = [one for one in dimensions if one.parts == parts]
            rows = sum(whole[one.name] // one.heads for one in same)
            to_go = round(done * self._fraction_of(same[0], dimensions) * rows)
            gone = rows - sum(one.per_head for one in same)
            own, heads = {one.name: scores[one.name] for one in same}, {one.name: one.heads for one in same}
            left |= num_left_together(own, heads, to_go - gone, self.keep_at_least)
        return left

    def _fraction_of(self, dimension: Dimension, all_of_them: Sequence[Dimension]) -> float:
        """Return the part of a dimension that goes; chains are cut by a plain number only where nothing else can be."""
        if isinstance(self.fraction, Fractions):
            return max(float(getattr(self.fraction, part)) for part in dimension.parts)
        has_blocks = any(part in _BLOCKS for one in all_of_them for part in one.parts)
        return 0.0 if has_blocks and "chain" in dimension.parts else self.fraction

    def _blocks(self, network: Network) -> tuple[Block, ...]:
        return self._picked(network.blocks(), network.inventory.select)

    def _picked(self, blocks: Sequence[Block], select: Callable[[Sequence[str]], frozenset[str]]) -> tuple[Block, ...]:
        if self.select is None:
            return tuple(blocks)
        picked = select(self.select)
        return tuple(block for block in blocks if _owner(block) in picked)

    def _dimensions(self, blocks: Iterable[Block]) -> tuple[Dimension, ...]:
        """Return the dimensions of which something is to go."""
        found = [one for block in blocks if not block.refused for one in block.dimensions]
        return tuple(one for one in found if self._fraction_of(one, found))

    def _nothing_to_cut(self, blocks: Sequence[Block], known: Sequence[Block]) -> Problem | None:
        """Say why nothing of ``blocks``, which were picked of those that are ``known``, would go."""
        dimensions = self._dimensions(blocks)
        if dimensions and self._takes_any(dimensions):
            return None
        if dimensions:
            what = "so small a part of each dimension is no index, or `keep_at_least` keeps it"
            return Problem(("fraction",), what, "give a larger fraction")
        if known and not blocks:
            owners = ", ".join(repr(_owner(block)) for block in known[:_NUM_SHOWN])
            return Problem(("select",), "the selector picks no block", f"the first of them: {owners}")
        if refused := next((block for block in blocks if block.refused), None):
            what = f"{refused.path!r} cannot be cut: {refused.refused}"
            return Problem(("use",), what, "choose other parts, or prune.channels")
        if blocks:
            parts = ", ".join(sorted({part for block in blocks for one in block.dimensions for part in one.parts}))
            what = f"the fractions cut nothing of what this network has ({parts})"
            return Problem(("use",), what, "give one of them a fraction")
        what = "no inner dimension of this network is known"
        return Problem(("use",), what, "see `snncompress inspect`; prune.channels traces any network")

    def _takes_any(self, dimensions: Sequence[Dimension]) -> bool:
        """Tell whether the fraction of any dimension, or of all of a kind together, is an index or more."""
        rows = Counter[tuple[str, ...]]()
        for one in dimensions:
            rows[self._shared(one)] += one.per_head
        return any(
            one.per_head > self.keep_at_least and round(self._fraction_of(one, dimensions) * rows[self._shared(one)])
            for one in dimensions
        )

    def _shared(self, dimension: Dimension) -> tuple[str, ...]:
        """Return what a dimension has in common with those that it is compared with."""
        return dimension.parts if self.scope == "global" else (dimension.name,)

    def _contradictions(self, blocks: Iterable[Block]) -> Iterable[Problem]:
        """Yield a problem where one index serves two kinds whose fractions differ."""
        if not isinstance(self.fraction, Fractions):
            return
        for block in blocks:
            for one in block.dimensions:
                if len({getattr(self.fraction, part) for part in one.parts}) > 1:
                    what = f"in {one.name!r} {' and '.join(one.parts)} share one index, so one number holds for both"
                    yield Problem(("fraction",), what, f"give {' and '.join(map(repr, one.parts))} the same number")
                    return


def _owner(block: Block) -> str:
    """Return the path by which a block is selected: its own, or that of the layer that writes its dimension."""
    return block.path or block.dimensions[0].weights[0].tensor.rpartition(".")[0]


def _first_of_each_head(dimension: Dimension, count: int) -> list[int]:
    starts = range(0, dimension.size, dimension.per_head)
    return [start + index for start in starts for index in range(count)]


def _of(blocks: Iterable[Block], keep: Mapping[str, Sequence[int]]) -> dict[str, Sequence[int]]:
    """Return what is kept of some blocks' dimensions."""
    return {one.name: keep[one.name] for block in blocks for one in block.dimensions if one.name in keep}


def _scores(network: Network, dimension: Dimension) -> Tensor:
    """Return the mean absolute weight along each index, so that dimensions with more weights do not count for more."""
    tensors = network.tensors
    slices = [_along(tensors[place.tensor], place, dimension.size) for place in dimension.weights]
    if wrong := [
        place.tensor for place, value in zip(dimension.weights, slices, strict=True) if not value.isfinite().all()
    ]:
        raise StepError(
            f"{wrong[0]!r} holds values that are not finite, so nothing is weaker; train again with a lower lr"
        )
    return significance(slices, dimension.size) / sum(value[0].numel() for value in slices)


def _along(weight: Tensor, place: Place, size: int) -> Tensor:
    """Return the part of a weight that lies along a dimension, [size, ...]."""
    along = weight.movedim(place.axis, 0)[place.start : place.start + size * place.repeat]
    return along.reshape(size, -1)
