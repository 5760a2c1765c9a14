"""Everything that is known of one flow, as `holdfast status NAME` shows it."""

from typing import TYPE_CHECKING

from holdfast.cli.asking import sized
from holdfast.cli.tables import cell, new_table, show, status_cell, timestamp
from holdfast.cli.transfers import route_in_words
from holdfast.operating.collecting import COLLECTED, receive_command, special_command
from holdfast.operating.service import ONE_COMMANDS
from holdfast.operating.standing import is_parked, live_code, shown_status
from holdfast.operating.tasks import next_try, shown_state
from holdfast_journal import UNLOADED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.text import Text

    from holdfast.operating.kept import Kept
    from holdfast_journal import FlowRow, TaskRow

TIMES = ("sent", "accepted", "collected")
"""What the shipped flows publish as a time, in seconds since the epoch."""

SIZES = ("size", "moved")
"""What they publish as a number of bytes."""


def show_one(
    row: "FlowRow", kept: "Kept | None", tasks: "Sequence[TaskRow]", *, waits_for_room: bool
) -> None:
    """Show it: a fact in each line.

    Args:
        row: the flow.
        kept: what it was started with, if that is still there.
        tasks: those of its tasks that are not over.
        waits_for_room: whether no process has begun it, because there are too many.
    """
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
        ("code", cell(live_code(row) or "", whole=True)),
        ("collect", cell(_command(row, kept), whole=True)),
        ("attempt", cell(str(row.attempt))),
        ("started", cell(timestamp(row.created_at))),
        ("changed", cell(timestamp(row.updated_at))),
        ("finished", cell(finished)),
        ("deadline", cell("" if deadline is None else timestamp(deadline))),
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


def _command(row: "FlowRow", kept: "Kept | None") -> str:
    """Return what the recipient types, where it is more than the usual command."""
    code = live_code(row)
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
    return route_in_words(str(shown)) if key == "route" else str(shown)


def _trouble(row: "FlowRow") -> "Text":
    """Return where the flow's own code raised, line by line, or why it cannot be loaded."""
    if (row.trouble or "").startswith(UNLOADED):
        return cell(row.trouble or "")
    times = "once" if row.failures == 1 else f"{row.failures} times"
    lines = [f"its own code raised {times}:", *(row.trouble or "").splitlines()]
    text = cell(lines[0])
    for line in lines[1:]:
        text.append("\n").append(cell(line))
    return text


def _served_by(row: "FlowRow") -> str:
    if row.finished_at is not None:
        return ""
    if is_parked(row) and row.wake_at is not None:
        return f"parked; its next turn is at {timestamp(row.wake_at)}"
    if not row.owner_alive:
        if row.kind in ONE_COMMANDS:
            return f"no process; the same 'holdfast {ONE_COMMANDS[row.kind]}' continues it"
        return "no process; 'holdfast run' continues it"
    return f"worker {row.owner}, process {row.owner_pid} on {row.owner_host}"
