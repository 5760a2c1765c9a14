"""Which flows are there to be taken: found with the indexes, however many are not.

A worker asks twice a second, and the usual answer is "none". So each way in which a flow can be
due is a search of its own, which an index answers without a look at what is running or parked.
"""

import json
from collections.abc import Callable, Collection, Iterable, Sequence, Set
from typing import Any, TypeAlias

from attrs import frozen
from sqlalchemy import (
    ARRAY,
    ColumnElement,
    Select,
    any_,
    bindparam,
    func,
    or_,
    select,
    union_all,
)

from holdfast_journal.database import Database
from holdfast_journal.masterkeys import opens
from holdfast_journal.schema import batches, flows
from holdfast_journal.sealing import KeyRing

Alive: TypeAlias = Callable[[Collection[int]], Set[int]]
"""Tells which workers are alive."""

CROWD = 4
"""How many times as many flows are looked at as are wanted, where others may be taking the same."""

LONGEST_PAUSE = 600.0
"""Seconds that a flow given back with a `wake_at` waits at most: a clock that was set back by a day
must not let it wait for a day. More than any worker asks for, since clocks of two machines differ.
"""

SINCE = func.coalesce(flows.c.wake_at, flows.c.updated_at)
"""Since when a flow waits to be taken."""


def is_parked(now: float) -> ColumnElement[bool]:
    """Whether a flow that nobody owns is to be left alone at `now`, unless something is asked."""
    return (flows.c.wake_at > now) & (flows.c.wake_at <= now + LONGEST_PAUSE)


@frozen
class Wanted:
    """Which flows to take; None stands for any."""

    batch: str | None = None
    names: Collection[str] | None = None
    ids: Collection[int] | None = None
    kinds: Collection[str] | None = None
    limit: int | None = None


@frozen
class Due:
    """Whose flows may be taken by `worker`, now."""

    worker: int
    now: float
    """Seconds since the epoch."""
    dead: Sequence[int]
    """Workers that are gone and left flows behind, which are due at once."""
    strays: Set[int]
    """Flows that `worker` owns and does not run."""
    keys: KeyRing
    """What must open a flow that is to be taken."""

    def condition(self) -> ColumnElement[bool]:
        """Whether a flow may be taken, once its row is locked."""
        asked = flows.c.request.is_not(None)
        free = or_(flows.c.wake_at.is_(None), ~is_parked(self.now), asked)
        unowned = flows.c.owner.is_(None) & free
        ours = or_(unowned, flows.c.owner.in_([self.worker, *self.dead]))
        return flows.c.finished_at.is_(None) & ours & opens(self.keys)

    def find(self, database: Database, wanted: Wanted) -> list[int]:
        """The flows that may be taken, the one that has waited longest first."""
        unfinished = flows.c.finished_at.is_(None)
        unowned = unfinished & flows.c.owner.is_(None)
        ways: list[ColumnElement[bool]] = [
            unowned & flows.c.wake_at.is_(None),
            unowned & (flows.c.wake_at <= self.now),
            unowned & (flows.c.wake_at > self.now + LONGEST_PAUSE),
            # What is finished has no request; to ask for that too would lead the database to the
            # larger index, and through all that are parked.
            flows.c.request.is_not(None) & flows.c.owner.is_(None) & is_parked(self.now),
        ]
        if self.dead:
            ways.append(unfinished & flows.c.owner.in_(self.dead))
        if self.strays:
            among_strays = among(database, flows.c.id, self.strays)
            ways.append(unfinished & (flows.c.owner == self.worker) & among_strays)
        readable = opens(self.keys)
        found = union_all(*(_chosen(database, way & readable, wanted) for way in ways)).subquery()
        query = select(found.c.id).order_by(found.c.since, found.c.id)
        if wanted.limit is not None:
            query = query.limit(wanted.limit * (CROWD if database.is_postgresql else 1))
        with database.reading() as connection:
            return list(connection.scalars(query))


def look(
    database: Database, alive: Alive, worker: int, now: float, strays: Set[int], keys: KeyRing
) -> Due:
    """See whose flows may be taken."""
    with database.reading() as connection:
        owners = set(connection.scalars(_OWNERS)) - {worker}
    dead = owners - alive(owners) if owners else ()
    return Due(worker, now, sorted(dead, key=str), strays, keys)


def _owners() -> Select[Any]:
    """All who own unfinished flows; from one to the next through the index, however many flows."""
    unfinished = select(func.min(flows.c.owner).label("owner")).where(flows.c.finished_at.is_(None))
    # From anything on that was ever put there, by whomever.
    found = unfinished.where(flows.c.owner > -(2**63)).cte("owners", recursive=True)
    following = unfinished.where(flows.c.owner > found.c.owner).scalar_subquery()
    found = found.union_all(select(following).where(found.c.owner.is_not(None)))
    return select(found.c.owner).where(found.c.owner.is_not(None))


_OWNERS = _owners()


def owned(database: Database, worker: int) -> set[int]:
    """The unfinished flows that `worker` owns."""
    query = select(flows.c.id).where(flows.c.finished_at.is_(None), flows.c.owner == worker)
    with database.reading() as connection:
        return set(connection.scalars(query))


def among(
    database: Database, column: ColumnElement[Any], values: Iterable[object]
) -> ColumnElement[bool]:
    """`column` IN `values`, as one parameter: thousands of them make no longer statement."""
    if database.is_postgresql:
        return column == any_(bindparam(None, list(values), ARRAY(column.type)))
    each = func.json_each(json.dumps(list(values))).table_valued("value")
    return column.in_(select(each.c.value))


def _chosen(database: Database, way: ColumnElement[bool], wanted: Wanted) -> Select[Any]:
    query = select(flows.c.id, SINCE.label("since")).where(way)
    # Not by the indexes of batches and names: they have more flows than are due.
    if wanted.batch is not None:
        batch = select(batches.c.id).where(batches.c.name == wanted.batch).scalar_subquery()
        query = query.where(flows.c.batch_id + 0 == batch)
    if wanted.kinds is not None:
        query = query.where(flows.c.kind.in_(wanted.kinds))
    if wanted.ids is not None:
        query = query.where(among(database, flows.c.id, wanted.ids))
    if wanted.names is not None:
        query = query.where(among(database, flows.c.name + "", wanted.names))
    return query
