"""Forms that other programs read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from snncompress import Settings, hookimpl

if TYPE_CHECKING:
    from snncompress import Network


class Safetensors(Settings):
    """Write the dense state dict as safetensors, for ``module.load_state_dict`` without snncompress."""

    use: Literal["safetensors"] = "safetensors"

    def export(self, network: Network, folder: Path) -> Sequence[Path]:
        """Write ``state_dict.safetensors``."""
        from safetensors.torch import save_file

        folder.mkdir(parents=True, exist_ok=True)
        file = folder / "state_dict.safetensors"
        save_file({name: value.detach().cpu().clone().contiguous() for name, value in network.tensors.items()}, file)
        return [file]


@hookimpl
def snncompress_exporters() -> list[type[Any]]:
    """Provide ``safetensors``."""
    return [Safetensors]
