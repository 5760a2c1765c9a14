"""Everything that is known of one flow, as `holdfast status NAME` shows it."""

from typing import TYPE_CHECKING

from holdfast.cli.asking import sized
from holdfast.cli.brief import timestamp
from holdfast.cli.pace import duration
from holdfast.cli.tables import cell, new_table, show, status_cell
from holdfast.cli.transfers import route_in_words
from holdfast.operating.collecting import COLLECTED, receive_command, special_command
from holdfast.operating.facts import LEFT, RATE, SIZES, TIMES, deaths, served_by, trouble
from holdfast.operating.standing import live_code, shown_status
from holdfast.operating.tasks import next_try, shown_state
from holdfast.transfer.landing import in_units

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.text import Text

    from holdfast.operating.kept import Kept
    from holdfast_journal import FlowRow, TaskRow


def show_one(
    row: "FlowRow",
    kept: "Kept | None",
    tasks: "Sequence[TaskRow]",
    *,
    codes: bool,
    waits_for_room: bool,
) -> None:
    """Show it: a fact in each line.

    Args:
        row: the flow.
        kept: what it was started with, if that is still there.
        tasks: those of its tasks that are not over.
        codes: whether its code may be shown.
        waits_for_room: whether no process has begun it, because there are too many.
    """
    code = live_code(row) if codes else None
    deadline = None if kept is None else kept.deadline
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
        ("code", cell(code or "", whole=True)),
        ("collect", cell(_command(row, code, kept), whole=True)),
        ("attempt", cell(str(row.attempt))),
        ("started", cell(timestamp(row.created_at))),
        ("changed", cell(timestamp(row.updated_at))),
        ("finished", cell(finished)),
        ("deadline", cell("" if deadline is None else timestamp(deadline))),
        ("served by", cell(served_by(row, timestamp, waits_for_room=waits_for_room))),
    ]:
        if value.plain:
            table.add_row(cell(label, "bold"), value)
    if row.trouble is not None:
        table.add_row(cell("trouble", "bold"), _trouble(row))
    if said := deaths(row):
        table.add_row(cell("deaths", "bold"), cell(said))
    for task in tasks:
        table.add_row(cell(task.name, "bold"), cell(_how_it_stands(task)))
    for key, shown in (row.published or {}).items():
        if key != "code" and shown is not None:
            table.add_row(cell(key, "bold"), cell(_in_words(key, shown)))
    show(table)


def _how_it_stands(task: "TaskRow") -> str:
    """Return how a task stands, when it is tried next, and why it failed the last time."""
    words = shown_state(task)
    if task.attempts:
        words += f", {task.attempts} tr{'y' if task.attempts == 1 else 'ies'}"
    at = next_try(task)
    if at is not None:
        words += f", next at {timestamp(at)}"
    return f"{words}: {task.error}" if task.error else words


def _command(row: "FlowRow", code: str | None, kept: "Kept | None") -> str:
    """Return what the recipient types, where it is more than the usual command."""
    if code is None or kept is None or row.kind not in COLLECTED:
        return ""
    if special_command(kept.relay, kept.appid) is None:
        return ""
    return receive_command(code, kept.relay, kept.appid)


def _in_words(key: str, shown: object) -> str:
    """Return what a flow shows, as people say it, if it is something that shipped flows show."""
    if key in TIMES and isinstance(shown, float):
        return timestamp(shown)
    if key in SIZES and isinstance(shown, int):
        return sized(shown)
    if key == RATE and isinstance(shown, int):
        return f"{in_units(shown)}/s"
    if key == LEFT and isinstance(shown, int):
        return duration(shown)
    return route_in_words(str(shown)) if key == "route" else str(shown)


def _trouble(row: "FlowRow") -> "Text":
    first, *rest = trouble(row)
    text = cell(first)
    for line in rest:
        text.append("\n").append(cell(line))
    return text
