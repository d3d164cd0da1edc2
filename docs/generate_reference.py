"""Write the generated pages of ``docs/reference``: ``python docs/generate_reference.py``."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import click

from snncompress import Host
from snncompress.cli.program import VERBS, main
from snncompress.pipeline.describe import Description, Setting, describe

FOLDER = Path(__file__).parent / "reference"
DISTRIBUTION = "snncompress"
WIDTH = 88
_NOTE = "Generated from the installed classes by `python docs/generate_reference.py`."

_STRATEGIES = f"""\
# Strategies

{_NOTE}
`snncompress strategies NAME` prints the same for whatever is installed, plugins of other authors included.

A step names a strategy with `use` and gives its settings. A setting named `fraction` or `fraction_*` lies in 0..1 and
is the part that is *removed*. What a selector may say stands in [magnitude pruning](../guides/magnitude-pruning.md#selectors).
What a mapping such as `finetune: {{epochs: 4}}` may hold stands under the name of its type, [at the end](#mappings).
"""

_COMPONENTS = f"""\
# Components

{_NOTE}

What a pipeline can name besides strategies. Where all settings have a default, the name alone will do: `encode: direct`.
How the sections use them stands in [the pipeline file](pipeline.md).
"""

_CLI = """\
# The command line

Generated from the program itself by `python docs/generate_reference.py`.

Results go to stdout; errors, warnings and progress go to stderr. With `--json`, stdout holds one JSON document and
nothing else.

| exit code | meaning |
|---|---|
| 0 | done |
| 1 | a step failed while it ran |
| 2 | wrong input: the pipeline, a setting, a file, a plugin in strict mode |
| 3 | a budget was missed; the results are there all the same |
| 130 | interrupted; the same command goes on where it was |

`SNNCOMPRESS_PLUGINS=a,b` limits which plugins load, `SNNCOMPRESS_STRICT_PLUGINS=1` makes a broken one fatal
([plugins](../guides/plugins.md#faults-and-switches)). `SNNCOMPRESS_TRACEBACK=1` shows the whole traceback of an error.
"""

KINDS = {
    "architectures": ("Architectures", "`model:` names one."),
    "datasets": ("Data sets", "`data:` names one. [Examples and file layouts](../guides/data.md)."),
    "encoders": ("Encoders", "`encode:` names one; `direct` if the pipeline says nothing."),
    "metrics": ("Metrics", "`measure:` lists them; budgets limit the values that they yield."),
    "energy_models": (
        "Energy models",
        "The metric [`energy`](#energy) lists them. [Which model for what](../guides/energy.md).",
    ),
    "exporters": ("Exporters", "`export:` lists them; each writes into `export/NAME/` of the run folder."),
    "reporters": ("Reporters", "`report:` lists them; each writes one file into the run folder."),
}
"""The kinds on the page of components: their headings, and where a pipeline names them."""


def pages(host: Host) -> dict[str, str]:
    """Return the text of each generated page by file name."""
    return {"strategies.md": _strategies(host), "components.md": _components(host), "cli.md": _cli()}


def built_in(host: Host, kind: str) -> dict[str, Description]:
    """Return the descriptions of what this distribution itself provides; other authors document their own."""
    own = {plugin.name for plugin in host.plugins if plugin.distribution == DISTRIBUTION}
    return {use: one for use, one in describe(host, kind).items() if one.plugin in own}


def _strategies(host: Host) -> str:
    known = built_in(host, "strategies").values()
    groups = {group.type: group for one in known for group in one.groups}
    text = _STRATEGIES + "".join(_entry(one.use, one.text, one.settings, 2) for one in known)
    text += "\n## Mappings\n"
    return text + "".join(_entry(name, group.text, group.settings, 3) for name, group in sorted(groups.items()))


def _components(host: Host) -> str:
    text = _COMPONENTS
    for kind, (title, where) in KINDS.items():
        text += f"\n## {title}\n\n{where}\n"
        known = built_in(host, kind)
        text += "".join(_entry(use, one.text, one.settings, 3, _extra(host, kind, use)) for use, one in known.items())
    return text


def _extra(host: Host, kind: str, use: str) -> str:
    thing = host.catalogue[kind][use]
    if kind == "metrics":
        return f"Yields {', '.join(f'`{name}`' for name in thing().yields())}.\n"
    if kind == "energy_models":
        return f"Counts: {thing.scope}.\n\nSource: {thing.source}.\n"
    if kind == "reporters":
        return f"Writes `{thing.file_name}`.\n"
    scheme = getattr(thing, "shorthand", None)
    return f"Short form: `{use}:{scheme.upper()}`.\n" if scheme else ""


def _entry(name: str, about: str, settings: tuple[Setting, ...], level: int, extra: str = "") -> str:
    parts = [f"{'#' * level} `{name}`", about, extra.rstrip(), "\n".join(_table(settings))]
    return "\n" + "\n\n".join(part for part in parts if part) + "\n"


def _table(settings: tuple[Setting, ...]) -> Iterator[str]:
    if not settings:
        yield "It has no settings."
        return
    yield "| setting | type | default | meaning |"
    yield "|---|---|---|---|"
    for one in settings:
        default = "required" if one.required else f"`{json.dumps(one.default, ensure_ascii=False)}`"
        cells = (f"`{one.name}`", one.type, default, one.description)
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _cli() -> str:
    return _CLI + "".join(_verb(name) for name in ("", *VERBS))


def _verb(name: str) -> str:
    title = f"snncompress {name}".rstrip()
    return f"\n## `{title}`\n\n```text\n{help_of(name)}\n```\n"


def help_of(verb: str) -> str:
    """Return what ``snncompress VERB --help`` prints; of the program itself where the verb is empty."""
    top = click.Context(
        main, info_name="snncompress", terminal_width=WIDTH, max_content_width=WIDTH, **main.context_settings
    )
    if not verb:
        return main.get_help(top)
    command = main.get_command(top, verb)
    assert command is not None  # noqa: S101 - VERBS names every verb
    return command.get_help(click.Context(command, parent=top, info_name=verb))


def write() -> None:
    """Write every page."""
    for name, text in pages(Host.from_environment()).items():
        (FOLDER / name).write_text(text, encoding="utf-8")
        sys.stdout.write(f"{FOLDER / name}\n")


if __name__ == "__main__":
    write()
