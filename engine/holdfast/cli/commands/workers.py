"""`holdfast workers`: the processes that run flows."""

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

import click

from holdfast.cli import say
from holdfast.cli.documents import document_options
from holdfast.cli.settings import db_option

if TYPE_CHECKING:
    from rich.text import Text

    from holdfast.cli.documents import Write
    from holdfast_journal import SqlJournal, WorkerRow

SHOWN = 100
"""How many are shown to people who do not say how many."""

COLUMNS = (
    *("id", "host", "pid", "alive", "started_at", "lease_until", "flows", "tasks", "serves"),
    *("notice", "drain_at"),
)

LONGEST_NOTICE = 500
"""How many characters of a worker's notice are shown."""


@click.command(
    epilog="With --json: one array with an object per worker, whose keys are id, host, pid, alive,"
    " started_at and lease_until (UTC, ISO 8601; until when other workers leave its flows alone, by"
    " the database's clock), flows and tasks (how many it has that are not over), serves (the kinds"
    " of flows that it shares with other workers; null if it shares none), notice (what it has to"
    " say, or null) and drain_at (when it was asked to leave its flows to others, or null). --csv"
    " has the same columns, with blanks between the kinds."
)
@click.option("--all", "all_", is_flag=True, help="Also those that have ended, and have no flows.")
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    metavar="N",
    help=f"Show at most N workers. Without it people see {SHOWN}, and programs all.",
)
@document_options
@db_option
def command(*, all_: bool, limit: int | None, write: "Write | None", db: str) -> None:
    """Show the processes that run flows.

    Those that began last come first. A worker that has ended is shown while it still has flows; the
    next worker takes them.
    """
    from holdfast.operating.database import existing_journal

    with existing_journal(db, say.tell, looks=True) as journal:
        found = _all(journal) if all_ else iter(journal.serving())
        if write is not None:
            write(COLUMNS, [[_facts(row) for row in islice(found, limit)]])
            return
        rows = list(islice(found, limit or SHOWN))
        if not rows:
            click.echo("No process runs flows now." if not all_ else "No process ever ran flows.")
            return
        _show(rows)
        if next(found, None) is not None:
            click.echo(f"\nThere are more than these {len(rows)}; --limit shows more.")


def _all(journal: "SqlJournal") -> "Iterator[WorkerRow]":
    after = None
    while True:
        page = journal.worker_page(after=after)
        yield from page.rows
        after = page.then
        if after is None:
            return


def _facts(row: "WorkerRow") -> dict[str, Any]:
    from holdfast.cli.brief import iso

    return {
        "id": row.id,
        "host": row.host,
        "pid": row.pid,
        "alive": row.alive,
        "started_at": iso(row.started_at),
        "lease_until": iso(row.lease_until),
        "flows": row.flows,
        "tasks": row.tasks,
        "serves": None if row.serves is None else list(row.serves),
        "notice": row.notice,
        "drain_at": iso(row.drain_at),
    }


def _state(row: "WorkerRow") -> "Text":
    from holdfast.cli.tables import cell

    if not row.alive:
        return cell("ended", "red" if row.flows else "")
    return cell("alive" if row.drain_at is None else "leaving")


def _show(rows: Sequence["WorkerRow"]) -> None:
    from holdfast.cli.brief import moment
    from holdfast.cli.tables import cell, column, new_table, show
    from holdfast.operating.printable import printable

    table = new_table()
    column(table, "WORKER", right=True)
    column(table, "HOST", folds=True)
    column(table, "PID", right=True)
    column(table, "STATE")
    column(table, "FLOWS", right=True)
    column(table, "TASKS", right=True, spare=True)
    column(table, "SINCE", spare=True)
    column(table, "SHARES", folds=True, spare=True)
    for row in rows:
        table.add_row(
            cell(str(row.id)),
            cell(row.host),
            cell(str(row.pid)),
            _state(row),
            cell(str(row.flows)),
            cell(str(row.tasks)),
            cell(moment(row.started_at)),
            cell(" ".join(row.serves or ())),
        )
    show(table)
    for row in rows:
        if row.alive and row.notice:
            click.echo(f"Worker {row.id}: {printable(row.notice, LONGEST_NOTICE)}.")
    left = sum(row.flows for row in rows if not row.alive)
    if left:
        flows = "1 flow is" if left == 1 else f"{left} flows are"
        click.echo(f"{flows} left by workers that have ended; the next worker takes them.")
