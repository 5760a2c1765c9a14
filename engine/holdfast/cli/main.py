"""The `holdfast` command.

Each subcommand is a module `holdfast.cli.commands.<name>` that exposes `command`, a click command.
It is imported only when it is called: `holdfast --help` needs neither Twisted nor a database
library. To add a command, write its module and its line in `COMMANDS`.
"""

import importlib
import sys
from collections.abc import Mapping
from typing import Any

import click

from holdfast.cli import large_pages, say, streams
from holdfast.cli.failure import one_line_errors
from holdfast.operating import garbage
from holdfast.version import VERSION

COMMANDS: Mapping[str, str] = {
    "provision": "Give each person in a file their secret, or a file.",
    "add": "Start flows for people, and return at once.",
    "start": "Start a flow of your own, and return at once.",
    "letters": "Write a letter for each code.",
    "run": "Serve every unfinished flow, as a service does.",
    "status": "Show how each flow stands.",
    "log": "Tell what happened to one flow.",
    "tasks": "Show the tasks that flows wait for.",
    "batches": "Show how far each batch is.",
    "workers": "Show the processes that run flows.",
    "cancel": "End flows that nobody has collected.",
    "retry": "Give flows that failed a new code.",
    "extend": "Give flows another deadline.",
    "console": "Show flows in the browser, and serve an HTTP API.",
    "audit": "Show what operators have done.",
    "token": "Make and revoke tokens for the console and its API.",
    "doctor": "Look for damage in a database, and repair nothing.",
    "send": "Send files, a folder or a text.",
    "receive": "Receive a file, a folder or a text.",
    "ssh": "Give somebody access by SSH, or get it.",
    "mailbox": "Run a mailbox server until it is told to stop.",
    "relay": "Run a transit relay until it is told to stop.",
    "keep": "Hold connections while their processes are started again.",
    "key": "Make a new master key, and change to it.",
    "db": "Check the database, and bring it up to date.",
    "purge": "Forget flows that ended long ago.",
    "timing": "Draw recordings of message times.",
    "traces": "Send what flows do to a tracing system.",
}
"""Name and short help of each subcommand, in the order of a reader's interest."""


class LazyCommands(click.Group):
    """A group whose subcommands are imported when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all subcommands, imported or not."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one subcommand, or return None if there is none of that name."""
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"holdfast.cli.commands.{cmd_name}")
        command: click.Command = module.command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the subcommand; if it was mistyped, suggest from those that are not imported too."""
        try:
            return super().resolve_command(ctx, args)
        except click.exceptions.NoSuchCommand as error:
            raise click.exceptions.NoSuchCommand(
                error.command_name, possibilities=COMMANDS, ctx=ctx
            ) from None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the listing from `COMMANDS`, which imports nothing."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        parent: click.Context | None = None,
        **extra: Any,
    ) -> click.Context:
        """Parse the words before the subcommand's name; errors are one line."""
        with one_line_errors():
            return super().make_context(info_name, args, parent, **extra)

    def invoke(self, ctx: click.Context) -> Any:
        """Parse the subcommand's words and run it; expected errors are one line."""
        with one_line_errors():
            return super().invoke(ctx)


@click.group(
    cls=LazyCommands,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="'holdfast COMMAND --help' says more about each.",
)
@click.version_option(VERSION, prog_name="holdfast", message="%(prog)s %(version)s")
def holdfast() -> None:
    """Magic-Wormhole exchanges that survive the death of their process."""


def main() -> None:
    """Run the command line; the console script and `python -m holdfast` call this."""
    large_pages.begin_again(sys.argv[1:])
    garbage.begin()
    streams.make_safe()
    try:
        holdfast.main(prog_name="holdfast")
    finally:
        say.finish()
        garbage.end()
