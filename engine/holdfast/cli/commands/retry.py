"""`holdfast retry`: new codes for flows that did not end well."""

from functools import partial
from typing import TYPE_CHECKING

import click

from holdfast.cli import outcomes, say
from holdfast.cli.choosing import choosing_options, dry_run_option, names_argument, why_option
from holdfast.cli.settings import db_option

if TYPE_CHECKING:
    from holdfast.operating.bulk import Retry
    from holdfast.operating.choosing import Choice
    from holdfast_journal import Actor, SqlJournal

WHAT = "get a new code"


@click.command()
@names_argument
@choosing_options
@click.option("--force", is_flag=True, help="Retry even if the secret may have arrived already.")
@dry_run_option
@why_option
@db_option
def command(choice: "Choice", force: bool, dry_run: bool, why: str, db: str) -> None:
    """Give flows that failed a new code.

    Names them, or chooses them with the options. The old codes stop working. The running worker, or
    the next one, continues with the new ones. If this command is killed, start it again: it goes on
    where it was, and no flow is retried twice.
    """
    from holdfast.operating.audit import operator
    from holdfast.operating.bulk import Retry, select
    from holdfast.operating.database import existing_journal
    from holdfast.operating.rules import why_not_retry

    with existing_journal(db, say.tell, looks=dry_run) as journal:
        outcomes.check_choice(journal, choice)
        asked = Retry(choice, force)
        left, since = asked.interrupted(journal)
        if left and since is not None:
            _go_on(journal, asked, operator(why), left, since, dry_run=dry_run)
            return
        found = select(journal, choice, partial(why_not_retry, force=force), opens=True)
        outcomes.refuse_the_only_one(found, choice)
        if dry_run:
            outcomes.tell_plan(found, choice, WHAT)
            return
        asked.plan(journal, found.rows)
        refused, _ = outcomes.tell(found.refused, choice)
        _carry_out(journal, asked, operator(why), refused)


def _go_on(
    journal: "SqlJournal",
    asked: "Retry",
    by: "Actor",
    left: int,
    since: float,
    *,
    dry_run: bool,
) -> None:
    from holdfast.cli.brief import timestamp

    say.out(
        f"The same command began at {timestamp(since)} and was interrupted: {left} of its flows are"
        " left. Start it again afterwards for flows that have failed since."
    )
    if not dry_run:
        _carry_out(journal, asked, by, 0)


def _carry_out(journal: "SqlJournal", asked: "Retry", by: "Actor", refused: int) -> None:
    total, failed = outcomes.tell(asked.carry_out(journal, by), asked.choice)
    if total > failed:
        if served := outcomes.processes(journal):
            shown = ", ".join(map(str, served))
            say.out(f"Process {shown} is running, and continues with it if it serves this batch.")
        else:
            say.out("To continue, start 'holdfast run', or the command that started it.")
    outcomes.conclude(total + refused, failed + refused, WHAT)
