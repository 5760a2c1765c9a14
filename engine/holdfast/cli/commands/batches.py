"""`holdfast batches`: how far each batch is."""

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

import click

from holdfast.cli import say
from holdfast.cli.documents import document_options
from holdfast.cli.settings import db_option
from holdfast_journal import CANCELLING, FlowStatus

if TYPE_CHECKING:
    from holdfast.cli.documents import Write
    from holdfast_journal import BatchRow, SqlJournal

SHOWN = 100
"""How many are shown to people who do not say how many."""

STATUSES = (*(each.value for each in FlowStatus), CANCELLING)

COLUMNS = ("batch", "flows", "unfinished", "first_at", "last_at", *STATUSES)


@click.command(
    epilog="With --json: one array with an object per batch, whose keys are batch, flows (how many"
    " it has), unfinished (how many are not over), counts (how many have each status, by the words"
    " of 'status --json'), first_at (when its first flow was started) and last_at (when one of them"
    " last moved or ended; UTC, ISO 8601). --csv has a column for each status instead of counts."
)
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    metavar="N",
    help=f"Show at most N batches. Without it people see {SHOWN}, and programs all.",
)
@document_options
@db_option
def command(limit: int | None, write: "Write | None", db: str) -> None:
    """Show how far each batch is.

    Shows how many flows of each have which status, when the first one was started, and when one of
    them last moved or ended. The batches that began last come first.
    """
    from holdfast.operating.database import existing_journal

    with existing_journal(db, say.tell, looks=True) as journal:
        found = _all(journal)
        if write is not None:
            write(COLUMNS, ([_facts(row)] for row in islice(found, limit)))
            return
        rows = list(islice(found, limit or SHOWN))
        if not rows:
            click.echo("No flows yet.")
            return
        _show(rows)
        if next(found, None) is not None:
            click.echo(f"\nThere are more than these {len(rows)}; --limit shows more.")


def _all(journal: "SqlJournal") -> "Iterator[BatchRow]":
    after = None
    while True:
        page = journal.batches(after=after)
        yield from page.rows
        after = page.then
        if after is None:
            return


def _facts(row: "BatchRow") -> dict[str, Any]:
    from holdfast.cli.brief import iso

    counts = {**dict.fromkeys(STATUSES, 0), **row.counts}
    return {
        "batch": row.name,
        "flows": sum(counts.values()),
        "unfinished": row.unfinished,
        "counts": counts,
        "first_at": iso(row.first_at),
        "last_at": iso(row.last_at),
    }


def _show(rows: Sequence["BatchRow"]) -> None:
    from holdfast.cli.brief import in_words, moment
    from holdfast.cli.tables import cell, column, new_table, show

    table = new_table()
    column(table, "BATCH", folds=True)
    column(table, "FLOWS", right=True)
    column(table, "OF THESE", folds=True)
    column(table, "FIRST", spare=True)
    column(table, "LAST", spare=True)
    for row in rows:
        table.add_row(
            cell(row.name),
            cell(str(sum(row.counts.values()))),
            cell(in_words(row.counts)),
            cell("" if row.first_at is None else moment(row.first_at)),
            cell("" if row.last_at is None else moment(row.last_at)),
        )
    show(table)
