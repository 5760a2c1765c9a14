"""The state of a flow, as commands and consoles show it."""

import time
from typing import TYPE_CHECKING

from holdfast_journal import CANCEL, CANCELLING, FlowStatus

if TYPE_CHECKING:
    from holdfast_journal import FlowRow


_BAD_WORDS = frozenset(status.shown for status in FlowStatus if status.went_badly)

OVERDUE = 60.0
"""If a parked flow is due for this many seconds, it seems that no worker will visit it."""


def live_code(row: "FlowRow") -> str | None:
    """Return the code that a recipient can use now, or None."""
    code = (row.published or {}).get("code")
    return code if row.finished_at is None and isinstance(code, str) else None


def wrong_guesses(row: "FlowRow") -> str | None:
    """Return how many guesses at the code were wrong, such as "1 of 3 were wrong", or None."""
    guesses = (row.published or {}).get("guesses")
    return guesses if isinstance(guesses, str) else None


def is_unloaded(row: "FlowRow") -> bool:
    """Whether the flow waits for a worker that can load it."""
    from holdfast_journal import UNLOADED

    return row.finished_at is None and (row.trouble or "").startswith(UNLOADED)


def shown_status(row: "FlowRow") -> str:
    """Return the flow's status as operators should see it."""
    # Asked for, and not yet seen by the worker that runs the flow.
    return CANCELLING if row.request == CANCEL else shown_word(row.status)


def shown_word(status: str) -> str:
    """Return the word that operators see for the database's word."""
    try:
        return FlowStatus(status).shown
    except ValueError:  # of a later release
        return status


def went_badly(word: str) -> bool:
    """Whether a word that operators see means that the flow ended badly."""
    return word in _BAD_WORDS


def since(row: "FlowRow") -> float:
    """Since when the flow has this status, in seconds since the epoch."""
    return row.updated_at if row.finished_at is None else row.finished_at


def is_parked(row: "FlowRow") -> bool:
    """Whether the flow waits without a connection for its next visit, which is not overdue."""
    if row.finished_at is not None or row.owner is not None or row.watched:
        return False
    return is_due_soon(row.wake_at)


def is_due_soon(wake_at: float | None) -> bool:
    """Whether a visit of that time, in seconds since the epoch, is ahead, or not overdue."""
    from holdfast_journal import LONGEST_PAUSE

    return wake_at is not None and -OVERDUE < wake_at - time.time() <= LONGEST_PAUSE
