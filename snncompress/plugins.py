"""The plugin host: loads plugins one by one and isolates each fault.

A host is an object, built afresh where one is needed. ``SNNCOMPRESS_PLUGINS=a,b`` limits what loads;
``SNNCOMPRESS_STRICT_PLUGINS=1`` makes every fault fatal.
"""

from __future__ import annotations

import importlib
import inspect
import os
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import Distribution, EntryPoint, entry_points, version
from pathlib import Path
from typing import Any, TypeVar, get_args

import pluggy
from pydantic import BaseModel

from snncompress import hookspecs
from snncompress.errors import InputError, PluginError, SnncompressError, did_you_mean

T = TypeVar("T")

GROUP = "snncompress"
OWN_DISTRIBUTION = "snncompress"

_PREFIX = f"{hookspecs.PROJECT}_"
_MEMBERS = {
    "strategies": ("check", "apply"),
    "architectures": ("resolved", "build", "roles", "checkpoint_path", "needs_code", "builds_on_meta"),
    "datasets": ("inputs", "fingerprint", "load"),
    "encoders": ("encode",),
    "metrics": ("yields", "measure"),
    "energy_models": ("energy", "source", "scope"),
    "exporters": ("export",),
    "reporters": ("render", "file_name"),
}


@dataclass(frozen=True)
class Plugin:
    """Name one plugin and what it provides, ``{"strategies": ("prune.l1",)}``."""

    name: str
    distribution: str
    version: str
    provides: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True)
class Fault:
    """Say what is wrong with one plugin, on one line; ``detail`` holds the traceback, if there is one."""

    plugin: str
    distribution: str
    what: str
    detail: str = ""

    def __str__(self) -> str:
        """Return the fault as one line."""
        return f"plugin {self.plugin!r} of {self.distribution}: {self.what}"


class _BrokenError(Exception):
    def __init__(self, what: str, detail: str = "") -> None:
        super().__init__(what)
        self.detail = detail


def _new_manager() -> pluggy.PluginManager:
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    return manager


@dataclass(repr=False)
class Host:
    """Hold the plugins that loaded, what they provide, and the faults of those that did not.

    ``catalogue`` maps a kind (``strategies``, ``datasets``, ...) to a mapping from name to class or place.
    """

    catalogue: dict[str, dict[str, Any]] = field(default_factory=lambda: {kind: {} for kind in hookspecs.REGISTRATION})
    plugins: list[Plugin] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    manager: pluggy.PluginManager = field(default_factory=_new_manager)
    _owners: dict[tuple[str, str], str] = field(default_factory=dict)
    _made: dict[tuple[str, str], Any] = field(default_factory=dict)

    @classmethod
    def from_environment(cls) -> Host:
        """Load every installed plugin of the entry-point group, in name order, as the environment allows."""
        host = cls()
        wanted = _allowed(os.environ.get("SNNCOMPRESS_PLUGINS"))
        for entry in _entries(wanted):
            host.load(entry)
        if wanted is not None:
            missing = wanted - {plugin.name for plugin in host.plugins} - {fault.plugin for fault in host.faults}
            what = "no plugin of that name is installed"
            host.faults.extend(Fault(name, "SNNCOMPRESS_PLUGINS", what) for name in sorted(missing))
        if host.faults and os.environ.get("SNNCOMPRESS_STRICT_PLUGINS") == "1":
            raise PluginError("\n".join(str(fault) for fault in host.faults))
        return host

    def load(self, entry: EntryPoint) -> None:
        """Load one entry point; a fault is kept in ``faults`` and costs only that plugin."""
        distribution, number = _named(entry.dist)
        try:
            loaded = entry.load()
        except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever a plugin's import raises, the program goes on
            self._blame(entry.name, distribution, _one_line(error), traceback.format_exc())
            return
        self.register(loaded, name=entry.name, distribution=distribution, version=number)

    def register(self, plugin: object, *, name: str, distribution: str = "unknown", version: str = "0") -> None:
        """Register one plugin object; everything it provides, or nothing and a fault.

        A name that another plugin owns costs only that name.
        """
        try:
            provided = self._register(plugin, name)
        except _BrokenError as broken:
            self._blame(name, distribution, str(broken), broken.detail)
            return
        owned: dict[str, tuple[str, ...]] = {}
        for kind, things in provided.items():
            kept = {key: thing for key, thing in things.items() if self._claim(kind, key, name, distribution)}
            self.catalogue[kind].update(kept)
            owned[kind] = tuple(kept)
        provides = {kind: names for kind, names in owned.items() if names}
        self.plugins.append(Plugin(name, distribution, version, provides))

    def make(self, kind: str, name: str) -> Any:
        """Import and return the one instance of a backend or module builder registered as a place."""
        if (kind, name) not in self._made:
            if name not in self.catalogue[kind]:
                hint = did_you_mean(name, self.catalogue[kind]) + self.excuse()
                raise InputError(f"unknown {hookspecs.REGISTRATION[kind]} {name!r}; {hint}")
            self._made[kind, name] = self._import(kind, name)()
        return self._made[kind, name]

    def owner(self, kind: str, name: str) -> Plugin | None:
        """Return the plugin that provides ``name``."""
        owner = self._owners.get((kind, name))
        return next((plugin for plugin in self.plugins if plugin.name == owner), None)

    def __repr__(self) -> str:
        return f"Host({len(self.plugins)} plugins, {len(self.faults)} faults)"

    def named(self, kind: str, use: str) -> str:
        """Say what a thing is and whose: ``metric 'accuracy' of plugin 'measures'``."""
        owner = self.owner(kind, use)
        return f"{hookspecs.REGISTRATION[kind]} {use!r}" + (f" of plugin {owner.name!r}" if owner else "")

    def excuse(self) -> str:
        """Say which plugins failed to load and so might have provided a missing name; empty if none."""
        if not self.faults:
            return ""
        names = ", ".join(sorted({repr(fault.plugin) for fault in self.faults}))
        return f" (or a plugin that failed to load provides it: {names}, see `snncompress plugins`)"

    def _import(self, kind: str, name: str) -> Any:
        place = self.catalogue[kind][name]
        module, _, attribute = place.partition(":")
        try:
            return getattr(importlib.import_module(module), attribute)
        except (ImportError, AttributeError) as error:
            what = f"{hookspecs.REGISTRATION[kind]} {name!r} of plugin {self._owners[kind, name]!r}"
            raise PluginError(f"{what} cannot be imported from {place!r}: {_one_line(error)}") from error

    def _register(self, plugin: object, name: str) -> dict[str, dict[str, Any]]:
        if self.manager.has_plugin(name):
            raise _BrokenError(f"another plugin is named {name!r} too; rename one of the entry points")
        if (known := self.manager.get_name(plugin)) is not None:
            raise _BrokenError(f"is the same object as plugin {known!r}")
        hooks = _hooks_of(plugin, self.manager)
        try:
            self.manager.register(plugin, name=name)
            implemented = [kind for kind in hookspecs.REGISTRATION if _PREFIX + kind in hooks]
            return {kind: _collect(kind, hooks[_PREFIX + kind]) for kind in implemented}
        except _BrokenError:
            self._roll_back(plugin)
            raise
        except pluggy.PluginValidationError as error:
            self._roll_back(plugin)
            raise _BrokenError(_one_line(error)) from error

    def _roll_back(self, plugin: object) -> None:
        if self.manager.is_registered(plugin):  # pluggy 1.6 leaves a rejected plugin registered, 1.7 does not
            self.manager.unregister(plugin)

    def _claim(self, kind: str, key: str, plugin: str, distribution: str) -> bool:
        owner = self._owners.setdefault((kind, key), plugin)
        if owner == plugin:
            return True
        what = f"{hookspecs.REGISTRATION[kind]} {key!r} is provided by {owner!r} and by {plugin!r}"
        self._blame(plugin, distribution, f"{what}; the one of {owner!r} is used")
        return False

    def _blame(self, plugin: str, distribution: str, what: str, detail: str = "") -> None:
        self.faults.append(Fault(plugin, distribution, what, detail))


def guarded(work: Callable[[], T], what: str, error: type[SnncompressError]) -> T:
    """Return ``work()``, foreign code; whatever it raises becomes ``error``, which says what was being done and where."""
    try:
        return work()
    except SnncompressError:
        raise
    except Exception as cause:
        place = traceback.extract_tb(cause.__traceback__)[-1]
        raise error(f"{what} failed: {_one_line(cause)} ({Path(place.filename).name}:{place.lineno})") from cause


def returned(value: Any, kind: type[T], what: str, error: type[SnncompressError]) -> T:
    """Return what foreign code returned, as the kind that it must be; raise ``error`` where it is another."""
    if isinstance(value, kind):
        return value
    given = "None" if value is None else f"{type(value).__name__!r}"
    raise error(f"{what} returned {given}, where {kind.__name__!r} is needed")


def _known_hooks() -> set[str]:
    return {name for name in vars(hookspecs) if name.startswith(_PREFIX)}


def _hooks_of(plugin: object, manager: pluggy.PluginManager) -> dict[str, Any]:
    found = {name: getattr(plugin, name, None) for name in dir(plugin) if name.startswith(_PREFIX)}
    hooks = {name: hook for name, hook in found.items() if callable(hook)}
    marks = {name: manager.parse_hookimpl_opts(plugin, name) for name in hooks}
    if unmarked := [name for name, options in marks.items() if options is None]:
        raise _BrokenError(f"hook {unmarked[0]!r} is not marked; put @hookimpl before it")
    optional = {name for name, options in marks.items() if options and options.get("optionalhook")}
    if unknown := sorted(set(hooks) - _known_hooks() - optional):
        raise _BrokenError(f"unknown hook {unknown[0]!r}; {did_you_mean(unknown[0], _known_hooks())}")
    if not hooks:
        raise _BrokenError("implements no snncompress hook")
    for name in sorted(hooks.keys() - optional):
        _check_arguments(name, hooks[name])
    return hooks


def _check_arguments(name: str, hook: Any) -> None:
    known = list(inspect.signature(getattr(hookspecs, name)).parameters)
    needed = [one.name for one in inspect.signature(hook).parameters.values() if one.default is one.empty]
    if unknown := [argument for argument in needed if argument not in known]:
        hint = did_you_mean(unknown[0], known) if known else "it takes none"
        raise _BrokenError(f"hook {name!r} has no argument {unknown[0]!r}; {hint}")


def _collect(kind: str, hook: Any) -> dict[str, Any]:
    try:
        result = hook()
    except Exception as error:
        raise _BrokenError(f"hook {kind!r} failed: {_one_line(error)}", traceback.format_exc()) from error
    return _classes(kind, result) if kind in _MEMBERS else _places(kind, result)


def _places(kind: str, result: Any) -> dict[str, Any]:
    if not isinstance(result, Mapping):
        raise _BrokenError(f"hook {kind!r} must return a mapping from name to place, not {type(result).__name__}")
    for name, place in result.items():
        is_right = isinstance(place, Path) if kind == "zoos" else _is_place(place)
        if not isinstance(name, str) or not is_right:
            wanted = "a folder as pathlib.Path" if kind == "zoos" else "a place such as 'package.module:Class'"
            raise _BrokenError(f"hook {kind!r} must map each name to {wanted}, not {name!r} to {place!r}")
    return dict(result)


def _is_place(place: object) -> bool:
    return isinstance(place, str) and all(part for part in (place.partition(":")[0], place.partition(":")[2]))


def _classes(kind: str, result: Any) -> dict[str, Any]:
    if not isinstance(result, Sequence) or isinstance(result, str):
        raise _BrokenError(f"hook {kind!r} must return a list of classes, not {type(result).__name__}")
    found: dict[str, Any] = {}
    for thing in result:
        use = _use_of(kind, thing)
        if use in found:
            raise _BrokenError(f"hook {kind!r} returns {use!r} twice")
        found[use] = thing
    return found


def _use_of(kind: str, thing: Any) -> str:
    name = getattr(thing, "__name__", repr(thing))
    if not isinstance(thing, type) or not issubclass(thing, BaseModel):
        raise _BrokenError(f"{name!r} in hook {kind!r} is no class derived from Settings")
    known = thing.model_fields.get("use")
    if known is None or not isinstance(known.default, str) or get_args(known.annotation) != (known.default,):
        raise _BrokenError(f'{name!r} in hook {kind!r} needs a field `use: Literal["name"] = "name"`')
    if missing := [member for member in _MEMBERS[kind] if not hasattr(thing, member)]:
        raise _BrokenError(f"{name!r} in hook {kind!r} lacks {missing[0]!r}")
    try:
        thing.model_rebuild()
    except Exception as error:
        what = f"{name!r} in hook {kind!r} is incomplete: {_one_line(error)}"
        raise _BrokenError(what, traceback.format_exc()) from error
    return known.default


def _allowed(text: str | None) -> set[str] | None:
    return None if text is None else {name.strip() for name in text.split(",") if name.strip()}


def _entries(wanted: set[str] | None) -> Iterable[EntryPoint]:
    found = {(entry.name, entry.value): entry for entry in entry_points(group=GROUP)}.values()
    own_first = sorted(found, key=lambda entry: (not _is_own(entry), entry.name, entry.value))
    return [entry for entry in own_first if wanted is None or entry.name in wanted]


def _is_own(entry: EntryPoint) -> bool:
    return _named(entry.dist)[0] == OWN_DISTRIBUTION


@cache
def _named(distribution: Distribution | None) -> tuple[str, str]:
    """Return name and version; importlib parses the whole metadata each time it is asked for either."""
    if distribution is None:
        return "unknown", "0"
    metadata = distribution.metadata
    return metadata["Name"], metadata["Version"]


def _one_line(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def core_version() -> str:
    """Return the version of the installed snncompress."""
    return version(OWN_DISTRIBUTION)
