"""Models that are not architectures of a library: an artifact folder, and a user's own function."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from snncompress.arguments import path_of
from snncompress.code import import_object
from snncompress.components import Inputs
from snncompress.errors import ArtifactError, ModelError
from snncompress.places import ARTIFACT_FILE, artifact_folder
from snncompress.settings import Names, Settings

if TYPE_CHECKING:
    from torch import nn

    from snncompress.network import Network, Time
    from snncompress.plugins import Host

PLACE = r"^[A-Za-z_][\w.]*:[A-Za-z_][\w.]*$"


class PythonFunction(Settings):
    """Build a network with your own function (needs ``--allow-code``).

    The function returns a torch module, or a pair of a module and its ``snncompress.Time``. Without a ``Time``, there or
    in ``time``, the module must take sequences [T, B, ...] and return [T, B, C].
    """

    use: Literal["python"] = "python"
    function: str = Field(pattern=PLACE, description="The function or class, as `MODULE:NAME`.")
    arguments: dict[str, Any] = Field(default_factory=dict, description="Keyword arguments that it is called with.")
    checkpoint: str | None = Field(
        None, description="File of trained weights: .safetensors, or a state dict saved by torch."
    )
    time: dict[str, Any] | None = Field(
        None,
        description="How the network runs in time, as `snncompress.Time`: runner, T, output, input, records, attribute, settable.",
    )
    stem: Names = Field((), description="Globs over the module paths of the stem.")
    head: Names = Field((), description="Globs over the module paths of the classifier.")
    needs_code: ClassVar[bool] = True
    builds_on_meta: ClassVar[bool] = False

    def resolved(self, inputs: Inputs, timesteps: int | None) -> PythonFunction:
        """Return the settings as they are: the function decides its own sizes."""
        del inputs, timesteps
        return self

    def build(self) -> tuple[nn.Module, Time]:
        """Call the function."""
        from snncompress.network.time import Time

        made = import_object(self.function)(**self.arguments)
        module, time = made if isinstance(made, tuple) else (made, Time("multi_step", 4))
        if self.time is not None:
            time = Time.from_json(self.time)
        if not hasattr(module, "named_modules") or not isinstance(time, Time):
            raise ModelError(
                f"{self.function!r} must return a torch module, or a pair of a module and a snncompress.Time"
            )
        return module, time

    def roles(self) -> Mapping[str, Sequence[str]]:
        """Return the stem and the head that the settings name."""
        return {"stem": self.stem, "head": self.head}

    def checkpoint_path(self) -> Path | None:
        """Return the file of trained weights."""
        return Path(self.checkpoint) if self.checkpoint else None


class ArtifactFolder(Settings):
    """Open the artifact of an earlier run, ``file:FOLDER``."""

    use: Literal["file"] = "file"
    folder: str = Field(description="The folder that holds network.json and weights.safetensors, or that of a run.")
    shorthand: ClassVar[str] = "folder"
    builds_on_meta: ClassVar[bool] = True

    @property
    def needs_code(self) -> bool:
        """Whether the artifact's architecture is a user's own function."""
        return self.underlying().get("use") == "python"

    def underlying(self) -> dict[str, Any]:
        """Return the reference of the artifact's architecture, ``use`` and its settings; empty where the file has none."""
        try:
            described = json.loads((self._place() / ARTIFACT_FILE).read_text(encoding="utf-8"))
            return dict(described["architecture"])
        except (OSError, ValueError, KeyError, TypeError, ArtifactError, RecursionError):
            return {}  # opening it says what is wrong

    def resolved(self, inputs: Inputs, timesteps: int | None) -> ArtifactFolder:
        """Return the settings as they are: the artifact knows its sizes. Raise ArtifactError where there is none."""
        del inputs, timesteps
        self._place()
        return self

    def opened(self, host: Host, *, values: bool) -> Network:
        """Open the artifact with its edits and, if asked, its values."""
        from snncompress.network.artifact import load_network

        return load_network(self._place(), host, allow_code=True, values=values)

    def build(self) -> tuple[nn.Module, Time]:
        """Return the artifact's structure; the edits are lost, so ``opened`` is what the core calls."""
        raise ModelError(f"the artifact {self.folder!r} is opened, not built")

    def roles(self) -> Mapping[str, Sequence[str]]:
        """Return nothing: the artifact's own architecture names its roles."""
        return {}

    def checkpoint_path(self) -> Path | None:
        """Return the artifact folder."""
        return self._place()

    def _place(self) -> Path:
        place = path_of(self.folder, "folder")
        return artifact_folder(place) if place.exists() else place  # that it is missing is said where it is opened
