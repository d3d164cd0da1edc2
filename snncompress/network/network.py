"""The network: the value that is passed between steps."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property, reduce
from itertools import groupby
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from snncompress.anatomy import Block
from snncompress.arguments import list_of, mapping_of, shown
from snncompress.components import Backend
from snncompress.errors import EditError, ModelError
from snncompress.network.anatomy import blocks_of
from snncompress.network.checkpoint import read_checkpoint
from snncompress.network.copying import copied
from snncompress.network.cutting import cutting
from snncompress.network.edits import Edit, Replace, Slice, survivors
from snncompress.network.inventory import inventory_of
from snncompress.network.leaving import evaluating, leaving_generators, unseeded_generators
from snncompress.network.lines import lines_of
from snncompress.network.output import Output
from snncompress.network.owners import Owned, Owners, find_owners
from snncompress.network.proof import DOES_NOT_RUN, Proof, prove
from snncompress.network.source import Source
from snncompress.network.step_parts import fault_of_steps
from snncompress.network.ties import merged_masks, ties_of
from snncompress.network.time import Time
from snncompress.network.transforms import computed_by_forward
from snncompress.network.usage import beside_by_use
from snncompress.network.weight_hooks import require_plain
from snncompress.plugins import Host
from snncompress.selectors import Inventory


@dataclass(frozen=True, eq=False, repr=False)
class Network:
    """A torch module and what is known about it; strategies never change it, they return a new one.

    Attributes:
        module: the torch module; treat it as read-only, ``copy()`` before changing it.
        time: how it runs in time.
        source: how the untouched architecture is built again.
        host: the plugins, which own state and build replacements.
        edits: what changed its structure since the architecture was built, in order.
        masks: one boolean mask per masked tensor at its present shape, True where the weight stays.
        snapshots: earlier weights by name, each a whole state, at their present shapes.
        probe: a small batch as ``forward`` takes it, which proofs run on.
        proofs: what has been proved about the edits, in order.
        fast: a faster way through this very module that was found equal; a copy goes its own way again.
    """

    module: nn.Module
    time: Time
    source: Source
    host: Host
    edits: tuple[Edit, ...] = ()
    masks: Mapping[str, Tensor] = field(default_factory=dict)
    snapshots: Mapping[str, Mapping[str, Tensor]] = field(default_factory=dict)
    probe: Tensor | None = None
    proofs: tuple[Proof, ...] = ()
    fast: Callable[[Tensor], Any] | None = None

    def __str__(self) -> str:
        """Return a few lines: what it is, how it runs in time, its neurons, and what was done to it."""
        return "\n".join(lines_of(self))

    def __repr__(self) -> str:
        return f"Network({type(self.module).__name__}, {self.inventory.num_parameters()} parameters, T={self.time.T})"

    # ---- looking

    @cached_property
    def owners(self) -> Owners:
        """Every stateful module and who looks after it."""
        return find_owners(self.module, self.host)

    @property
    def neurons(self) -> tuple[Owned, ...]:
        """The modules that emit spikes and that a backend knows."""
        return self.owners.neurons

    @cached_property
    def inventory(self) -> Inventory:
        """The modules, roles and parameters, as selectors see them."""
        roles = self.source.roles()
        found = inventory_of(self.module, roles, self.owners)
        beside = beside_by_use(self, found.weights(("*",)))
        left = tuple(name for name in found.weights(("*",)) if name not in beside)
        computed = computed_by_forward(self, left)
        return inventory_of(self.module, roles, self.owners, beside, computed) if beside or computed else found

    def blocks(self, x: Tensor | None = None) -> tuple[Block, ...]:
        """Return the recognised blocks and their inner dimensions, watching ``x`` (or the network's own probe) flow.

        Raises:
            ModelError: if there is no batch to watch.
        """
        batch = x if x is not None else self.probe
        if batch is None:
            raise ModelError("a batch is needed to see what follows what: pass blocks(x), or give the network a probe")
        return blocks_of(self, batch)

    @property
    def tensors(self) -> dict[str, Tensor]:
        """Every parameter and stored buffer by its full name."""
        return {name: value for name, value in self.module.state_dict().items() if isinstance(value, Tensor)}

    @property
    def device(self) -> torch.device:
        """The device of the first parameter."""
        return next((value.device for value in self.module.parameters()), torch.device("cpu"))

    # ---- running

    def reset(self) -> None:
        """Clear the state of every stateful module; raise StateError where one has no owner."""
        self.owners.reset()

    def forward(self, x: Tensor) -> Output:
        """Run the network on x_T... (or x_B... where its input is static); the state is left as it ends.

        Raises:
            ModelError: if the network returns something else than its declaration says.
        """
        if not isinstance(x, Tensor):
            raise ModelError(f"forward takes a torch tensor, not {shown(x)}")
        output = Output.of(self.own_way(x) if self.fast is None else self.fast(x), self.time)
        output.require_sizes(x, self.time)
        return output

    def own_way(self, x: Tensor) -> Any:
        """Return what the module returns as its library runs it.

        Raises:
            ModelError: if the module has parts for fewer time steps than it runs.
        """
        try:
            return self._run(x)
        except (IndexError, RuntimeError) as error:
            if fault := fault_of_steps(self.module, self.time.T, error):
                raise ModelError(fault) from error
            raise

    def _run(self, x: Tensor) -> Any:
        if self.time.runner in ("inside", "none"):
            return self.module(x)
        return self._runner.forward(self.module, x, self.time)

    @cached_property
    def _runner(self) -> Backend:
        backends = [owned.backend for owned in self.owners.owned]
        for backend in sorted({id(item): item for item in backends}.values(), key=lambda item: -backends.count(item)):
            if backend.runs(self.module, self.time):
                return backend
        raise ModelError(
            f"no backend can run this network with runner {self.time.runner!r}; "
            + ("it holds no neuron that a backend knows" if not backends else "see the declaration of its time")
        )

    # ---- changing

    def copy(self) -> Network:
        """Return the same network with a module of its own, its state cleared; its library's own reset knows it."""
        require_plain(self.module, "the network")
        self.reset()
        made = replace(self, module=copied(self.module), fast=None)
        self.owners.adopt(made.module)
        return made

    def edited(self, edits: Sequence[Edit], *, probe: Tensor | None = None) -> Network:
        """Return the network after ``edits``.

        Masks and snapshots are carried along. After a ``Slice``, and after a ``Replace`` that declares itself exact,
        outputs and spike trains are proved equal on ``probe`` (or the network's own) in float64. Exact replacements that
        follow each other are proved together.

        Raises:
            ProofError: if they are not equal.
            EditError: if an edit does not fit, or the network does not run behind it.
        """
        network = self
        if wrong := [one for one in list_of(edits, "edits", "[Timesteps(2)]") if not hasattr(one, "perform")]:
            raise EditError(f"edits should be a list of edits, and {shown(wrong[0])} is none")
        for _, numbered in groupby(enumerate(edits), _proved_together):
            group = [edit for _, edit in numbered]
            changed = reduce(Network._edited_once, group, network)
            network = changed._proved(network, group[-1], probe if probe is not None else self.probe)  # noqa: SLF001 - our own class
        return network

    def cut(self, blocks: Sequence[Block], keep: Mapping[str, Sequence[int]]) -> Network:
        """Return the network with the indices ``keep`` of the blocks' dimensions, by dimension; proved as ``edited`` does."""
        return self.edited(self.cutting(blocks, keep))

    def cutting(self, blocks: Sequence[Block], keep: Mapping[str, Sequence[int]]) -> tuple[Edit, ...]:
        """Return the edits that ``cut`` makes; raise EditError where a block refuses or ``keep`` does not fit."""
        return cutting(self, blocks, keep)

    def fault_behind(self, edits: Sequence[Edit]) -> str:
        """Say what running the probe batch raises behind ``edits``; nothing if it runs.

        Structure alone counts, so that a network without values can be asked, and nothing is proved. Raises EditError where
        an edit does not fit, or there is no probe.
        """
        module, time = self.copy().module, self.time
        for edit in edits:
            module, time = edit.replay(module, time, self.host)
        changed = replace(self, module=module.to(self.device), time=time, fast=None)
        try:
            with evaluating(module), leaving_generators(), torch.no_grad():
                changed.own_way(_required(self.probe))
        except DOES_NOT_RUN as error:
            return str(error)
        return ""

    def _edited_once(self, edit: Edit) -> Network:
        fresh = self.copy()
        module, time = edit.perform(fresh.module, self.time, self.host)
        changed = replace(fresh, module=module, time=time, edits=(*self.edits, edit))
        changed.owners.adopt(module)
        now = changed.tensors
        snapshots: dict[str, Mapping[str, Tensor]] = {}
        for name, old in self.snapshots.items():
            left = survivors(old, [edit], now)
            snapshots[name] = {**{key: value.detach().clone() for key, value in now.items() if key not in left}, **left}
        return replace(changed, masks=survivors(self.masks, [edit], now), snapshots=snapshots)

    def _proved(self, before: Network, edit: Edit, probe: Tensor | None) -> Network:
        if not (isinstance(edit, Slice) or (isinstance(edit, Replace) and edit.exact)):
            return self
        return replace(self, proofs=(*self.proofs, prove(before, self, edit, _required(probe))))

    def with_weights(self, tensors: Mapping[str, Tensor]) -> Network:
        """Return the network with other values in some of its tensors, masks applied; no edit is recorded."""
        changed = self.copy()
        _fill(changed.module, mapping_of(tensors, "tensors"))
        changed.apply_masks()
        return changed

    def with_masks(self, masks: Mapping[str, Tensor]) -> Network:
        """Return the network under ``masks`` (all of them: earlier ones not named are lifted), masked weights zero."""
        now = self.tensors
        for name, mask in mapping_of(masks, "masks").items():
            if (
                not isinstance(mask, Tensor)
                or name not in now
                or now[name].shape != mask.shape
                or mask.dtype is not torch.bool
            ):
                raise EditError(f"the mask of {name!r} must be boolean and have the shape of a tensor of that name")
        merged = merged_masks(masks, ties_of(self.module))
        changed = replace(self.copy(), masks={name: mask.detach().clone() for name, mask in merged.items()})
        changed.apply_masks()
        return changed

    def with_snapshot(self, name: str) -> Network:
        """Return the network with its present weights kept as the snapshot ``name``."""
        kept = {key: value.detach().clone() for key, value in self.tensors.items()}
        return replace(self, snapshots={**self.snapshots, name: kept})

    def reinitialised(self) -> Network:
        """Return the network with fresh initial values, drawn from the global generators; masks and snapshots stay."""
        module = self._replayed()
        return self.with_weights(
            {name: value for name, value in module.state_dict().items() if isinstance(value, Tensor)}
        )

    def rebuilt(self) -> Network:
        """Return the network as another process would build it: the architecture anew, the edits, then every stored tensor."""
        with unseeded_generators():
            module = self._replayed()
        return replace(self, module=module.to(self.device), fast=None).with_weights(self.tensors)

    def _replayed(self) -> nn.Module:
        module, time = self.source.initialised()
        for edit in self.edits:
            module, time = edit.replay(module, time, self.host)
        return module

    def read_checkpoint(self, file: Path) -> dict[str, Tensor]:
        """Read a state dict that fits this network; raise ModelError if it does not."""
        return read_checkpoint(file, self.tensors, ties_of(self.module))

    def with_probe(self, probe: Tensor) -> Network:
        """Return the network with a batch that proofs run on."""
        return replace(self, probe=probe)

    def apply_masks(self) -> None:
        """Set every masked weight of this network's module to zero, in place."""
        tensors = self.module.state_dict()
        with torch.no_grad():
            for name, mask in self.masks.items():
                tensors[name].masked_fill_(~mask.to(tensors[name].device), 0)

    @contextmanager
    def hold_masks(self, optimizer: torch.optim.Optimizer) -> Iterator[None]:
        """Keep masked weights at zero in a training loop: they are cleared after every ``optimizer.step()``.

        Adam's moments revive weights whose gradients alone are masked; this does not.

        Raises:
            ModelError: if something else than an optimizer is given, its parameters for example.
        """
        if not hasattr(optimizer, "register_step_post_hook"):
            raise ModelError(
                f"hold_masks takes the optimizer, not {type(optimizer).__name__!r}: "
                "with network.hold_masks(torch.optim.Adam(network.module.parameters()))"
            )
        tensors = self.module.state_dict()
        with torch.no_grad():
            pairs = [(tensors[name], mask.to(tensors[name])) for name, mask in self.masks.items()]
        self.apply_masks()

        def clear(*_: Any) -> None:
            with torch.no_grad():
                for value, mask in pairs:
                    value.mul_(mask)

        handle = optimizer.register_step_post_hook(clear)
        try:
            yield
        finally:
            handle.remove()
            self.apply_masks()

    def in_float64(self) -> Network:
        """Return a copy that computes in float64 throughout."""
        changed = self.copy()
        changed.module.double()
        for backend in {id(item.backend): item.backend for item in changed.owners.owned}.values():
            backend.to_float64(changed.module)
        return changed if self.probe is None else changed.with_probe(self.probe.double())

    # ---- saying what training must honour

    def auxiliary_loss(self) -> Tensor | None:
        """Return the sum of what the network's modules add to the loss, or None."""
        losses = [loss() for loss in self._declared("auxiliary_loss")]
        return torch.stack(losses).sum() if losses else None

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Return the groups with settings of their own that the network's modules declare."""
        return [group for groups in self._declared("parameter_groups") for group in groups()]

    def _declared(self, name: str) -> list[Callable[[], Any]]:
        return [
            getattr(module, name) for module in self.module.modules() if callable(getattr(type(module), name, None))
        ]


def _proved_together(numbered: tuple[int, Edit]) -> int:
    """Return the same number for exact replacements, and one of its own for every other edit."""
    number, edit = numbered
    return -1 if isinstance(edit, Replace) and edit.exact else number


def _required(probe: Tensor | None) -> Tensor:
    if probe is None:
        raise EditError(
            "a probe batch is needed to see that this edit fits: pass edited(edits, probe=x), or with_probe(x)"
        )
    return probe


def _fill(module: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    now = module.state_dict()
    with torch.no_grad():
        for name, value in tensors.items():
            if not isinstance(value, Tensor):
                raise EditError(f"cannot set {name!r} to {shown(value)}: it is no tensor")
            if name not in now or now[name].shape != value.shape:
                found = list(now[name].shape) if name in now else "no such tensor"
                raise EditError(f"cannot set {name!r} of shape {list(value.shape)}: the network has {found}")
            now[name].copy_(value)
