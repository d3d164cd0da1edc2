"""The fast ways that the trainings of one step take: found once for a structure, and told in the record."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from snncompress.run.watch import Watch
from snncompress.speed import Acceleration, Path, acceleration

if TYPE_CHECKING:
    from snncompress.network import Network


@dataclass
class WaysFound:
    """Find the fast way through each network that a step trains.

    Attributes:
        path: what was planned for the step.
        watch: where compilations are shown.
        found: what was found for the last network.
    """

    path: str
    watch: Watch
    found: Acceleration | None = None
    _structure: list[Any] = field(default_factory=list)

    def through(self, network: Network) -> Network:
        """Return the network with the fast way through it, as far as there is one."""
        if self.path == "reference" or network.probe is None:
            return network
        structure = [network.edits, network.time]
        known = self.found if self._structure == structure else None
        self.found = acceleration(network, cast("Path", self.path), known=known)
        self._structure = structure
        if known is None:
            self._show(self.found)
        return self.found.network

    def _show(self, found: Acceleration) -> None:
        if found.compile_seconds >= 1:
            self.watch.line(
                f"  compiled {found.num_kernels} kernels in {found.compile_seconds:.0f} s, once on this machine"
            )
        if found.path != self.path:
            self.watch.line(f"  the library's own way is taken: {'; '.join(found.remarks)}")
