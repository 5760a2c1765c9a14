"""`holdfast extend`: another deadline for flows that nobody has collected, or none."""

import math
import time
from typing import TYPE_CHECKING

import click
from attrs import evolve

from holdfast.cli import outcomes, say
from holdfast.cli.choosing import choosing_options, dry_run_option, names_argument, why_option
from holdfast.cli.durations import DurationOrNone
from holdfast.cli.settings import db_option

if TYPE_CHECKING:
    from holdfast.operating.choosing import Choice


@click.command()
@names_argument
@choosing_options
@click.option(
    "--deadline",
    type=DurationOrNone(),
    metavar="DURATION|none",
    required=True,
    help="From now on, how long a recipient has: 12h, 30d. It replaces the deadline that a flow"
    " has, or gives it one. 'none' takes it away.",
)
@dry_run_option
@why_option
@db_option
def command(choice: "Choice", deadline: float, dry_run: bool, why: str, db: str) -> None:
    """Give flows another deadline.

    Names them, or chooses them with the options. A flow that runs is told by its worker; one that
    failed keeps the new deadline when it is retried.
    """
    from holdfast.cli.brief import timestamp
    from holdfast.operating.audit import operator
    from holdfast.operating.bulk import extend, select
    from holdfast.operating.database import existing_journal
    from holdfast.operating.rules import why_not_extend

    at = time.time() + deadline
    lasting = at == math.inf
    what = "never expire" if lasting else f"expire at {timestamp(at)}"
    with existing_journal(db, say.tell, looks=dry_run) as journal:
        outcomes.check_choice(journal, choice)
        found = select(journal, choice, why_not_extend)
        outcomes.refuse_the_only_one(found, choice)
        if dry_run:
            outcomes.tell_plan(found, choice, what)
            return
        refused, _ = outcomes.tell(found.refused, choice)
        told = extend(journal, found.rows, at, operator(why))
        words = "never expires" if lasting else f"expires at {timestamp(at)}"
        total, failed = outcomes.tell(
            (evolve(each, words=words) if each.done else each for each in told), choice
        )
    outcomes.conclude(total + refused, failed + refused, what)
