"""The options that choose flows, the same for every command that has them."""

from collections.abc import Callable
from functools import wraps
from typing import Any

import click

from holdfast.cli.durations import Duration

Command = Callable[..., Any]

_OPTIONS = (
    click.option(
        "--status",
        "statuses",
        metavar="STATUS",
        multiple=True,
        help="Only flows with this status, as the table shows it; or `unfinished`, `ended`,"
        " `ended-badly`. May be given several times.",
    ),
    click.option(
        "--kind",
        "kinds",
        metavar="KIND",
        multiple=True,
        help="Only flows of this kind: provision, send, or one of your own. May be given several"
        " times.",
    ),
    click.option("--batch", metavar="BATCH", help="Only the flows of this batch."),
    click.option(
        "--name",
        "glob",
        metavar="GLOB",
        help="Only flows whose whole name is like this; * is any text, and ? one character.",
    ),
    click.option(
        "--since",
        type=Duration(),
        metavar="DURATION",
        help="Only flows that moved or ended within this time: 30m, 8h, 7d.",
    ),
)


def names_argument(command: Command) -> Command:
    """Add any number of NAMEs; put it above `choosing_options`, which passes them on."""
    return click.argument("names", metavar="[NAME]...", nargs=-1)(command)


def dry_run_option(command: Command) -> Command:
    """Add `--dry-run`; the command gets `dry_run: bool`."""
    return click.option(
        "--dry-run", is_flag=True, help="Say what would be done, and change nothing."
    )(command)


def why_option(command: Command) -> Command:
    """Add `--why`; the command gets `why: str`."""
    return click.option(
        "--why", metavar="TEXT", default="", help="Your reason; it is kept in the audit."
    )(command)


def choosing_options(command: Command) -> Command:
    """Add the options; the command gets `choice: Choice`, with its `names` if it has any."""

    @wraps(command)
    def chosen(
        *args: Any,
        statuses: tuple[str, ...],
        kinds: tuple[str, ...],
        batch: str | None,
        glob: str | None,
        since: float | None,
        names: tuple[str, ...] = (),
        **others: Any,
    ) -> Any:
        from holdfast.operating.choosing import Choice

        choice = Choice(names, statuses, kinds, batch, glob, since)
        return command(*args, choice=choice, **others)

    for option in reversed(_OPTIONS):
        chosen = option(chosen)
    return chosen
