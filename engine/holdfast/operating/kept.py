"""What a flow was started with, and keeps: its servers, its application, its deadline."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import frozen

from holdfast.errors import BadCheckpoint

if TYPE_CHECKING:
    from holdfast_journal import FlowRow, SqlJournal


@frozen
class Kept:
    """The terms of one flow.

    Args:
        relay: the URL of its mailbox server.
        appid: its application id.
        deadline: when it expires, or would if it were retried, in seconds since the epoch.
    """

    relay: str
    appid: str
    deadline: float | None


def kept_by(journal: SqlJournal, row: FlowRow) -> Kept | None:
    """Read the terms of a flow; None if what it saved cannot be read any more.

    This opens what is sealed: read it of a flow that is shown, and not of many. Raises
    DatabaseUnusable.
    """
    from holdfast.flows.document import Checkpoint, Params
    from holdfast.flows.requests import END_OF_TIME, other_deadline
    from holdfast_journal import Shredded, Unreadable, WrongKey

    try:
        saved, checkpoint = journal.saved(row.id)
        params = Params.from_bytes(saved)
        if row.request is not None and (asked := other_deadline(row.request)) is not None:
            deadline: float | None = asked
        elif checkpoint is None or row.finished_at is not None:
            deadline = params.deadline
        else:
            deadline = Checkpoint.from_bytes(checkpoint).deadline
    except (Shredded, Unreadable, WrongKey, BadCheckpoint):
        return None
    if deadline is not None and not 0 <= deadline < END_OF_TIME:
        deadline = None
    return Kept(params.relay, params.appid, deadline)
