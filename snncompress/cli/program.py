"""The group of verbs: finds them lazily and turns errors into exit codes."""

from __future__ import annotations

import importlib
import os
from typing import Any

import click

from snncompress.errors import InputError, SnncompressError, did_you_mean

VERBS = {
    "run": "Run a pipeline.",
    "validate": "Check a pipeline file without opening its model.",
    "plan": "Show what a run would do, and what it would reuse.",
    "report": "Show the report of a finished run.",
    "runs": "List the finished runs.",
    "sweep": "Run a pipeline with every combination of some settings.",
    "compare": "Set finished runs side by side.",
    "measure": "Measure a network without a pipeline.",
    "inspect": "Show the parts of a network that selectors can pick.",
    "strategies": "List what a step can use.",
    "neurons": "List the neurons that can stand in for others.",
    "plugins": "List the plugins that loaded, and what is wrong with the others.",
    "recipes": "List the pipelines that installed zoos ship.",
    "schema": "Print the JSON schema of pipelines.",
}
"""Every verb and its one line of help; its command is ``command`` in ``snncompress.cli.<verb>``."""

FAILED, WRONG_INPUT, BUDGET_MISSED, INTERRUPTED = 1, 2, 3, 130


class Program(click.Group):
    """Import a verb when it is called; print errors without a traceback."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all verbs."""
        del ctx
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one verb."""
        del ctx
        if cmd_name not in VERBS:
            return None
        command: click.Command = importlib.import_module(f"snncompress.cli.{cmd_name}").command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the verb, or offer a near name."""
        if args[0] not in VERBS and not args[0].startswith("-"):
            raise click.UsageError(f"no verb {args[0]!r}; {did_you_mean(args[0], VERBS)}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the verbs without importing them."""
        del ctx
        with formatter.section("Verbs"):
            formatter.write_dl(list(VERBS.items()))

    def invoke(self, ctx: click.Context) -> Any:
        """Run the verb; exit with the code that its error stands for."""
        try:
            return super().invoke(ctx)
        except SnncompressError as error:
            if os.environ.get("SNNCOMPRESS_TRACEBACK") == "1":
                raise
            click.echo(str(error), err=True)
            ctx.exit(WRONG_INPUT if isinstance(error, InputError) else FAILED)
        except OSError as error:  # a full disk, a folder that may not be written
            if isinstance(error, BrokenPipeError) or os.environ.get("SNNCOMPRESS_TRACEBACK") == "1":
                raise
            click.echo(str(error), err=True)
            ctx.exit(FAILED)
        except KeyboardInterrupt:
            click.echo("interrupted; run the same command again to go on", err=True)
            ctx.exit(INTERRUPTED)


@click.command(cls=Program, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="snncompress")
def main() -> None:
    """Compress spiking neural networks, as a pipeline file says."""
