"""Importing what users name as ``MODULE:NAME``."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import inspect
import sys
from functools import partial
from pathlib import Path
from typing import Any

from snncompress.arguments import shown
from snncompress.errors import InputError, ModelError, did_you_mean, near
from snncompress.plugins import guarded

_INSTALL = "install it, or put its folder on PYTHONPATH"


def import_object(place: str, *, error: type[InputError] = ModelError) -> Any:
    """Import ``MODULE:NAME``, looking in the working directory too; raise ``error`` naming what is missing."""
    if not isinstance(place, str):
        raise error(f"a place should be text, 'MODULE:NAME', not {shown(place)}")
    module_name, _, name = place.partition(":")
    _look_in_working_directory()
    if module_name == main_name():
        module_name = "__main__"
    try:
        found: Any = guarded(
            partial(importlib.import_module, module_name), f"{place!r}: importing {module_name!r}", error
        )
    except error as failed:
        raise _why_not(place, module_name, failed.__cause__, error) or failed from failed.__cause__
    except SystemExit as ended:
        hint = "put what it does as a program under `if __name__ == '__main__':`"
        raise error(f"{place!r}: module {module_name!r} ends the program where it is imported; {hint}") from ended
    for piece in name.split("."):
        if not hasattr(found, piece):
            raise error(f"{place!r}: module {module_name!r} has no {name!r}; {did_you_mean(name, _public(found))}")
        found = getattr(found, piece)
    return found


def source_hash(place: str) -> str:
    """Return a hash of the source file of ``MODULE:NAME`` without importing it; empty where it cannot be found."""
    if not isinstance(place, str):
        raise ModelError(f"a place should be text, 'MODULE:NAME', not {shown(place)}")
    module_name = place.partition(":")[0]
    _look_in_working_directory()
    if module_name in sys.modules:
        origin = getattr(sys.modules[module_name], "__file__", None)
    else:
        try:
            spec = importlib.util.find_spec(module_name)
        except ModuleNotFoundError:
            spec = None
        origin = spec.origin if spec else None
    if not origin or not Path(origin).is_file():
        return ""
    return hashlib.sha256(Path(origin).read_bytes()).hexdigest()


def place_of(thing: Any) -> str:
    """Return the ``MODULE:NAME`` under which another process finds a function or class; raise ModelError if none does."""
    module_name, name = getattr(thing, "__module__", None), getattr(thing, "__qualname__", "")
    if not module_name or not name or "<" in name:
        raise ModelError(
            f"{name or thing!r} is defined inside a function, so no other process can import it; move it to the top level of a module"
        )
    if module_name == "__main__":
        if not main_name():
            raise ModelError(
                f"{name!r} was typed into an interactive session, so no other process can import it; put it into a file"
            )
        module_name = main_name()
    return f"{module_name}:{name}"


def place_of_function(thing: Any) -> str:
    """Return the ``MODULE:FUNCTION`` of a function handed over in Python, a loss say.

    Raises:
        ModelError: for a class, an object with settings of its own, or a function that no other process finds: no key could
            say what it computes.
    """
    kind = thing.__name__ if isinstance(thing, type) else type(thing).__name__
    if not (inspect.isfunction(thing) or inspect.isbuiltin(thing)):
        what = f"the class {kind!r}" if isinstance(thing, type) else f"an object of the class {kind!r}"
        raise ModelError(
            f"{what} cannot be recorded, because no file says how it is set; call it in a function at the top level of a "
            f"module, and give that function: def loss(output, labels_B): return {kind}(...)(output.mean(), labels_B), or "
            "with output.per_step() for a loss over time steps"
        )
    place = place_of(thing)
    if import_object(place) is not thing:
        raise ModelError(f"{place!r} is not the function that was given; another one has its name, or stands around it")
    return place


def main_name() -> str:
    """Return the name under which another process could import the running script; empty in an interactive session."""
    script = getattr(sys.modules["__main__"], "__file__", None)
    return Path(script).stem if script else ""


def _look_in_working_directory() -> None:
    here = str(Path.cwd())
    if here not in sys.path and "" not in sys.path:
        sys.path.append(here)


def _why_not(place: str, module_name: str, cause: BaseException | None, error: type[InputError]) -> InputError | None:
    """Return a better error for a module that is not there, or whose imports fail; None for what it raises itself."""
    if isinstance(cause, ModuleNotFoundError):
        what = f"module {cause.name!r} cannot be imported"
        if cause.name == module_name:
            return error(f"{place!r}: {what}; {_near_module(place, module_name)}")
        return error(f"{place!r}: {what} (needed by {module_name!r}); {_INSTALL}")
    if isinstance(cause, (ImportError, SyntaxError)):
        return error(f"{place!r}: module {module_name!r} cannot be imported: {cause}")
    return None


def _near_module(place: str, module_name: str) -> str:
    if module_name.endswith(".py"):
        return f"did you mean {place.replace('.py:', ':')!r}? (a module is named without .py)"
    folder, _, name = module_name.rpartition(".")
    beside = Path.cwd().joinpath(*folder.split("."))
    best = near(name, [file.stem for file in beside.glob("*.py")], most=1)
    meant = f"{folder}.{best[0]}".lstrip(".") if best else ""
    return f"did you mean {place.replace(module_name, meant)!r}?" if best else _INSTALL


def _public(module: Any) -> list[str]:
    return [name for name in vars(module) if not name.startswith("_")] if hasattr(module, "__dict__") else []
