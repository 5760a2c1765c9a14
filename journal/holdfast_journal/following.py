"""Following a journal: what has moved since the last look, at a cost that idle flows do not raise.

Every commit adds entries, whose ids rise, so what is new lies behind the highest id that was seen.
On PostgreSQL a transaction may commit after another that got higher ids; so each look goes back by
as many entries as transactions under way can hold, and what was seen already is told by its seq.
"""

from collections.abc import Mapping
from typing import Any

from attrs import frozen
from sqlalchemy import bindparam, func, select
from sqlalchemy.engine import Connection

from holdfast_journal.database import Database
from holdfast_journal.schema import entries, flows
from holdfast_journal.values import is_number

UNDER_WAY = 4096
"""Entries, more or less, in the unfinished transactions of all workers of one database."""


@frozen
class Seen:
    """How far somebody has followed a journal."""

    entry: int
    """The highest id of an entry."""
    flow: int
    """The highest id of a flow."""
    seqs: Mapping[int, int]
    """The seq of each flow that was seen."""


_LAST_ENTRY = select(func.max(entries.c.id))
_LAST_FLOW = select(func.max(flows.c.id))
_NEW_ENTRIES = (
    select(entries.c.flow_id, func.max(entries.c.seq))
    .where(entries.c.id > bindparam("after"))
    .group_by(entries.c.flow_id)
)
_NEW_FLOWS = select(flows.c.id).where(flows.c.id > bindparam("after"))


def seq_of(value: Any) -> int:
    """A flow's seq; 0 for one that somebody altered, which thus seems to move."""
    return value if is_number(value) else 0


def begin(connection: Connection) -> Seen:
    """Everything that is there now counts as seen; read it after this."""
    return Seen(
        entry=connection.scalar(_LAST_ENTRY) or 0,
        flow=connection.scalar(_LAST_FLOW) or 0,
        seqs={},
    )


def moved(connection: Connection, database: Database, seen: Seen) -> tuple[set[int], Seen]:
    """The flows that have moved since `seen`, and how far that is."""
    back = UNDER_WAY if database.is_postgresql else 0
    now = begin(connection)
    changed: dict[int, Any] = {}
    if now.entry > seen.entry or back:
        rows = connection.execute(_NEW_ENTRIES, {"after": seen.entry - back})
        changed = {row[0]: row[1] for row in rows}
    found = {
        flow: seq_of(seq)
        for flow, seq in changed.items()
        if not is_number(seq) or seen.seqs.get(flow, -1) < seq
    }
    if now.flow > seen.flow or back:
        new = connection.scalars(_NEW_FLOWS, {"after": seen.flow - back})
        found |= {flow: 0 for flow in new if flow not in {**seen.seqs, **found}}
    return set(found), Seen(now.entry, now.flow, {**seen.seqs, **found})
