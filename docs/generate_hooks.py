"""Print ``docs/reference/hooks.md`` from the docstrings of the hooks: ``python docs/generate_hooks.py``."""

from __future__ import annotations

import inspect
import sys

from snncompress import hookspecs

HEAD = """\
# Hooks

Generated from `snncompress/hookspecs.py` by `python docs/generate_hooks.py > docs/reference/hooks.md`.

A plugin is any module or object that implements some of these with `@snncompress.hookimpl`, named by an entry point of
the group `snncompress`. Registration hooks take no arguments, are called once per plugin, and must not import torch.
`snncompress plugins` lists what loaded and what is wrong with the rest.
"""


def page() -> str:
    """Return the whole page."""
    hooks = {name: hook for name, hook in vars(hookspecs).items() if name.startswith(f"{hookspecs.PROJECT}_")}
    return HEAD + "".join(
        f"\n## `{_signature(name, hook)}`\n\n{inspect.getdoc(hook)}\n" for name, hook in hooks.items()
    )


def _signature(name: str, hook: object) -> str:
    assert callable(hook)  # noqa: S101 - hook specifications are functions
    return name + str(inspect.signature(hook)).replace("'", "")


if __name__ == "__main__":
    sys.stdout.write(page())
