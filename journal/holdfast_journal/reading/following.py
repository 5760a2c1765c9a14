"""Following a journal: what has moved since the last look, at a cost that idle flows do not raise.

Every commit adds entries, whose ids rise, so what is new comes after the highest id that was seen.
On PostgreSQL a transaction may commit after another that got higher ids. So each look goes back by
as many entries as transactions under way can hold, and knows by its seq what it has seen already.
"""

from collections.abc import Mapping
from typing import Any

from attrs import evolve, frozen
from sqlalchemy import bindparam, func, select
from sqlalchemy.engine import Connection

from holdfast_journal.store.database import Database
from holdfast_journal.store.schema import entries, flows
from holdfast_journal.store.values import is_number

ALTERED = 2**63
"""More than any seq: a flow with an entry that was altered seems to move."""


@frozen
class Seen:
    """How far a reader has followed a journal."""

    entry: int
    """The highest id of an entry."""
    flow: int
    """The highest id of a flow."""
    seqs: Mapping[int, int]
    """The seq of each flow that was seen and that the next look may meet again."""


_LAST_ENTRY = select(func.max(entries.c.id))
_LAST_FLOW = select(func.max(flows.c.id))
# By the ids: the index of the flows leads through all entries that there ever were.
_NEW_ENTRIES = (
    select(func.max(entries.c.flow_id), func.max(entries.c.seq))
    .where(entries.c.id > bindparam("after"))
    .group_by(entries.c.flow_id + 0)
)
_NEW_FLOWS = select(flows.c.id).where(flows.c.id > bindparam("after"))


def seq_of(value: Any) -> int:
    """A flow's seq; 0 for one that was altered, so that the flow seems to move."""
    return value if is_number(value) else 0


def begin(connection: Connection, database: Database) -> Seen:
    """Count everything that is there now as seen; read it after this."""
    now = _here(connection)
    return evolve(now, seqs=_reach(connection, database, now))


def moved(connection: Connection, database: Database, seen: Seen) -> tuple[set[int], Seen]:
    """The flows that have moved since `seen`, and how far that is."""
    now = _here(connection)
    if now == evolve(seen, seqs={}) and not database.dialect.under_way:
        return set(), now
    found = _reach(connection, database, seen)
    news = {flow for flow, seq in found.items() if seen.seqs.get(flow, -1) < seq}
    return news, evolve(now, seqs={**found, **{f: s for f, s in seen.seqs.items() if f in found}})


def _here(connection: Connection) -> Seen:
    return Seen(
        entry=connection.scalar(_LAST_ENTRY) or 0,
        flow=connection.scalar(_LAST_FLOW) or 0,
        seqs={},
    )


def _reach(connection: Connection, database: Database, seen: Seen) -> dict[int, int]:
    """The flows that a look after `seen` meets, with the seqs of their last entries."""
    back = database.dialect.under_way
    new = connection.scalars(_NEW_FLOWS, {"after": seen.flow - back})
    found = dict.fromkeys(new, 0)
    for flow, seq in connection.execute(_NEW_ENTRIES, {"after": seen.entry - back}):
        found[flow] = seq if is_number(seq) else ALTERED
    return found
