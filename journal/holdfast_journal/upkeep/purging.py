"""Forgetting flows that ended long ago, so that a database does not keep growing.

A purged flow keeps one small row: its name, so that the same people file does not start anyone
again; how and when it ended; and the fingerprint that tells whether the name comes with another
secret. Its history, its tasks and its secrets are gone. This happens in batches, each a transaction
of its own, while workers run.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from attrs import frozen
from sqlalchemy import ColumnElement, delete, exists, func, or_, select
from sqlalchemy.engine import Connection

from holdfast_journal.auditing.acts import Actor
from holdfast_journal.auditing.recording import record
from holdfast_journal.store.database import Database
from holdfast_journal.store.many import chunks
from holdfast_journal.store.schema import (
    audit,
    batches,
    entries,
    flows,
    jobs,
    plans,
    tasks,
    workers,
)
from holdfast_journal.upkeep.shredding import shred
from holdfast_journal.workers.registration import Alive

AT_ONCE = 200
"""Flows, or rows of the audit, in one transaction: workers on SQLite wait for its end."""
PAGE = 10_000
"""Flows that are looked for at once. To look may mean to read all that are over."""


@frozen
class Old:
    """Which flows are to be purged."""

    before: float
    """Those that ended before this time, in seconds since the epoch."""
    batch: str | None = None
    names: bool = False
    """Whether the small rows are deleted too."""
    audit: bool = False
    """Whether what operators did before that time is forgotten too."""


@frozen
class Purge:
    """What there is to purge, or what was purged."""

    flows: int
    entries: int
    workers: int
    statuses: Mapping[str, int]
    """How many of the flows ended with each status."""
    untold: int
    """Detached tasks that were not done: what hooks were not told."""
    deeds: int = 0
    """Rows of the audit."""


def find(database: Database, alive: Alive, old: Old) -> Purge:
    """Say what `purge` would delete, without doing anything. Raises DatabaseUnusable."""
    with database.reading() as connection:
        query = (
            select(flows.c.status, func.count().label("n"))
            .where(_old(old))
            .group_by(flows.c.status)
        )
        statuses = {row.status: row.n for row in connection.execute(query)}
        ids = select(flows.c.id).where(_old(old))
        history = select(func.count()).where(entries.c.flow_id.in_(ids))
        count = connection.scalar(history) or 0
        told = select(func.count()).select_from(audit).where(_told(old))
        deeds = (connection.scalar(told) or 0) if old.audit else 0
        waiting = select(func.count()).where(tasks.c.flow_id.in_(ids), tasks.c.number < 0)
        untold = connection.scalar(waiting) or 0
    gone = _idle_workers(database, alive, old)
    return Purge(sum(statuses.values()), count, len(gone), statuses, untold, deeds)


def purge(
    database: Database,
    alive: Alive,
    old: Old,
    *,
    each: Callable[[], object] = lambda: None,
    by: Actor | None = None,
    now: float = 0.0,
) -> Purge:
    """Delete what is `old`; `each` is called after every transaction. Raises DatabaseUnusable.

    Each transaction writes down how many flows `by` purged in it.

    If it is killed in between, part of the work is done, and the next purge does the rest.
    """
    statuses: dict[str, int] = {}
    count = untold = 0
    for page in _pages(database, old):
        for ids in chunks(page, AT_ONCE):
            with database.writing_in_turn() as connection:
                query = select(flows.c.id, flows.c.status).where(_old(old), flows.c.id.in_(ids))
                # A flow that an operator is just retrying stays; it is not old any more.
                query = database.dialect.locked(query.order_by(flows.c.id), skip=True)
                found = {row.id: row.status for row in connection.execute(query)}
                deleted = _delete(connection, list(found), names=old.names)
                if found and by is not None:
                    record(connection, by.does("purge", _words(old, len(found))), now)
            for status in found.values():
                statuses[status] = statuses.get(status, 0) + 1
            count, untold = count + deleted[0], untold + deleted[1]
            each()
    if old.names:
        with database.writing() as connection:
            unused = ~exists().where(flows.c.batch_id == batches.c.id)
            connection.execute(delete(batches).where(unused, batches.c.created_at < old.before))
    if old.batch is None:
        with database.writing() as connection:
            connection.execute(delete(jobs).where(jobs.c.finished_at < old.before))
    deeds = _forget_deeds(database, old, by, now) if old.audit else 0
    gone = _idle_workers(database, alive, old)
    for chunk in chunks(gone):
        with database.writing() as connection:
            connection.execute(delete(workers).where(workers.c.id.in_(chunk)))
    return Purge(sum(statuses.values()), count, len(gone), statuses, untold, deeds)


def _pages(database: Database, old: Old) -> Iterator[Sequence[int]]:
    """Look for flows that are old, without keeping those who write waiting."""
    last = 0
    while True:
        query = select(flows.c.id).where(_old(old), flows.c.id > last).order_by(flows.c.id)
        with database.reading() as connection:
            found = connection.scalars(query.limit(PAGE)).all()
        if not found:
            return
        yield found
        last = found[-1]


def _forget_deeds(database: Database, old: Old, by: Actor | None, now: float) -> int:
    """Delete what operators did long ago; that it was deleted is written down."""
    count = 0
    with database.reading() as connection:
        # What is written down meanwhile stays, whatever the clock does.
        newest = connection.scalar(select(func.max(audit.c.id)).where(_told(old))) or 0
    while True:
        with database.writing_in_turn() as connection:
            query = (
                select(audit.c.id)
                .where(_told(old), audit.c.id <= newest)
                .order_by(audit.c.id)
                .limit(AT_ONCE)
            )
            ids = connection.scalars(query).all()
            if not ids:
                return count
            connection.execute(delete(audit).where(audit.c.id.in_(ids)))
            if by is not None:
                record(connection, by.does("purge", rows_of_audit(len(ids))), now)
        count += len(ids)


def rows_of_audit(count: int) -> str:
    """Say how many rows of the audit."""
    return "1 row of the audit" if count == 1 else f"{count} rows of the audit"


def _told(old: Old) -> ColumnElement[bool]:
    told = audit.c.at < old.before
    return told if old.batch is None else told & (audit.c.batch == old.batch)


def _words(old: Old, count: int) -> str:
    what = "1 flow" if count == 1 else f"{count} flows"
    return what + (", with their names" if old.names else "")


def _old(old: Old) -> ColumnElement[bool]:
    wanted = flows.c.finished_at < old.before
    if old.batch is not None:
        named = select(batches.c.id).where(batches.c.name == old.batch)
        wanted &= flows.c.batch_id.in_(named)
    if not old.names:
        # Those that were purged before have nothing left.
        history = exists().where(entries.c.flow_id == flows.c.id)
        wanted &= or_(flows.c.data_key.is_not(None), history)
    return wanted


def _delete(connection: Connection, ids: list[int], *, names: bool) -> tuple[int, int]:
    """Delete what these flows have; return how many entries, and how many detached tasks."""
    if not ids:
        return 0, 0
    gone: Any = connection.execute(delete(entries).where(entries.c.flow_id.in_(ids)))
    shred(connection, ids)
    theirs = tasks.c.flow_id.in_(ids)
    untold: Any = connection.execute(delete(tasks).where(theirs, tasks.c.number < 0))
    connection.execute(delete(tasks).where(theirs))
    # What was planned and never done cannot be done any more.
    connection.execute(delete(plans).where(plans.c.flow_id.in_(ids)))
    if names:
        connection.execute(delete(flows).where(flows.c.id.in_(ids)))
    return int(gone.rowcount), int(untold.rowcount)


def _idle_workers(database: Database, alive: Alive, old: Old) -> list[int]:
    """Workers that died long ago, and that entries and flows do not name any more."""
    query = select(workers.c.id).where(
        workers.c.started_at < old.before,
        or_(workers.c.lease_until.is_(None), workers.c.lease_until < old.before),
    )
    with database.reading() as connection:
        found = set(connection.scalars(query))
        if found:
            # To look up each in an index would cost more than to read all of them at once.
            found -= set(connection.scalars(select(entries.c.worker).distinct()))
            found -= set(connection.scalars(select(flows.c.owner).distinct()))
    return sorted(set(found) - alive(found))
