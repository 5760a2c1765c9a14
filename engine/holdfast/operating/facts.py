"""Facts of one flow in words, the same on every screen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from holdfast.operating.service import ONE_COMMANDS
from holdfast.operating.standing import is_parked
from holdfast_journal import UNLOADED

if TYPE_CHECKING:
    from collections.abc import Callable

    from holdfast_journal import FlowRow


TIMES = ("sent", "accepted", "collected")
"""What the shipped flows publish as a time, in seconds since the epoch."""

SIZES = ("size", "moved")
"""What they publish as a number of bytes."""

RATE = "rate"
"""What they publish as bytes a second, while something moves."""

LEFT = "left"
"""What they publish as the seconds that it will still take at that rate."""


def served_by(row: FlowRow, moment: Callable[[float], str], *, waits_for_room: bool) -> str:
    """Say which process runs the flow, or why none does; empty if it is over.

    Args:
        row: the flow.
        moment: writes a time, in seconds since the epoch.
        waits_for_room: whether it is new, and its worker has as many flows as it can take.
    """
    if row.finished_at is not None:
        return ""
    if waits_for_room:
        return "no process yet; it waits for room"
    if row.watched:
        limit = "" if row.wake_at is None else f", or at {moment(row.wake_at)} at the latest"
        return f"watched: its mailbox server tells when something comes{limit}"
    if is_parked(row) and row.wake_at is not None:
        return f"parked; its next turn is at {moment(row.wake_at)}"
    if not row.owner_alive:
        if row.kind in ONE_COMMANDS:
            return f"no process; the same 'holdfast {ONE_COMMANDS[row.kind]}' continues it"
        return "no process; 'holdfast run' continues it"
    return f"worker {row.owner}, process {row.owner_pid} on {row.owner_host}"


def trouble(row: FlowRow) -> Sequence[str]:
    """Say where the flow's own code raised, line by line, or why it cannot be loaded."""
    if row.trouble is None:
        return ()
    if row.trouble.startswith(UNLOADED):
        return (row.trouble,)
    times = "once" if row.failures == 1 else f"{row.failures} times"
    return (f"its own code raised {times}:", *row.trouble.splitlines())


def deaths(row: FlowRow) -> str:
    """Say how many workers ended soon after they had taken it; empty if none did."""
    if not row.deaths or row.finished_at is not None:
        return ""
    return f"{row.deaths} workers in a row ended soon after they had taken it"
