"""`holdfast log`: the journal of one flow."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from holdfast.cli import say
from holdfast.cli.settings import db_option

if TYPE_CHECKING:
    from holdfast_journal import EntryRow


@click.command()
@click.argument("name")
@click.option("--batch", metavar="BATCH", help="The batch, if NAME is in several.")
@db_option
def command(name: str, batch: str | None, db: str) -> None:
    """Show the journal of one flow.

    Prints one line per event: its number, the time, the worker that recorded it (a process that was
    killed and started again is another worker), what came in, and what went out. Secrets are not
    shown.
    """
    from holdfast.operating.database import existing_journal
    from holdfast.operating.finding import one_flow

    with existing_journal(db, say.tell, looks=True) as journal:
        flow = one_flow(journal, name, batch)
        entries = journal.history(flow.id)
    if entries:
        _show(entries)
    elif flow.finished_at is not None:
        click.echo("Its journal was purged.")
    else:
        click.echo("Nothing has happened yet.")


def _show(entries: Sequence["EntryRow"]) -> None:
    from holdfast.cli.tables import cell, column, new_table, show, timestamp

    table = new_table()
    column(table, "NO", right=True)
    column(table, "TIME")
    column(table, "WORKER", right=True)
    column(table, "CAME IN", folds=True)
    column(table, "WENT OUT", folds=True)
    for entry in entries:
        table.add_row(
            cell(str(entry.seq)),
            cell(timestamp(entry.at)),
            cell("" if entry.worker is None else str(entry.worker)),
            cell(entry.heard or entry.kind),
            cell("; ".join(entry.said)),
        )
    show(table)
