"""What plugins provide besides strategies: protocols, without torch at import time.

Architectures, data sets, encoders, metrics, exporters and reporters are frozen settings (``Settings``) with a
``use`` and one or two methods. Importing the module that defines them must not import torch: their methods do.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol, runtime_checkable

from snncompress.counts import OperationCounts
from snncompress.neurons import Intrinsic, NeuronDescription, Per
from snncompress.record import Measurement, Record, Summary

if TYPE_CHECKING:
    from rich.console import RenderableType
    from torch import Generator, Tensor, nn

    from snncompress.anatomy import Block
    from snncompress.measure import Batches, Observation
    from snncompress.network import Network, Time
    from snncompress.report import Comparison
    from snncompress.speed import Fusible


@dataclass(frozen=True)
class Inputs:
    """What a data set says of its samples before any is read.

    Attributes:
        shape: of one sample, [C, H, W] for a static image, [T, C, H, W] for event frames.
        num_classes: number of classes.
        kind: ``static`` images (presented at each step or spike-coded) or event ``frames`` (which bring their time).
        num_train: number of training samples, where it is known before any is read; whether compiling pays depends on it.
        batch_size: samples of a training batch, where a loader decides and not the settings of a training.
    """

    shape: tuple[int, ...]
    num_classes: int
    kind: Literal["static", "frames"] = "static"
    num_train: int | None = None
    batch_size: int | None = None

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """The shape [C, H, W] of one image or frame."""
        channels, height, width = self.shape[-3:]
        return channels, height, width


@dataclass(frozen=True)
class Data:
    """Three splits of samples; nothing is ever selected on ``test``.

    Each split is a map-style torch data set of (x, y) with x a float tensor of ``inputs.shape`` and y an integer
    label, or an ordinary ``DataLoader`` that a user brings. A data set may define ``__getitems__(indices)`` that
    returns a whole batch (x_B..., y_B) at once; it is then used instead of collating single samples.
    """

    train: Any
    validation: Any
    test: Any
    inputs: Inputs


@runtime_checkable
class Dataset(Protocol):
    """A data set: settings and how to read it.

    A property ``leaves_unit_interval`` is optional: whether its settings take the values out of 0..1.
    """

    @property
    def use(self) -> str:
        """The name by which a pipeline asks for it."""

    def inputs(self) -> Inputs:
        """Say the shape and number of classes without reading samples; raise DataError if files are missing."""

    def fingerprint(self) -> str:
        """Return a text that changes whenever the samples do (a hash of files, a version)."""

    def load(self, seed: int) -> Data:
        """Read the samples; ``seed`` chooses the split where the data set has no fixed one."""


@runtime_checkable
class Encoder(Protocol):
    """How a static image becomes T time steps.

    ``needs_unit_interval: ClassVar[bool]`` is optional: whether it takes values in 0..1 alone.
    """

    @property
    def use(self) -> str:
        """The name by which a pipeline asks for it."""

    def encode(self, x_BCHW: Tensor, timesteps: int, generator: Generator) -> Tensor:
        """Return x_TBCHW; draw only from ``generator``."""


@runtime_checkable
class Architecture(Protocol):
    """A network that can be built from settings alone.

    One that is opened rather than built (an artifact) defines ``opened(host, *, values) -> Network`` besides.
    """

    @property
    def use(self) -> str:
        """The name by which a pipeline asks for it."""

    needs_code: ClassVar[bool]
    """Whether building runs a user's own code (``--allow-code``)."""
    builds_on_meta: ClassVar[bool]
    """Whether the library can build it on the meta device, without values."""

    def resolved(self, inputs: Inputs, timesteps: int | None) -> Architecture:
        """Return these settings with every open size filled in from the data; imports no torch."""

    def build(self) -> tuple[nn.Module, Time]:
        """Return a freshly initialised module and how it runs in time."""

    def roles(self) -> Mapping[str, Sequence[str]]:
        """Return globs over module paths for the roles ``stem``, ``head``, ``attention``, ``mlp``, ..."""

    def checkpoint_path(self) -> Path | None:
        """Return the file or artifact folder of trained weights, if there is one; it is part of every key."""


class Backend(Protocol):
    """The adapter for one library: it recognises that library's stateful modules and runs time."""

    name: str

    def owns(self, module: nn.Module) -> bool:
        """Tell whether ``module`` holds state of a class that this backend knows."""

    def is_neuron(self, module: nn.Module) -> bool:
        """Tell whether ``module`` emits spikes and is of a class that this backend knows."""

    def reset(self, module: nn.Module) -> None:
        """Clear the state of one owned module and cut it from the autograd graph."""

    def spikes(self, module: nn.Module, output: Any) -> Tensor:
        """Return the spikes in what one neuron's forward returned (some return tuples)."""

    def spike_scale(self, module: nn.Module, output: Tensor) -> Tensor | None:
        """Return the scale that a module of the library gives to spikes, broadcastable to its ``output``; None if it has none."""

    def fusible(self, module: nn.Module) -> Fusible | str:
        """Return how the fast path may run a neuron, or why it may not: a few words for ``snncompress inspect``.

        Only for a class whose update is known exactly, not for one derived from it: the rule computes what the neuron's
        forward does, to the last bit.
        """

    def membrane(self, module: nn.Module, x_B: Tensor) -> Tensor | None:
        """Return the membrane that a fusible neuron kept, shaped as ``x_B``; None where it starts at its rule's initial value."""

    def keep_membrane(self, module: nn.Module, v_B: Tensor) -> None:
        """Leave the membrane in a fusible neuron, as its own forward would have."""

    def forward(self, module: nn.Module, x: Tensor, time: Time) -> Any:
        """Run the root module over time: x is x_T..., or x_B... where ``time.input`` is static.

        Returns what the module returned, stacked over time where it runs per step.
        """

    def runs(self, module: nn.Module, time: Time) -> bool:
        """Tell whether this backend can run ``module`` in the way that ``time`` declares."""

    def to_float64(self, module: nn.Module) -> None:
        """Turn a module (already copied) to float64 in place, mending what of this library stays in float32."""

    def adopt(self, module: nn.Module) -> None:
        """Make a copied module known to its library where that keeps lists of instances; called for every copy.

        Hold it weakly, so that a copy can be freed.
        """


class ModuleBuilder(Protocol):
    """Builds and fills a module that takes another's place."""

    def build(self, old: nn.Module, arguments: Mapping[str, Any]) -> nn.Module:
        """Return the new module: its structure follows from ``old``'s structure and JSON ``arguments`` alone."""

    def transfer(self, old: nn.Module, new: nn.Module) -> None:
        """Set the new module's values from the old one's; called once, not on replay."""


class Anatomy(Protocol):
    """Recognises the blocks of known architectures: which tensors share which inner dimensions."""

    def blocks(self, network: Network, x: Tensor) -> Iterable[Block]:
        """Yield the blocks of ``network`` that this anatomy knows, in the order in which they run.

        ``x`` is a small batch as ``forward`` takes it, perhaps on the meta device, for anatomies that watch it flow.
        """


@runtime_checkable
class SynapseBackend(Protocol):
    """A backend that knows parameters of its library which look like synaptic weights and are not; optional."""

    def beside_synapses(self, module: nn.Module) -> Iterable[str]:
        """Yield names, from ``module`` down, of parameters inside layers that are no synaptic weights.

        For example the leak of a neuron that is computed by a recurrent layer, or a matrix that mixes time steps. It is
        asked of every module of a network, whichever library it is of.
        """


@runtime_checkable
class NeuronBackend(Backend, Protocol):
    """A backend that can say what its neurons are, so that others can take their place; optional."""

    def describe(self, module: nn.Module) -> NeuronDescription | str:
        """Return what a neuron is, without its library; or why that cannot be said, in a few words."""

    def intrinsics(self, module: nn.Module) -> Mapping[Intrinsic, Tensor]:
        """Return the values of a neuron's threshold, leak (1 / tau) and so on, as they are now; any shape."""


class NeuronKind(ModuleBuilder, Protocol):
    """A neuron that can stand in for another: a builder for ``Replace``, registered under both hooks.

    Its name is ``LIBRARY.KIND``, the import name of the library that runs it first. Importing the module that defines
    it must not import torch: its methods do. ``build`` takes these arguments, and needs the old module only for what
    a description cannot say, within one library::

        {"neuron": NeuronDescription.to_json(), "shape": [C], "num_places": 2, "learn": ["leak"], "lr_scale": 1.0}

    ``shape`` is that of each trainable value: [] for a layer, [C], or that of one sample. ``num_places`` is the number
    of dimensions behind the channels. Axis 0 of a trainable tensor is the channel, so that it can be sliced. Modules
    declare ``parameter_groups()`` with ``lr_scale`` and without weight decay.
    """

    summary: ClassVar[str]
    """What it is, in a line."""
    learns: ClassVar[tuple[Intrinsic, ...]]
    """What it can train; empty for a neuron without trainable values."""
    per: ClassVar[tuple[Per, ...]]
    """Of what it can train one value each, the usual first; empty for a neuron without trainable values."""
    scales: ClassVar[bool]
    """Whether what it trains can have a learning rate of its own."""

    def obstacles(self, neuron: NeuronDescription, *, abroad: bool) -> Sequence[str]:
        """Return what of ``neuron`` this kind cannot do, each as ``it does this, and that is not so here``.

        ``abroad`` says that the neuron comes from another library, so that nothing is known but its description.
        """


@runtime_checkable
class EnergyModel(Protocol):
    """Turns counted operations into energy, by a published convention."""

    @property
    def use(self) -> str:
        """The name by which a pipeline asks for it."""

    source: ClassVar[str]
    """Where its numbers come from: a paper or a program."""
    scope: ClassVar[str]
    """What it counts and what it leaves out, in a sentence."""

    def energy(self, counts: OperationCounts) -> Mapping[str, float]:
        """Return the parts of the energy of one sample by name, in mJ; they add up to the whole."""


@runtime_checkable
class Metric(Protocol):
    """One measurement; may yield several values.

    A metric may also say ``needs: ClassVar[frozenset[Need]]``, what it asks of ``bench.observe``, so that one pass over the
    data serves every metric; and ``compares: ClassVar[bool]``, that it asks for ``bench.baseline()``. Either makes it costly,
    and so does ``costly: bool``, a property or class variable for whatever else takes longer than one plain pass. A costly
    metric is measured on the baseline and on the result alone, unless the pipeline says ``measure_steps: all``. Three methods
    are optional: ``problems(host) -> Iterable[Problem]`` is asked when a pipeline is read, ``check(facts) ->
    Iterable[Problem]`` when it is planned, and ``components(host) -> Iterable[Any]`` names the components inside its
    settings, whose versions are part of the measurement's key.
    """

    @property
    def use(self) -> str:
        """The name by which a pipeline asks for it."""

    def yields(self) -> tuple[str, ...]:
        """Return the names of the values, which budgets may use."""

    def measure(self, network: Network, bench: Bench) -> Mapping[str, Measurement]:
        """Return a measurement for each name of ``yields()``."""


def is_costly(metric: Metric) -> bool:
    """Tell whether a metric says that it takes longer than one plain pass over the test split."""
    return any(getattr(metric, name, False) for name in ("needs", "compares", "costly"))


Need = Literal["counts", "activity"]
"""What a pass over the test split can observe besides predictions: operations, and the spikes of each neuron layer."""


class Bench(Protocol):
    """What a metric may ask for."""

    @property
    def seed(self) -> int:
        """The seed of the pipeline."""

    def batches(self, split: Literal["train", "validation", "test"] = "test") -> Batches:
        """Return batches (x_B..., labels_B) in a fixed order; each is checked when it is read."""

    def encode(self, network: Network, x_B: Tensor, generator: Generator) -> Tensor:
        """Return what the network takes: x_T... (or x_B... where its input is static), on its device."""

    def generator(self) -> Generator:
        """Return a generator seeded from ``seed``, the same at each call."""

    def observe(self, network: Network, *needs: Need) -> Observation:
        """Run the test split once and return predictions, and operation counts and activity where ``needs`` asks.

        What one metric has observed is kept for the next one that asks about the same network.
        """

    def baseline(self) -> Network | None:
        """Return the network that others are compared with, if it is known."""


@runtime_checkable
class Exporter(Protocol):
    """Writes a network in a form that another program reads."""

    @property
    def use(self) -> str:
        """The name by which a pipeline asks for it."""

    def export(self, network: Network, folder: Path) -> Sequence[Path]:
        """Write files into ``folder`` and return them."""


@runtime_checkable
class Reporter(Protocol):
    """Turns a record into something to read; knows no models."""

    @property
    def use(self) -> str:
        """The name by which a pipeline asks for it."""

    file_name: ClassVar[str]

    def render(self, record: Record) -> str:
        """Return the whole report as text."""


@runtime_checkable
class SummaryReporter(Reporter, Protocol):
    """A reporter that also renders the summary of several seeds; optional."""

    def render_summary(self, summary: Summary) -> str:
        """Return the whole report as text."""


@runtime_checkable
class ComparisonReporter(Reporter, Protocol):
    """A reporter that also renders a comparison of several runs; optional."""

    def render_comparison(self, comparison: Comparison) -> str:
        """Return the whole report as text."""


@runtime_checkable
class TerminalReporter(Reporter, Protocol):
    """A reporter that also renders for a terminal; optional."""

    def for_terminal(self, found: Record | Summary | Comparison) -> RenderableType:
        """Return what ``rich`` prints where stdout is a terminal."""
