"""Whether a network runs behind what a step would cut, and what to leave out where it does not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from snncompress import Edit, Network

Part = TypeVar("Part")
FEWER = "cut fewer layers: see select"


def fault_behind(
    network: Network,
    parts: Sequence[Part],
    edits: Callable[[Sequence[Part]], Sequence[Edit]],
    name: Callable[[Part], str],
) -> tuple[str, str] | None:
    """Return what running the network raises without ``parts``, and what to do; None if it runs. Values are not looked at.

    A fixed size in its code is the cause: the parts without which alone it does not run are the ones to leave out.

    Args:
        network: with a probe batch; it may have no values.
        parts: what is cut of it.
        edits: the edits that cut some of them.
        name: the term of ``select`` that picks a part.
    """
    if not (fault := network.fault_behind(edits(parts))):
        return None
    culprits = [repr(f"!{name(part)}") for part in parts if network.fault_behind(edits([part]))]
    hint = f"leave out with select: {', '.join(culprits)}" if culprits else FEWER
    return fault, hint
