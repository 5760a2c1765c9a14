"""`holdfast status`: the state of each flow."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from textwrap import indent
from typing import TYPE_CHECKING, Any

import click

from holdfast.cli import say
from holdfast.cli.settings import db_option
from holdfast.operating.printable import printable
from holdfast.operating.standing import (
    is_parked,
    is_unloaded,
    live_code,
    nobody_serves,
    shown_status,
    since,
)
from holdfast_journal import FlowStatus

if TYPE_CHECKING:
    from rich.text import Text

    from holdfast_journal import FlowRow

TIMES = ("sent", "accepted", "collected")
"""What the shipped flows publish as a time, in seconds since the epoch."""

SIZES = ("size", "moved")
"""What they publish as a number of bytes."""

LONGEST_NOTICE = 500
"""How many characters of a worker's notice are shown."""
SHOWN = 200
"""How many of the flows that have ended are shown, the last ones."""


@click.command(
    epilog="With --json: one array with an object per flow, whose keys are name, batch, kind,"
    " status, code (null unless it can be used now), published (what the flow shows of itself;"
    " null once it was shredded), attempt, request, wake_at (the next visit of a parked flow),"
    " failures and trouble (how often and where its own code raised; or why it cannot be"
    " loaded), deaths (how many workers in a row ended soon after they had taken it),"
    " started_at, changed_at, finished_at (UTC, ISO 8601) and worker (null, or an object with"
    " id, host, pid and alive)."
)
@click.argument("name", required=False)
@click.option("--batch", metavar="BATCH", help="Only the flows of this batch.")
@click.option("--json", "as_json", is_flag=True, help="Write a JSON document for programs.")
@db_option
def command(name: str | None, batch: str | None, as_json: bool, db: str) -> None:
    """Show how each flow stands.

    Shows all unfinished flows, and the last 200 that ended. With NAME, shows everything that is
    known of one flow.
    """
    from holdfast.operating.database import existing_journal
    from holdfast.operating.finding import check_batch, one_flow

    with existing_journal(db, say.tell, looks=True) as journal:
        notices = [] if as_json else journal.notices()
        if name is not None:
            flow = one_flow(journal, name, batch)
            if as_json:
                _write_json([[flow]])
            else:
                _show_one(flow, waits_for_room=bool(notices) and flow.status == FlowStatus.NEW)
            return
        check_batch(journal, batch)
        if as_json:
            _write_json(journal.pages(batch))
            return
        finished = journal.counts(batch, finished=True)
        rows = journal.unfinished(batch)
        open_ones = {row.id for row in rows}
        rows += [row for row in journal.last_finished(SHOWN, batch) if row.id not in open_ones]
    if rows:
        _show_all(sorted(rows, key=lambda row: row.id), finished)
        for worker, words in notices:
            click.echo(f"Worker {worker}: {printable(words, LONGEST_NOTICE)}.")
    else:
        click.echo("No flows yet.")


def _write_json(pages: Iterable[Sequence["FlowRow"]]) -> None:
    """Write one array, object by object: there may be more flows than fit into memory."""
    before = "["
    for page in pages:
        for row in page:
            written = indent(json.dumps(_as_object(row), indent=2), "  ")
            click.echo(f"{before}\n{written}", nl=False)
            before = ","
    click.echo("[]" if before == "[" else "\n]")


def _as_object(row: "FlowRow") -> dict[str, Any]:
    from holdfast.cli.tables import iso

    worker = None
    if row.owner is not None:
        worker = {
            "id": row.owner,
            "host": row.owner_host,
            "pid": row.owner_pid,
            "alive": row.owner_alive,
        }
    return {
        "name": row.name,
        "batch": row.batch,
        "kind": row.kind,
        "status": row.status,
        "code": live_code(row),
        "published": None if row.published is None else dict(row.published),
        "attempt": row.attempt,
        "request": row.request,
        "wake_at": iso(row.wake_at),
        "failures": row.failures,
        "trouble": row.trouble,
        "deaths": row.deaths,
        "started_at": iso(row.created_at),
        "changed_at": iso(row.updated_at),
        "finished_at": iso(row.finished_at),
        "worker": worker,
    }


def _show_all(rows: Sequence["FlowRow"], finished: Mapping[str, int]) -> None:
    from holdfast.cli.tables import cell, column, counted, moment, new_table, show, status_cell
    from holdfast.operating.service import ONE_COMMANDS

    several = len({each.batch for each in rows}) > 1
    table = new_table()
    if several:
        column(table, "BATCH", folds=True)
    column(table, "NAME", folds=True)
    column(table, "STATUS")
    column(table, "CODE")
    column(table, "SINCE")
    column(table, "ATTEMPT", right=True)
    for row in rows:
        cells = [
            cell(row.name),
            status_cell(shown_status(row)),
            cell(live_code(row) or ""),
            cell(moment(since(row))),
            cell(str(row.attempt)),
        ]
        table.add_row(*([cell(row.batch)] if several else []), *cells)
    show(table)
    statuses = Counter(shown_status(each) for each in rows if each.finished_at is None)
    click.echo(f"\n{counted(statuses + Counter(finished))}.")
    over = sum(each.finished_at is not None for each in rows)
    if over < sum(finished.values()):
        click.echo(f"Of those that are over the last {over} are shown; --json lists all.")
    unloaded = [each for each in rows if is_unloaded(each)]
    if unloaded:
        first = unloaded[0]
        click.echo(
            printable(
                f"{len(unloaded)} of them wait because a worker could not load them:"
                f" {first.name} {first.trouble}",
                1000,
            )
        )
    if nobody_serves([row for row in rows if row.kind != ONE_COMMANDS]):
        click.echo("No process serves the unfinished ones; 'holdfast run' continues them.")


def _show_one(row: "FlowRow", *, waits_for_room: bool) -> None:
    from holdfast.cli.tables import cell, new_table, show, status_cell, timestamp

    table = new_table()
    table.show_header = False
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    finished = "" if row.finished_at is None else timestamp(row.finished_at)
    for label, value in [
        ("name", cell(row.name)),
        ("batch", cell(row.batch)),
        ("kind", cell(row.kind)),
        ("status", status_cell(shown_status(row))),
        ("code", cell(live_code(row) or "", whole=True)),
        ("attempt", cell(str(row.attempt))),
        ("started", cell(timestamp(row.created_at))),
        ("changed", cell(timestamp(row.updated_at))),
        ("finished", cell(finished)),
        (
            "served by",
            cell("no process yet; it waits for room" if waits_for_room else _served_by(row)),
        ),
    ]:
        if value.plain:
            table.add_row(cell(label, "bold"), value)
    if row.trouble is not None:
        table.add_row(cell("trouble", "bold"), _trouble(row))
    if row.deaths and row.finished_at is None:
        table.add_row(
            cell("deaths", "bold"),
            cell(f"{row.deaths} workers in a row ended soon after they had taken it"),
        )
    for key, shown in (row.published or {}).items():
        if key != "code" and shown is not None:
            table.add_row(cell(key, "bold"), cell(_in_words(key, shown)))
    show(table)


def _in_words(key: str, shown: object) -> str:
    """Return what a flow shows, as people say it, if it is something that shipped flows show."""
    from holdfast.cli.asking import sized
    from holdfast.cli.tables import timestamp
    from holdfast.cli.transfers import route_in_words

    if key in TIMES and isinstance(shown, float):
        return timestamp(shown)
    if key in SIZES and isinstance(shown, int):
        return sized(shown)
    return route_in_words(str(shown)) if key == "route" else str(shown)


def _trouble(row: "FlowRow") -> "Text":
    """Return where the flow's own code raised, line by line, or why it cannot be loaded."""
    from holdfast.cli.tables import cell
    from holdfast_journal import UNLOADED

    if (row.trouble or "").startswith(UNLOADED):
        return cell(row.trouble or "")
    times = "once" if row.failures == 1 else f"{row.failures} times"
    lines = [f"its own code raised {times}:", *(row.trouble or "").splitlines()]
    text = cell(lines[0])
    for line in lines[1:]:
        text.append("\n").append(cell(line))
    return text


def _served_by(row: "FlowRow") -> str:
    from holdfast.cli.tables import timestamp
    from holdfast.operating.service import ONE_COMMANDS

    if row.finished_at is not None:
        return ""
    if is_parked(row) and row.wake_at is not None:
        return f"parked; its next turn is at {timestamp(row.wake_at)}"
    if not row.owner_alive:
        if row.kind == ONE_COMMANDS:
            return "no process; the same 'holdfast receive' continues it"
        return "no process; 'holdfast run' continues it"
    return f"worker {row.owner}, process {row.owner_pid} on {row.owner_host}"
