"""Where a network's untouched architecture comes from, so that it can be built again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from torch import nn

from snncompress.code import import_object
from snncompress.components import Architecture
from snncompress.errors import ModelError
from snncompress.network.copying import copied
from snncompress.network.time import Time
from snncompress.network.weight_hooks import require_plain


class Source(Protocol):
    """Builds the untouched architecture and says how it is found again."""

    @property
    def reference(self) -> dict[str, Any]:
        """The architecture as JSON data: ``use`` and its settings."""

    def build(self) -> tuple[nn.Module, Time]:
        """Return the untouched architecture with whatever values it starts from."""

    def initialised(self) -> tuple[nn.Module, Time]:
        """Return the untouched architecture with fresh initial values from the global generators."""

    def roles(self) -> Mapping[str, Sequence[str]]:
        """Return globs over module paths by role."""


@dataclass(frozen=True)
class FromArchitecture:
    """Build from the settings of a registered architecture."""

    architecture: Architecture

    @property
    def reference(self) -> dict[str, Any]:
        """The resolved settings."""
        settings: Any = self.architecture
        return dict(settings.canonical())

    def build(self) -> tuple[nn.Module, Time]:
        """Build the architecture anew; raise ModelError where it builds something else, or hooks compute its weights."""
        made: Any = self.architecture.build()
        if not (isinstance(made, tuple) and list(map(type, made))[1:] == [Time] and isinstance(made[0], nn.Module)):
            given = type(made).__name__ if made is not None else "None"
            raise ModelError(
                f"model {self.reference['use']!r} must build a torch module and a snncompress.Time, not {given!r}"
            )
        require_plain(made[0], f"the model {self.architecture.use!r}")
        return made

    initialised = build

    def roles(self) -> Mapping[str, Sequence[str]]:
        """Return the architecture's roles."""
        return self.architecture.roles()


@dataclass(frozen=True, eq=False)
class InHand:
    """Copy a module that a user has in hand; ``reference`` tells other processes how to build it."""

    module: nn.Module
    time: Time
    reference: dict[str, Any]
    named: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def build(self) -> tuple[nn.Module, Time]:
        """Return a copy of the module."""
        return copied(self.module), self.time

    def initialised(self) -> tuple[nn.Module, Time]:
        """Call what built the module once more."""
        made = import_object(self.reference["function"])(**self.reference["arguments"])
        return (made[0] if isinstance(made, tuple) else made), self.time

    def roles(self) -> Mapping[str, Sequence[str]]:
        """Return the roles that the user named."""
        return self.named
