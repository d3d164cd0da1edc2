"""Low-rank factors: layers run in two thinner ones, by truncated singular value decomposition."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from snncompress import Count, Facts, Fraction, Inventory, Names, Number, Problem, Run, StepError, Strategy, Training
from snncompress_structured.matrices import Matrix, matrices_in
from snncompress_structured.ranks import energy_kept, num_least, rank_keeping, rank_without, ranks_within

if TYPE_CHECKING:
    from snncompress import Network, Replace

_RULES = ("rank", "fraction", "energy", "parameters_at_most")
_NONE = "picks no layer that can be run in two factors"
_WHICH = "a linear layer, or a convolution of kernel size 1 and stride 1 without groups and padding"
_CAUTION = (
    "values between two factors are no spikes, so the second factor makes multiply-accumulates; small factors may save "
    "operations and no time: 1.0 to 1.2 times as fast was seen on a CPU with 64 channels"
)


class LowRankFactors(Strategy):
    """Run layers in two thinner ones, by truncated singular value decomposition, then fine-tune if asked.

    The weights [out, in] of a linear layer or a convolution of kernel size 1 become [rank, in] and [out, rank]; of all
    products of that rank theirs is nearest to the layer (Eckart and Young 1936). The rank follows from one rule of four.
    Layers that two factors would not make smaller stay as they are, unless `rank` says it.

    Example:
        ``{use: lowrank.svd, energy: 0.9, finetune: {epochs: 4}}``
    """

    use: Literal["lowrank.svd"] = "lowrank.svd"
    rank: Count | None = Field(None, description="The rank of every layer, or its full rank where that is lower.")
    fraction: Fraction | None = Field(None, description="Part of the full rank of every layer to remove.")
    energy: Annotated[Number, Field(gt=0, le=1)] | None = Field(
        None, description="Part of the squared singular values of every layer that its rank keeps at least."
    )
    parameters_at_most: Count | Annotated[Number, Field(gt=0, lt=1)] | None = Field(
        None, description="Parameters that the layers may have together: a number, or a part of those they have."
    )
    select: Names | None = Field(
        None, description="Selector of layers; by default all synapses but the stem and the head."
    )
    finetune: Training | None = Field(None, description="Training of the factors afterwards; none if null.")
    compresses: ClassVar[bool] = True

    @model_validator(mode="after")
    def _has_one_rule(self) -> Self:
        given = [repr(name) for name in _RULES if getattr(self, name) is not None]
        if len(given) != 1:
            found = f"{' and '.join(given)} are given" if given else "none is given"
            raise ValueError(f"exactly one of {', '.join(map(repr, _RULES))} must say the rank; {found}")
        return self

    def training(self) -> Training | None:
        """Return the settings of the fine-tuning."""
        return self.finetune

    def drops(self) -> frozenset[str]:
        """Drop masks: the tensors that they belong to are gone."""
        return frozenset({"masks"})

    def proves(self) -> None:
        """Tell that factors of float32 are put in place, and nothing is proved."""

    def check(self, facts: Facts) -> Iterable[Problem]:
        """Find a selector without matrices, a budget that no rank meets, and a network that has not been trained."""
        terms = self._terms(facts.inventory)
        matrices, _ = matrices_in(facts.inventory, terms)
        if problems := facts.check_selector(terms):
            yield from problems
        elif not matrices:
            yield Problem(("select",), f"selector {list(terms)!r} {_NONE}", f"one is {_WHICH}")
        elif not any(step.compresses for step in facts.earlier):  # behind one the layers may have other sizes
            yield from self._check_layers(matrices, facts)
        if "masks" in facts.state:
            what = "masks are dropped where a layer is factored, and its factors have no zeros to speak of"
            yield Problem(("use",), what, "factor first, prune then", warns=True)
        yield from facts.check_trained()
        if self.finetune is not None:
            yield from facts.check_training(self.finetune, where=("finetune",))

    def apply(self, network: Network, run: Run) -> Network:
        """Choose ranks, factor, then fine-tune."""
        matrices, faults = _factorable(network, self._terms(network.inventory))
        spectra = _spectra(network, matrices)
        chosen, whole = self._chosen(spectra)
        factored = network.edited([_edit(network, matrix, rank) for matrix, rank in chosen.items()])
        run.note("factors", _noted(chosen, spectra))
        run.note("left whole", faults | whole)
        run.note("masks dropped", sorted(set(network.masks) - set(factored.masks)))
        run.note("caution", _CAUTION)
        if not chosen:
            run.progress("  no layer is factored: the record's notes say why")
        if self.finetune is None:
            return factored
        run.expect(self.finetune.epochs)
        return run.train(factored, self.finetune, label="finetune")

    def _check_layers(self, matrices: Sequence[Matrix], facts: Facts) -> Iterable[Problem]:
        """Find sizes that do not work, of the layers that turn out to be matrices where the network can be looked at."""
        if facts.network is None:
            return self._check_sizes(matrices)
        try:
            found, _ = _factorable(facts.network(), self._terms(facts.inventory))
        except StepError as error:
            return [Problem(("select",), str(error))]
        return self._check_sizes(found)

    def _check_sizes(self, matrices: Sequence[Matrix]) -> Iterable[Problem]:
        if fault := self._budget_fault(matrices):
            yield Problem(("parameters_at_most",), fault)
        if self.fraction is not None and not any(map(Matrix.saves, matrices, self._ranks(matrices, ()))):
            yield Problem(("fraction",), "no layer has fewer parameters in two factors of such ranks", "remove more")

    def _chosen(self, spectra: Mapping[Matrix, Sequence[float]]) -> tuple[dict[Matrix, int], dict[str, str]]:
        """Return the rank of each layer that is factored, and why the others are not, by path."""
        matrices = list(spectra)
        if fault := self._budget_fault(matrices):
            raise StepError(fault)
        ranks = dict(zip(matrices, self._ranks(matrices, list(spectra.values())), strict=True))
        chosen = {matrix: rank for matrix, rank in ranks.items() if self.rank is not None or matrix.saves(rank)}
        return chosen, {
            matrix.path: f"two factors of rank {rank} would have no fewer parameters"
            for matrix, rank in ranks.items()
            if matrix not in chosen
        }

    def _terms(self, inventory: Inventory) -> tuple[str, ...]:
        return inventory.inner_terms() if self.select is None else self.select

    def _ranks(self, matrices: Sequence[Matrix], spectra: Sequence[Sequence[float]]) -> list[int]:
        if self.rank is not None:
            return [min(self.rank, matrix.full_rank) for matrix in matrices]
        if self.fraction is not None:
            return [rank_without(self.fraction, matrix.full_rank) for matrix in matrices]
        if self.energy is not None:
            return [rank_keeping(self.energy, values) for values in spectra]
        return ranks_within(self._budget(matrices), matrices, spectra)

    def _budget(self, matrices: Sequence[Matrix]) -> int:
        limit = self.parameters_at_most
        assert limit is not None  # noqa: S101 - asked under this rule only
        return limit if isinstance(limit, int) else round(limit * sum(matrix.num_parameters for matrix in matrices))

    def _budget_fault(self, matrices: Sequence[Matrix]) -> str:
        if self.parameters_at_most is None or self._budget(matrices) >= num_least(matrices):
            return ""
        return (
            f"{self._budget(matrices):,} parameters are too few: at rank 1 the {len(matrices)} layers have "
            f"{num_least(matrices):,} in all"
        )


def _factorable(network: Network, terms: Sequence[str]) -> tuple[list[Matrix], dict[str, str]]:
    """Return the layers that can be factored, and why the others of those that ``terms`` pick cannot, by path."""
    from snncompress_structured.factors import fault_of
    from snncompress_structured.sides import used_twice

    matrices, others = matrices_in(network.inventory, terms)
    shared = used_twice(network.module)
    faults = dict.fromkeys(others, f"it is not {_WHICH}")
    faults |= {
        one.module: f"its weight is computed {'by a parametrisation' if one.kinds else 'within forward'}"
        for one in network.inventory.derived_weights(terms)
    }
    for matrix in matrices:
        layer = network.module.get_submodule(matrix.path)
        if fault := "its weight is used in several places" if matrix.weight in shared else fault_of(layer):
            faults[matrix.path] = fault
    found = [matrix for matrix in matrices if matrix.path not in faults]
    if not found:
        raise StepError(f"selector {list(terms)!r} {_NONE}; one is {_WHICH}")
    return found, faults


def _spectra(network: Network, matrices: Sequence[Matrix]) -> dict[Matrix, list[float]]:
    from snncompress_structured.factors import singular_values

    tensors = network.tensors
    if wrong := [matrix.path for matrix in matrices if not tensors[matrix.weight].isfinite().all()]:
        raise StepError(
            f"the weights of {wrong[0]!r} are not finite, so they have no singular values; train again with a lower lr"
        )
    return {matrix: singular_values(tensors[matrix.weight]) for matrix in matrices}


def _edit(network: Network, matrix: Matrix, rank: int) -> Replace:
    """Return the replacement; it is exact at full rank, but for float64 alone: lower precisions round the factors."""
    import torch

    from snncompress import Replace

    is_precise = network.tensors[matrix.weight].dtype is torch.float64
    is_provable = network.probe is not None and (bool(network.neurons) or network.time.runner == "none")
    exact = is_precise and is_provable and rank == matrix.full_rank
    return Replace(matrix.path, "structured.factors", {"rank": rank}, exact=exact)


def _noted(chosen: Mapping[Matrix, int], spectra: Mapping[Matrix, Sequence[float]]) -> dict[str, Any]:
    return {
        "parameters_before": sum(matrix.num_parameters for matrix in chosen),
        "parameters_after": sum(matrix.num_parameters_at(rank) for matrix, rank in chosen.items()),
        "layers": [
            {
                "layer": matrix.path,
                "rank": rank,
                "full_rank": matrix.full_rank,
                "energy": energy_kept(rank, spectra[matrix]),
                "parameters": matrix.num_parameters_at(rank),
            }
            for matrix, rank in chosen.items()
        ],
    }
