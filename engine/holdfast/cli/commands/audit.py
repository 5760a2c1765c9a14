"""`holdfast audit`: what operators have done."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

import click
from attrs import evolve

from holdfast.cli import say
from holdfast.cli.documents import document_options
from holdfast.cli.settings import db_option
from holdfast.operating.audit import ACTIONS

if TYPE_CHECKING:
    from holdfast.cli.documents import Write
    from holdfast_journal import Deed, Deeds, SqlJournal

SHOWN = 100
"""How many are shown to people who do not say how many."""

COLUMNS = ("at", "who", "origin", "face", "action", "name", "batch", "uid", "detail", "why")


@click.command(
    epilog="With --json: one array with an object per row, whose keys are at (UTC, ISO 8601), who,"
    " origin (from which host or address), face (command, page or api), action, name, batch and uid"
    " (of the flow; null if it was not done to one flow), detail and why (the reason that was"
    " given). --csv has the same columns."
)
@click.argument("name", required=False)
@click.option("--batch", metavar="BATCH", help="Only what was done to flows of this batch.")
@click.option("--who", metavar="WHO", help="Only what this person or token did.")
@click.option("--action", type=click.Choice(list(ACTIONS)), help="Only this.")
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    metavar="N",
    help=f"Show at most N rows. Without it people see {SHOWN}, and programs all.",
)
@document_options
@db_option
def command(
    *,
    name: str | None,
    batch: str | None,
    who: str | None,
    action: str | None,
    limit: int | None,
    write: Write | None,
    db: str,
) -> None:
    """Show what operators have done.

    By commands, in the console and by its API; to all flows, or to those called NAME. What was done
    last comes first.
    """
    from holdfast.operating.database import existing_journal
    from holdfast.operating.people import same_name
    from holdfast_journal import Deeds

    meant = Deeds(who, action, None, None if name is None else same_name(name), batch)
    with existing_journal(db, say.tell, looks=True) as journal:
        found = _all(journal, meant)
        if write is not None:
            write(COLUMNS, ([_facts(deed)] for deed in islice(found, limit)))
            return
        deeds = list(islice(found, limit or SHOWN))
        if not deeds:
            click.echo("No operator has done anything like that.")
            return
        _show(deeds)
        if next(found, None) is not None:
            click.echo(f"\nThere are more than these {len(deeds)}; --limit shows more.")


def _all(journal: SqlJournal, meant: Deeds) -> Iterator[Deed]:
    while True:
        page = journal.audit(meant)
        if not page:
            return
        yield from page
        meant = evolve(meant, before=page[-1].id)


def _facts(deed: Deed) -> dict[str, Any]:
    from holdfast.cli.brief import iso

    uid = {"uid": deed.flow_uid}
    facts = {each: getattr(deed, each) for each in COLUMNS if each not in ("at", "uid")}
    return {"at": iso(deed.at), **facts, **uid}


def _show(deeds: Sequence[Deed]) -> None:
    from holdfast.cli.brief import moment
    from holdfast.cli.tables import cell, column, new_table, show

    table = new_table()
    column(table, "TIME")
    column(table, "WHO", folds=True)
    column(table, "FROM", folds=True, spare=True)
    column(table, "DID")
    column(table, "NAME", folds=True)
    column(table, "BATCH", folds=True, spare=True)
    column(table, "WHAT", folds=True, spare=True)
    for deed in deeds:
        detail = deed.detail.partition("\n")[0]  # the doctor has more lines
        said = "; ".join(each for each in (detail, deed.why) if each)
        table.add_row(
            cell(moment(deed.at)),
            cell(deed.who),
            cell(f"{deed.origin} ({deed.face})"),
            cell(deed.action),
            cell(deed.name or ""),
            cell(deed.batch or ""),
            cell(said),
        )
    show(table)
