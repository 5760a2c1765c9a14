"""`holdfast letters`: letters for codes that there are already."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from holdfast.cli import outcomes, say
from holdfast.cli.choosing import choosing_options, names_argument
from holdfast.cli.failure import Failure, Unfinished
from holdfast.cli.lettering import letter_options
from holdfast.cli.settings import appid_option, db_option, relay_option

if TYPE_CHECKING:
    from holdfast.cli.lettering import AskedLetters
    from holdfast.operating.choosing import Choice
    from holdfast.operating.letters import Became, Letters
    from holdfast.operating.people import Person
    from holdfast_journal import FlowRow, SqlJournal


@click.command()
@names_argument
@choosing_options
@letter_options
@click.option(
    "--people",
    metavar="PEOPLE",
    help="A people file whose other columns the template can use, as person.COLUMN.",
)
@click.option("--name-column", default="name", show_default=True, help="Its column with the names.")
@click.option(
    "--secret-column",
    default="secret",
    show_default=True,
    help="Its column with the secrets, which letters cannot show.",
)
@click.option("--again", is_flag=True, help="Write letters again that are there already.")
@db_option
@relay_option
@appid_option
def command(
    choice: Choice,
    letters: AskedLetters | None,
    people: str | None,
    name_column: str,
    secret_column: str,
    db: str,
    relay: str,
    appid: str,
) -> None:
    """Write a letter for each code.

    For flows that were started with 'holdfast add' or are served by 'holdfast run'; 'holdfast
    provision' writes letters itself. A letter is written once for each code: if it is there and
    shows the code, it stays as it is. A new code replaces it. The letter of a flow that is over is
    left alone. --relay and --appid are for a trial letter only: each flow has its own.

    Exit status: 0 if everyone whose flow is not over has a letter, 1 if not, 2 if nothing was
    written.
    """
    from holdfast.operating.bulk import select
    from holdfast.operating.codes_shown import showing_codes
    from holdfast.operating.finding import check_batch

    if letters is None:
        raise Failure("--letters DIR says where the letters go")
    known = [] if people is None else _known(people, name_column, secret_column)
    with showing_codes(db, say.tell) as shown:
        journal = shown.journal
        if not choice.names:
            check_batch(journal, choice.batch)
        rows = select(journal, choice, lambda _: None, opens=True).rows
        if not rows:
            say.out(outcomes.NOBODY)
            return
        who = [(row.batch, row.name) for row in rows]
        ready = letters.prepared(relay, appid, who, known)
        shown.write(row for row in rows if ready.is_due(row))
        counts = Counter(_write(ready, journal, row, choice) for row in rows)
    _conclude(counts, len(rows))


def _known(people: str, name_column: str, secret_column: str) -> Sequence[Person]:
    from holdfast.operating.people import read_people, without

    place: Path | Literal["-"] = "-" if people == "-" else Path(people)
    found = read_people(place, name_column=name_column, secret_column=None)
    return [without(secret_column, person) for person in found]


def _write(letters: Letters, journal: SqlJournal, row: FlowRow, choice: Choice) -> Became | None:
    """Write one letter and say so; None if it was refused."""
    from holdfast.operating.letters import Became
    from holdfast.operating.refused import Refused

    try:
        became = letters.write(journal, row)
    except Refused as refused:
        say.tell(refused.words)
        return None
    if became not in (Became.THERE, Became.NEVER):
        say.out(f"{outcomes.called(row, choice)}: {became.value}")
    return became


def _conclude(counts: Counter[Became | None], total: int) -> None:
    """Count them. Raises Unfinished if some have none yet."""
    from holdfast.operating.letters import Became

    if total > 1:
        parts = [f"{counts[each]} {each.value}" for each in Became if counts[each]]
        parts += [f"{counts[None]} not written"] if counts[None] else []
        say.out(f"{total} flows: {'; '.join(parts)}.")
    missing = counts[None] + counts[Became.NO_CODE]
    if missing:
        raise Unfinished(f"{missing} of {total} have no letter")
