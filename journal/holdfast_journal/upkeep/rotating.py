"""Changing the master key: sealing every flow's data key again, under the first key of the ring.

In batches, each a transaction of its own, while workers run. A data key is replaced only if it is
still what was read, so that shredding wins. Epochs and seqs do not change, so that workers' commits
are not refused. Finished batches stay: after a crash the same command continues with the rest.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from attrs import frozen
from sqlalchemy import ColumnElement, LargeBinary, bindparam, delete, func, select, text, update
from sqlalchemy.engine import Connection

from holdfast_journal.auditing.acts import Actor
from holdfast_journal.auditing.recording import record
from holdfast_journal.errors import Unreadable, WrongKey
from holdfast_journal.keys.master import SEALED_UNDER, note_key
from holdfast_journal.keys.ring import KeyRing
from holdfast_journal.store.database import Database
from holdfast_journal.store.schema import flows, keys

_PASSES = 5
"""How often to go through the flows: workers may start flows under an old key meanwhile."""
AT_ONCE: Final = 200
"""Flows in one transaction: workers on SQLite wait for its end."""

_RESEAL = (
    update(flows)
    .where(flows.c.id == bindparam("flow"), flows.c.data_key == bindparam("old", type_=LargeBinary))
    .values(data_key=bindparam("new", type_=LargeBinary))
)


@frozen
class Rotation:
    """The result of a rotation."""

    first: str
    """The identifier of the key that seals every flow now."""
    resealed: int
    """How many flows were sealed under another key before."""
    forgotten: Sequence[str]
    """Identifiers of the keys under which nothing in this database is sealed any more."""
    left: Sequence[str]
    """Names of a few flows that the keys here do not open: their keys are still needed."""


@frozen
class KeyUse:
    """One master key and what it is used for."""

    id: str
    here: bool
    """Whether it is in the ring."""
    seals: bool
    """Whether it is the one that seals new flows."""
    flows: int
    noted: bool
    """Whether the database needs it."""


def rotate(
    database: Database,
    ring: KeyRing,
    now: float,
    by: Actor | None = None,
    goes_on: Callable[[int], object] = lambda _: None,
) -> Rotation:
    """Seal every data key under the first key of `ring`, and forget the others.

    `goes_on` is told after each transaction how many flows were sealed again so far.
    Raises WrongKey if the ring lacks a key that is in use, and DatabaseUnusable.
    """
    with database.writing() as connection:
        note_key(connection, database, ring, now)
        if by is not None:
            record(connection, by.does("rotate", f"to key {ring.ids[0]}"), now)
    first = ring.ids[0]
    resealed = 0
    forgotten: Sequence[str] = ()
    for number in range(_PASSES):
        # The first pass never waits for a worker's commit, so it is in no worker's way. The flows
        # that it had to leave come one by one: with a single lock there is never a deadlock.
        changed = 0
        for some in _go_through(database, ring, first, quickly=number == 0):
            changed += some
            goes_on(resealed + changed)
        resealed += changed
        with database.writing() as connection:
            closed = _forget(connection, database, first)
        if closed is not None:
            forgotten = closed
            break
        if number and not changed:
            break
    with database.reading() as connection:
        query = select(flows.c.name).where(_others(first)).order_by(flows.c.id).limit(5)
        left = list(connection.scalars(query))
    return Rotation(first, resealed, forgotten, left)


def key_uses(database: Database, ring: KeyRing) -> Sequence[KeyUse]:
    """Every key of the ring, in its order, and every other key that the database needs."""
    query = select(SEALED_UNDER, func.count()).where(flows.c.data_key.is_not(None))
    with database.reading() as connection:
        counts: Mapping[str, int] = {
            bytes(name).hex(): count
            for name, count in connection.execute(query.group_by(text("1")))
        }
        noted = list(connection.scalars(select(keys.c.id).order_by(keys.c.created_at)))
    here = ring.ids
    return [
        KeyUse(name, name in here, name == here[0], counts.get(name, 0), name in noted)
        for name in dict.fromkeys([*here, *noted, *sorted(counts)])
    ]


def _others(first: str) -> ColumnElement[bool]:
    return flows.c.data_key.is_not(None) & SEALED_UNDER.is_distinct_from(bytes.fromhex(first))


def _go_through(database: Database, ring: KeyRing, first: str, *, quickly: bool) -> Iterator[int]:
    """Yield for each transaction how many flows it has sealed again."""
    last = 0
    while True:
        with database.writing_in_turn() as connection:
            query = (
                select(flows.c.id, flows.c.uid, flows.c.data_key)
                .where(_others(first), flows.c.id > last)
                .order_by(flows.c.id)
                .limit(AT_ONCE if quickly else 1)
            )
            rows = connection.execute(database.dialect.locked(query, skip=quickly)).all()
            if not rows:
                return
            last = rows[-1].id
            changed = [each for row in rows if (each := _resealed(ring, row)) is not None]
            if changed:
                connection.execute(_RESEAL, changed)
        yield len(changed)


def _resealed(ring: KeyRing, row: Any) -> Mapping[str, object] | None:
    try:
        key = ring.open_data_key(row.uid, row.data_key)
    except (WrongKey, Unreadable):
        return None  # it is left as it is, and reported at the end
    return {"flow": row.id, "old": row.data_key, "new": ring.seal_data_key(row.uid, key)}


def _forget(connection: Connection, database: Database, first: str) -> Sequence[str] | None:
    """Forget the keys that seal nothing any more; None if other keys still seal something."""
    others = select(keys.c.id).where(keys.c.id != first).order_by(keys.c.created_at)
    # Waits for processes that are just starting flows under one of them, and lets no other begin.
    found = list(connection.scalars(database.dialect.locked(others)))
    if connection.scalar(select(flows.c.id).where(_others(first)).limit(1)) is not None:
        return None
    connection.execute(delete(keys).where(keys.c.id.in_(found)))
    return found
