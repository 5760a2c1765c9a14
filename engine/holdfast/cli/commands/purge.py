"""`holdfast purge`: forget flows that ended long ago."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from holdfast.cli import say
from holdfast.cli.durations import Duration
from holdfast.cli.failure import Failure, Unfinished
from holdfast.cli.settings import db_option

if TYPE_CHECKING:
    from holdfast_journal.upkeep.purging import Purge


@click.command()
@click.option(
    "--older-than",
    "age",
    type=Duration(),
    required=True,
    metavar="DURATION",
    help="Purge flows that ended longer ago than this: 90s, 8h, 30d, 52w.",
)
@click.option("--batch", metavar="BATCH", help="Only the flows of this batch.")
@click.option(
    "--names",
    is_flag=True,
    help="Forget their names too. The same people file would then start all of them again.",
)
@click.option(
    "--audit",
    is_flag=True,
    help="Forget too what operators did longer ago than this: rows of 'holdfast audit'.",
)
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@click.option("--dry-run", is_flag=True, help="Say what would be purged, and delete nothing.")
@db_option
def command(
    age: float, batch: str | None, names: bool, audit: bool, yes: bool, dry_run: bool, db: str
) -> None:
    """Forget flows that ended long ago.

    Deletes their journals and what is left of their secrets, also of flows that failed, which
    cannot be retried afterwards. One small row per flow is kept (its name, how it ended, and when),
    so that the same people file does not start anyone again. Unfinished flows are never purged.
    Workers may keep running. If this command is killed, start it again: it does the rest.
    """
    from holdfast.operating.audit import operator
    from holdfast.operating.database import upkeep

    with upkeep(db, say.tell, looks=dry_run) as keeper:
        old = keeper.old(age, batch, names=names, audit=audit)
        found = keeper.find(old)
        if not found.flows and not found.workers and not found.deeds:
            click.echo("There is nothing to purge.")
            return
        what = _what(found)
        if dry_run:
            click.echo(f"There is this to purge: {what}.")
            return
        if not yes:
            _ask(what, names)
        done = keeper.purge(old, operator())
    click.echo(f"Purged: {_what(done)}.")
    if names:
        click.echo("Their names are forgotten: the same people file would start them again.")


def _what(purge: Purge) -> str:
    from holdfast.cli.brief import counted
    from holdfast_journal.upkeep.purging import rows_of_audit

    flows = counted(purge.statuses) if purge.statuses else "no flows"
    words = f"{flows}; {purge.entries} journal entries"
    if purge.untold:
        messages = "1 message" if purge.untold == 1 else f"{purge.untold} messages"
        words += f"; {messages} that no hook was told"
    if purge.deeds:
        words += f"; {rows_of_audit(purge.deeds)}"
    return words


def _ask(what: str, names: bool) -> None:
    if not sys.stdin.isatty():
        raise Failure("this deletes for good: say --yes, or look first with --dry-run")
    click.echo(f"This deletes for good: {what}.")
    if names:
        click.echo("The same people file would start them again.")
    if not click.confirm("Go on?", default=False):
        raise Unfinished("nothing was purged")
