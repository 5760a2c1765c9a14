"""Until when a flow without an owner rests: what its `wake_at` says.

A positive time is that of a visit. A negative one says that a mailbox server watches for the flow,
and that it rests until the time without the minus, or for ever; see `ownership.watching`. To a
release that knows nothing of watching such a time is past, so its workers take the flow.
"""

from typing import Final

from sqlalchemy import ColumnElement, literal_column

from holdfast_journal.store.schema import flows

IS_WATCHED: Final[ColumnElement[bool]] = flows.c.wake_at < literal_column("0")
"""Whether a flow that is not over has no owner because a server watches for it."""

_FOR_EVER: Final = 1e15
"""Seconds: a time that does not come."""


def watched_until(at: float | None) -> float:
    """What is stored for a flow that is watched until then, or for ever."""
    return -_FOR_EVER if at is None else -min(max(at, 1.0), _FOR_EVER)


def rests_until(wake_at: float | None) -> float | None:
    """Until when a flow rests, whether it is watched or visited; None: nothing is planned."""
    if wake_at is None or wake_at <= -_FOR_EVER:
        return None
    return abs(wake_at)
