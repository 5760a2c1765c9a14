"""The workers that matter now, and all that there ever were: with how much each of them has."""

import json
from collections.abc import Sequence
from typing import Any

from attrs import frozen
from sqlalchemy import ColumnElement, func, or_, select
from sqlalchemy.engine import Connection

from holdfast_journal.store.database import Database
from holdfast_journal.store.schema import flows, tasks, workers
from holdfast_journal.store.values import mended, unsound
from holdfast_journal.workers.registration import Alive


@frozen
class WorkerRow:
    """One process that runs flows, or has run some. Times in seconds since the epoch."""

    id: int
    host: str
    pid: int
    started_at: float
    alive: bool
    lease_until: float | None
    """Until when others see it as alive, by the database's clock; None once it has ended."""
    serves: Sequence[str] | None
    """The kinds of flows that it shares with other workers; None: it shares none."""
    notice: str | None
    """What operators must know of it now, in words."""
    drain_at: float | None
    """Since when it is asked to give back its flows and end; None if it is not."""
    flows: int
    """How many flows it has that are not over."""
    tasks: int
    """How many tasks these have that are not over."""


@frozen
class WorkerPage:
    """Some workers, those that began last first."""

    rows: Sequence[WorkerRow]
    then: int | None
    """What to hand over to get the next page; None if this is the last one."""


_OWNS = (
    select(flows.c.owner, func.count().label("flows"))
    .where(flows.c.finished_at.is_(None), flows.c.owner.is_not(None))
    .group_by(flows.c.owner)
)
_HAS_TASKS = (
    select(flows.c.owner, func.count().label("tasks"))
    .join(tasks, tasks.c.flow_id == flows.c.id)
    .where(flows.c.finished_at.is_(None), flows.c.owner.is_not(None))
    .group_by(flows.c.owner)
)


def serving(connection: Connection, database: Database, now: float) -> list[Any]:
    """The workers that may be alive, or that have flows: for `worker_rows`."""
    ahead: ColumnElement[bool] = workers.c.lease_until > database.dialect.clock(now)
    # Nobody else can open a database in memory, so its worker needs no lease.
    current = or_(ahead, workers.c.lease_until.is_(None)) if database.in_memory else ahead
    has = workers.c.id.in_(select(_OWNS.subquery().c.owner))
    return _rows(connection, or_(current, has), None)


def page(connection: Connection, limit: int, after: int | None) -> tuple[list[Any], int | None]:
    """At most `limit` workers that began before `after`, and where the next page begins."""
    behind = workers.c.id > 0 if after is None else workers.c.id < after
    found = _rows(connection, behind, limit + 1)
    return found[:limit], found[limit - 1].id if len(found) > limit else None


def worker_rows(rows: Sequence[Any], alive: Alive) -> list[WorkerRow]:
    """What operators see of the rows that were found."""
    living = alive([row.id for row in rows])
    return [
        WorkerRow(
            id=row.id,
            host=row.host,
            pid=row.pid,
            started_at=row.started_at,
            alive=row.id in living,
            lease_until=row.lease_until,
            serves=_kinds(row.serves),
            notice=row.notice,
            drain_at=row.drain_at,
            flows=row.flows or 0,
            tasks=row.tasks or 0,
        )
        for row in (mended(each, workers, unsound(each, workers)) for each in rows)
    ]


def _rows(connection: Connection, where: ColumnElement[bool], limit: int | None) -> list[Any]:
    owns, has_tasks = _OWNS.subquery(), _HAS_TASKS.subquery()
    query = (
        select(workers, owns.c.flows, has_tasks.c.tasks)
        .outerjoin(owns, owns.c.owner == workers.c.id)
        .outerjoin(has_tasks, has_tasks.c.owner == workers.c.id)
        .where(where)
        .order_by(workers.c.id.desc())
        .limit(limit)
    )
    return list(connection.execute(query))


def _kinds(serves: str | None) -> Sequence[str] | None:
    try:
        found = None if serves is None else json.loads(serves)
    except (ValueError, RecursionError):
        return None
    return [str(each) for each in found] if isinstance(found, list) else None
