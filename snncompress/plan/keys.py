"""Keys: the identity of every state a pipeline passes through, computed without building anything.

The root key covers the model reference and its content, the data, the encoding, the time steps and the seed; the key of
a step covers the key before it, the step's settings, and the versions of everything that computes.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import TYPE_CHECKING, Any

from snncompress.code import source_hash
from snncompress.plugins import OWN_DISTRIBUTION, Host

if TYPE_CHECKING:
    from snncompress.strategy import Strategy

Parts = Mapping[str, str]
"""What went into a key, by name, so that a plan can say which part changed."""

_COMPUTING = (
    "network",
    "speed",
    "run",
    "measure",
    "strategy.py",
    "anatomy.py",
    "counts.py",
    "neurons.py",
    "training.py",
    "selectors.py",
    "components.py",
)


def key_of(parts: Parts) -> str:
    """Return the key of these parts, 64 hexadecimal digits."""
    return hashlib.sha256(canonical(dict(parts)).encode()).hexdigest()


def canonical(data: Any) -> str:
    """Return data as JSON with sorted keys and no spaces."""
    return json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def content_hash(path: Path | None) -> str:
    """Return a hash of what a file holds, or of the files in an artifact folder and below by path; empty for None."""
    if path is None:
        return ""
    if not path.exists():
        return "missing"
    files = sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.relative_to(path).as_posix().encode() + b"\0")
        with file.open("rb") as opened:
            digest.update(hashlib.file_digest(opened, "sha256").digest())
    return digest.hexdigest()


def root_parts(
    *,
    architecture: Any,
    data: Any,
    encoder: Any,
    timesteps: int | None,
    seed: int,
    host: Host,
) -> dict[str, str]:
    """Return the parts of the root key."""
    settings = architecture.canonical()
    reference = architecture.underlying() if hasattr(architecture, "underlying") else settings
    return {
        "model": canonical(settings),
        "model content": content_hash(architecture.checkpoint_path()),
        "code": source_hash(reference["function"]) if reference.get("use") == "python" else "",
        "data": canonical(data.canonical()) + data.fingerprint(),
        "encode": canonical(encoder.canonical()),
        "timesteps": str(timesteps),
        "seed": str(seed),
        "versions": canonical(
            versions(host) | plugin_versions(host, architecture, data, encoder) | _versions_behind(reference, host)
        ),
    }


def content_parts(root: Parts, steps: Sequence[Parts], samples: str) -> dict[str, str]:
    """Return a hash each of the weights, the code and the samples behind settings, from the parts of the keys."""
    read = {
        "weights": [root["model content"], *(parts["files"] for parts in steps)],
        "code": [root["code"], *(parts["code"] for parts in steps)],
        "samples": [samples],
    }
    return {name: key_of({name: canonical(found)}) for name, found in read.items()}


def step_parts(before: str, step: Strategy, earlier: Sequence[Strategy], *, host: Host, path: str) -> dict[str, str]:
    """Return the parts of a step's key; ``earlier`` are the steps before it."""
    parts = {f"setting {name}": canonical(value) for name, value in step.canonical().items()}
    return {
        "the step before": before,
        **parts,
        "code": "".join(source_hash(place) for place in _places(step.canonical())),
        "files": "".join(content_hash(file) for file in step.files()),
        "versions": canonical(versions(host) | plugin_versions(host, step)),
        "computing path": path,
        **_warmup_taken_over(step, earlier),
    }


def _warmup_taken_over(step: Strategy, earlier: Sequence[Strategy]) -> dict[str, str]:
    """Return the warm-up that a step takes over from an earlier training, where that states it.

    In the JSON of a long training a stated warm-up of one epoch is equal to the default, and does the same. A shorter
    training that takes it over does not.
    """
    known = [training for other in earlier if (training := other.training()) is not None]
    if step.training() is not None or not step.num_epochs(earlier) or not known or known[-1].warmup_epochs is None:
        return {}
    return {"warm-up taken over": canonical(known[-1].warmup_epochs)}


def metric_key(state: str, metric: Any, host: Host) -> str:
    """Return the key of one measurement of one state."""
    inside = metric.components(host) if hasattr(metric, "components") else ()
    found = plugin_versions(host, metric, *inside)
    return key_of({"state": state, "metric": canonical(metric.canonical()), "versions": canonical(found)})


@cache
def _version_of(name: str) -> str:
    try:
        return distribution(name).version
    except PackageNotFoundError:
        return "none"


def versions(host: Host) -> dict[str, str]:
    """Return the versions of the core, torch and every library that a backend adapts."""
    libraries = sorted({"torch", *host.catalogue["backends"]})
    return {OWN_DISTRIBUTION: _core_version(), **{name: _version_of(name) for name in libraries}}


def _versions_behind(reference: Mapping[str, Any], host: Host) -> dict[str, str]:
    """Return the versions of the plugins that build an architecture or parts of it, whatever stands for it, know its parts, and run it."""
    builder = host.catalogue["architectures"].get(str(reference.get("use")))
    places = [builder.__module__] if builder else []
    places += [
        place for kind in ("backends", "modules", "neurons", "anatomies") for place in host.catalogue[kind].values()
    ]
    packages = {place.partition(":")[0].partition(".")[0] for place in places}
    return {package: _package_version(package) for package in packages - {OWN_DISTRIBUTION}}


def plugin_versions(host: Host, *things: Any) -> dict[str, str]:
    """Return the version of the plugin that each thing comes from, or a hash of its source if that is being edited."""
    del host
    found: dict[str, str] = {}
    for thing in things:
        package = type(thing).__module__.partition(".")[0]
        if package != OWN_DISTRIBUTION:
            found[package] = _package_version(package)
    return found


@cache
def _package_version(package: str) -> str:
    folder = _folder_of(package)
    name = next(iter(_providers().get(package, ())), None)  # none: a plugin that was registered by hand
    return _hash_sources((folder,)) if folder and (name is None or _is_edited(name)) else _version_of(name or package)


@cache
def _core_version() -> str:
    folder = _folder_of(OWN_DISTRIBUTION)
    if folder and _is_edited(OWN_DISTRIBUTION):
        return _hash_sources(tuple(folder / name for name in _COMPUTING))
    return _version_of(OWN_DISTRIBUTION)


@cache
def _providers() -> Mapping[str, list[str]]:
    from importlib.metadata import entry_points

    providers: dict[str, list[str]] = {}
    for entry in entry_points(group=OWN_DISTRIBUTION):
        if entry.dist:
            providers.setdefault(entry.value.partition(":")[0].partition(".")[0], []).append(entry.dist.name)
    return providers


@cache
def _is_edited(name: str) -> bool:
    try:
        text = Distribution.from_name(name).read_text("direct_url.json")
    except PackageNotFoundError:
        return True
    return bool(text and json.loads(text).get("dir_info", {}).get("editable"))


def _folder_of(package: str) -> Path | None:
    module = sys.modules.get(package)
    origin = getattr(module, "__file__", None) if module else getattr(importlib.util.find_spec(package), "origin", None)
    if not origin:
        return None
    file = Path(origin)
    return file.parent if file.name == "__init__.py" else file


def _hash_sources(places: tuple[Path, ...]) -> str:
    digest = hashlib.sha256()
    for place in places:
        for file in sorted(place.rglob("*.py")) if place.is_dir() else [place]:
            digest.update(file.name.encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()


def _places(data: Any) -> list[str]:
    """Return every ``MODULE:NAME`` among settings: a user's own loss, say."""
    if isinstance(data, dict):
        return [place for value in data.values() for place in _places(value)]
    if isinstance(data, list):
        return [place for value in data for place in _places(value)]
    is_place = (
        isinstance(data, str)
        and ":" in data
        and all(piece.isidentifier() for piece in data.replace(":", ".").split("."))
    )
    return [data] if is_place else []
