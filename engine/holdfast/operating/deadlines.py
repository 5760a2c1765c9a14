"""When a flow expires."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.errors import BadCheckpoint

if TYPE_CHECKING:
    from holdfast_journal import FlowRow, SqlJournal


def deadline_of(journal: SqlJournal, row: FlowRow) -> float | None:
    """Return when a flow expires, or would if it were retried, in seconds since the epoch.

    None if it has no deadline, or if what it saved cannot be read any more.
    """
    from holdfast.flows.document import Checkpoint, Params
    from holdfast.flows.requests import END_OF_TIME, other_deadline
    from holdfast_journal import Shredded, Unreadable, WrongKey

    if row.request is not None and (asked := other_deadline(row.request)) is not None:
        return asked
    try:
        params, checkpoint = journal.saved(row.id)
        if checkpoint is None or row.finished_at is not None:
            found = Params.from_bytes(params).deadline
        else:
            found = Checkpoint.from_bytes(checkpoint).deadline
    except (Shredded, Unreadable, WrongKey, BadCheckpoint):
        return None
    return None if found is None or not 0 <= found < END_OF_TIME else found
