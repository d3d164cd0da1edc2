"""What users name by a path: an artifact folder, or a folder of results that holds one."""

from __future__ import annotations

from pathlib import Path

from snncompress.errors import ArtifactError, listed, near

ARTIFACT_FILE, FINAL = "network.json", "final"
"""What makes a folder an artifact, and the artifact of a run in its folder."""

_MOST_NAMED = 5


def artifact_folder(place: Path) -> Path:
    """Return the artifact that a path leads to: the folder itself, or ``final`` in that of a run.

    Raises:
        ArtifactError: where there is none, or more than one; it names them.
    """
    for folder in (place, place / FINAL):
        if (folder / ARTIFACT_FILE).is_file():
            return folder
    if not place.exists():
        raise ArtifactError(f"{str(place)!r} does not exist{near_names(place)}")
    if not place.is_dir():
        hint = f"; give its folder, {str(place.parent)!r}" if (place.parent / ARTIFACT_FILE).is_file() else ""
        raise ArtifactError(f"{str(place)!r} is a file, and an artifact is a folder{hint}")
    if runs := [str(found.parent.parent) for found in sorted(place.glob(f"*/{FINAL}/{ARTIFACT_FILE}"))]:
        raise ArtifactError(f"{str(place)!r} holds several runs; give one of them: {listed(runs, _MOST_NAMED)}")
    if runs := [str(found.parent.parent) for found in sorted(place.glob(f"*/*/{FINAL}/{ARTIFACT_FILE}"))]:
        raise ArtifactError(f"{str(place)!r} holds several runs; give one of them: {listed(runs, _MOST_NAMED)}")
    raise ArtifactError(f"{str(place)!r} is no artifact: it holds no {ARTIFACT_FILE}, and no finished run")


def near_names(place: Path) -> str:
    """Name what lies beside a missing path and is called almost alike."""
    folder = place.parent
    if not folder.is_dir():
        return f"; there is no folder {str(folder)!r}"
    best = near(place.name, [entry.name for entry in folder.iterdir()])
    return f"; near: {', '.join(repr(str(folder / name)) for name in best)}" if best else ""
