"""The strategy ``neurons.substitute``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BeforeValidator, Field

from snncompress import (
    EditError,
    Facts,
    Intrinsic,
    Names,
    Number,
    Per,
    Problem,
    Run,
    Strategy,
    Training,
    as_tuple,
    did_you_mean,
)

if TYPE_CHECKING:
    from snncompress import Host, Network, NeuronKind


class Substitution(Strategy):
    """Put neurons of another kind in the place of those that a network has.

    ``to: slif`` gives each channel a threshold and a leak that later training moves (our reading of sLIF, arXiv
    2508.01992, no public code). That the new neurons compute what the old ones did is proved in float64. Where they
    cannot, the step is refused, or, with ``approximate``, the difference is measured and noted.

    Example:
        ``{use: neurons.substitute, to: slif, lr_scale: 2, finetune: {epochs: 4}}``
    """

    use: Literal["neurons.substitute"] = "neurons.substitute"
    to: str = Field(description="Kind of the new neurons: `slif`, `lif`, ...; `snncompress neurons` lists them.")
    library: str | None = Field(
        None, description="Library of the new neurons; by default that of the neuron that each replaces."
    )
    select: Names = Field(("neuron",), description="Selector of neurons; by default all.")
    per: Per | None = Field(
        None, description="What has a trainable value of its own; by default each channel, where the kind can do that."
    )
    learn: Annotated[tuple[Intrinsic, ...], BeforeValidator(as_tuple), Field(min_length=1)] | None = Field(
        None, description="What is trained; by default everything that the kind can train."
    )
    lr_scale: Annotated[Number, Field(gt=0)] | None = Field(
        None, description="Learning rate of what the neurons train, as a multiple of that of the weights; 1 if null."
    )
    approximate: bool = Field(
        False,
        description="Whether neurons that may compute something else are put in place; nothing is proved, and the difference is noted.",
    )
    finetune: Training | None = Field(None, description="Training afterwards; none if null.")

    def training(self) -> Training | None:
        """Return the settings of the fine-tuning."""
        return self.finetune

    def proves(self) -> bool | None:
        """Tell whether the exchange is proved."""
        return None if self.approximate else True

    def check(self, facts: Facts) -> Iterable[Problem]:
        """Find kinds and neurons that do not exist, exchanges that are refused, and settings without effect."""
        wrong = [*self._check_selector(facts), *(self._check_kind(facts.host) if facts.host is not None else ())]
        yield from wrong or self._check_exchanges(facts)
        if not self.approximate:
            hint = "put a train step before it, give the model a checkpoint, or do without a proof: `approximate: true`"
            yield from facts.check_state("weights", where="use", hint=hint)
        if (
            facts.host is not None
            and self.finetune is None
            and self._only_learns(facts.host)
            and not _trained_later(self, facts)
        ):
            what = "the new neurons compute what the old ones did until they are trained, and no step trains behind this one"
            yield Problem(("use",), what, "give `finetune`, or put a step that trains behind it", warns=True)
        if self.finetune is not None:
            yield from facts.check_training(self.finetune, where=("finetune",))

    def apply(self, network: Network, run: Run) -> Network:
        """Exchange the neurons, note what was done, then fine-tune."""
        from snncompress_neurons.exchange import exchanged

        changed = exchanged(network, self, run)
        if self.finetune is None:
            return changed
        run.expect(self.finetune.epochs)
        return run.train(changed, self.finetune, label="finetune")

    def kinds(self, host: Host) -> dict[str, NeuronKind]:
        """Return the kinds that ``to`` can mean, by library."""
        found = (name.rpartition(".") for name in host.catalogue["neurons"])
        libraries = [library for library, _, kind in found if kind == self.to and self.library in (None, library)]
        return {library: host.make("neurons", f"{library}.{self.to}") for library in libraries}

    def _check_selector(self, facts: Facts) -> Iterable[Problem]:
        """Return problems of ``select``: terms that match nothing, or no neuron."""
        neurons = facts.inventory.select(("neuron",))
        if not neurons:
            yield Problem(("use",), "this network has no neuron that a backend knows", "see `snncompress inspect`")
            return
        unmatched = facts.check_terms(self.select)
        yield from unmatched
        if not unmatched and not facts.inventory.select(self.select) & neurons:
            yield Problem(("select",), f"selector {list(self.select)!r} picks no neuron", "try 'neuron'")

    def _check_kind(self, host: Host) -> Iterable[Problem]:
        names = [name.rpartition(".") for name in host.catalogue["neurons"]]
        kinds = self.kinds(host)
        if not kinds and self.library is not None and self.library not in (libraries := {name[0] for name in names}):
            yield Problem(
                ("library",), f"no neuron of {self.library!r} is known", did_you_mean(self.library, libraries)
            )
        elif not kinds:
            where = "" if self.library is None else f" of {self.library}"
            known = {kind for library, _, kind in names if self.library in (None, library)}
            yield Problem(("to",), f"unknown neuron {self.to!r}{where}", did_you_mean(self.to, known) + host.excuse())
        faults = [self.faults(kind) for kind in kinds.values()]
        yield from min(faults, key=len, default=[])

    def _check_exchanges(self, facts: Facts) -> Iterable[Problem]:
        """Return a problem if neurons would be refused; behind another exchange they are not yet known."""
        from snncompress_neurons.exchange import exchanges_of, has_values

        if facts.network is None or any(isinstance(step, Substitution) for step in facts.earlier):
            return
        network = facts.network()
        try:
            exchanges_of(filter(has_values, network.neurons), network, self)
        except EditError as error:
            yield Problem(("to",), str(error))

    def faults(self, kind: NeuronKind) -> list[Problem]:
        """Return problems of the settings that say how the new neuron trains."""
        if not kind.learns:
            given = [name for name in ("per", "learn", "lr_scale") if getattr(self, name) is not None]
            return [
                Problem((name,), f"a neuron {self.to!r} trains nothing of its own", "leave it out") for name in given
            ]
        found = [
            Problem(("learn",), f"a neuron {self.to!r} has no {name} to train", did_you_mean(name, kind.learns))
            for name in self.learn or ()
            if name not in kind.learns
        ]
        if self.lr_scale is not None and not kind.scales:
            what = f"a neuron {self.to!r} trains at the learning rate of the weights"
            found.append(Problem(("lr_scale",), what, "leave it out"))
        if self.per is not None and self.per not in kind.per:
            what = f"a neuron {self.to!r} has no value per {self.per}"
            found.append(Problem(("per",), what, did_you_mean(self.per, kind.per)))
        return found

    def _only_learns(self, host: Host) -> bool:
        """Tell whether what the new neuron is good for is to be trained, not to be another kind or in another library."""
        return self.library is None and not self.approximate and any(kind.learns for kind in self.kinds(host).values())


def _trained_later(step: Strategy, facts: Facts) -> bool:
    before = (*facts.earlier, step)
    return any(one.num_epochs((*before, *facts.later[:place])) for place, one in enumerate(facts.later))
