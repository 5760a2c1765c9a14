"""`holdfast tasks`: the work that flows wait for."""

import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import click

from holdfast.cli import say
from holdfast.cli.choosing import choosing_options
from holdfast.cli.documents import document_options
from holdfast.cli.settings import db_option

if TYPE_CHECKING:
    from rich.text import Text

    from holdfast.cli.documents import Write
    from holdfast.operating.choosing import Choice
    from holdfast.operating.tasks import TaskChoice
    from holdfast_journal import SqlJournal, TaskPage, TaskRow

SHOWN = 100
"""How many tasks are shown to people who do not say how many."""
PAGE = 500
"""How many are read together for a program."""

COLUMNS = (
    *("name", "batch", "kind", "status", "task", "number", "state", "tries", "next_try", "reason"),
    *("key", "worker"),
)


@click.command(
    epilog="With --json: one array with an object per task, whose keys are name, batch, kind,"
    " status (of its flow), task, number (which of the tasks of its flow), state (failing,"
    " running, interrupted, pending), tries (how many were begun), next_try (UTC, ISO 8601; null"
    " while a try is under way), reason (of the last failure; null if there was none), key (the"
    " idempotency key) and worker (the id of the one that runs its flow, if it is alive). --csv"
    " has the same columns."
)
@choosing_options
@click.option(
    "--task", "tasks", metavar="TASK", multiple=True, help="Only tasks of this name, such as mint."
)
@click.option(
    "--state",
    "states",
    type=click.Choice(["failing", "running", "pending"]),
    multiple=True,
    help="Only tasks whose last try failed, of which a try has begun, or that were not tried yet.",
)
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    metavar="N",
    help=f"Show at most N tasks. Without it people see {SHOWN}, and programs all.",
)
@document_options
@db_option
def command(
    choice: "Choice",
    tasks: tuple[str, ...],
    states: tuple[str, ...],
    limit: int | None,
    write: "Write | None",
    db: str,
) -> None:
    """Show the tasks that flows wait for.

    A task is work outside the exchange, such as a --mint command. One that tells a hook (--on-code
    and the like) may outlive its flow; its number is negative. Shows when each is tried next and
    why its last try failed; those that were tried most often come first. Tasks that are over are
    in 'holdfast log NAME'.
    """
    from holdfast.operating.database import existing_journal
    from holdfast.operating.finding import check_batch
    from holdfast.operating.tasks import TaskChoice

    chosen = TaskChoice(choice, tasks, states)
    with existing_journal(db, say.tell, looks=True) as journal:
        check_batch(journal, choice.batch)
        if write is None:
            _show(journal, chosen, limit or SHOWN)
        else:
            pages = _pages(journal, chosen, limit)
            write(COLUMNS, ([_facts(row) for row in page.rows] for page in pages))


def _pages(journal: "SqlJournal", chosen: "TaskChoice", limit: int | None) -> "Iterator[TaskPage]":
    found, after, left = chosen.filter(), None, limit
    while left is None or left > 0:
        page = journal.tasks(found, limit=PAGE if left is None else min(PAGE, left), after=after)
        yield page
        after, left = page.then, None if left is None else left - len(page.rows)
        if after is None:
            return


def _facts(row: "TaskRow") -> dict[str, Any]:
    from holdfast.cli.brief import iso
    from holdfast.operating.tasks import next_try, shown_state

    return {
        "name": row.flow.name,
        "batch": row.flow.batch,
        "kind": row.flow.kind,
        "status": row.flow.status,
        "task": row.name,
        "number": row.number,
        "state": shown_state(row),
        "tries": row.attempts,
        "next_try": iso(next_try(row)),
        "reason": row.error or None,
        "key": row.key,
        "worker": row.flow.owner if row.flow.owner_alive else None,
    }


def _show(journal: "SqlJournal", chosen: "TaskChoice", limit: int) -> None:
    from holdfast.operating.tasks import counts

    page = journal.tasks(chosen.filter(), limit=limit)
    if not page.rows:
        click.echo("No task is like that." if chosen.says_anything else "No flow waits for a task.")
        return
    _show_rows(page.rows)
    found = counts(journal.task_groups(chosen.filter()))
    total = sum(found.values())
    words = ", ".join(f"{number} {state}" for state, number in sorted(found.items()))
    click.echo(f"\n{'1 task' if total == 1 else f'{total} tasks'}: {words}.")
    if page.then is not None:  # the counts are of a moment later
        shown = len(page.rows)
        click.echo(f"Of these, {shown} are shown; --limit shows more, --json lists all.")
    own = [row for row in page.rows if row.number > 0]  # any worker does the others
    if own and not any(row.flow.owner_alive for row in own):
        click.echo("No process runs their flows; 'holdfast run' continues them.")


def _show_rows(rows: Sequence["TaskRow"]) -> None:
    from holdfast.cli.tables import cell, column, new_table, show
    from holdfast.operating.tasks import shown_state

    several = len({row.flow.batch for row in rows}) > 1
    table = new_table()
    if several:
        column(table, "BATCH", folds=True)
    column(table, "NAME", folds=True)
    column(table, "TASK", folds=True)
    column(table, "STATE")
    column(table, "TRIES", right=True, spare=True)
    column(table, "NEXT TRY", spare=True)
    column(table, "LAST REASON", folds=True)
    for row in rows:
        table.add_row(
            *([cell(row.flow.batch)] if several else []),
            cell(row.flow.name),
            cell(row.name),
            cell(shown_state(row), "red" if row.error else ""),
            cell(str(row.attempts)),
            _when(row),
            cell(row.error),
        )
    show(table)


def _when(row: "TaskRow") -> "Text":
    from holdfast.cli.brief import moment
    from holdfast.cli.tables import cell
    from holdfast.operating.tasks import next_try

    at = next_try(row)
    return cell("" if at is None else "due" if at <= time.time() else moment(at))
