"""Detached tasks: they stay until they are done, whatever becomes of their flow.

A flow asks for one in the commit of an event, like for any other task. From then on the task is on
its own: the flow may end, be shredded, or be retried. Only purging the flow removes it. So it has
no owner. Whoever finds that it is due claims it, by moving the time at which it is due; if that
worker dies, the time comes, and the task is another's. It is done at least once, and in rare cases
by two workers at the same time, under the same idempotency key.

In the table it is a task with a negative number.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from attrs import field, frozen
from sqlalchemy import ColumnElement, Select, bindparam, delete, literal_column, or_, select, update
from sqlalchemy.engine import Connection
from twisted.logger import Logger

from holdfast_journal.errors import Unreadable
from holdfast_journal.keys.detached import open_detached
from holdfast_journal.statuses import INTERRUPTED
from holdfast_journal.store.database import Database
from holdfast_journal.store.schema import batches, flows, tasks
from holdfast_journal.store.values import unsound

LONGEST_WAIT = 86_400.0
"""The most seconds that one waits: if a clock is set back by a year, it must not wait for that."""

_NONE: ColumnElement[int] = literal_column("0")
"""Not a parameter, with which the database would not know that it can use the small index."""

_CLAIM = (
    update(tasks)
    .where(tasks.c.id == bindparam("task"))
    .values(due_at=bindparam("until"), attempts=tasks.c.attempts + 1, error=INTERRUPTED)
)

_GOES_ON = (
    update(tasks)
    .where(tasks.c.id == bindparam("task"), tasks.c.attempts == bindparam("tries"))
    .values(due_at=bindparam("until"))
)

_log = Logger()


@frozen
class DetachedTask:
    """A detached task that this worker has claimed."""

    id: int
    uid: str
    """Of the flow that asked for it."""
    batch: str
    flow: str
    """The flow's name."""
    name: str
    key: str
    arguments: bytes = field(repr=False)
    attempts: int
    """How often it was begun, this time too."""


@frozen
class Asked:
    """Which of them to claim; see `SqlJournal.claim_detached`."""

    leases: Mapping[str, float]
    batch: str | None
    limit: int


def claim(
    database: Database, key: Callable[[], bytes], asked: Asked, now: float
) -> list[DetachedTask]:
    """Claim tasks that are due, longest waiting first; `key` returns what opens them.

    One that cannot be read is claimed like the others, and left for later. Raises DatabaseUnusable.
    """
    query = _due(asked, now)
    with database.reading() as connection:
        if connection.execute(query.limit(1)).first() is None:
            return []  # the usual answer costs no write lock
    opens = key()
    query = database.dialect.locked(query.limit(asked.limit), of=tasks, skip=True)
    with database.writing() as connection:
        rows = connection.execute(query).all()
        _move(connection, rows, asked.leases, now)
    return [each for each in (_opened(opens, row) for row in rows) if each is not None]


def goes_on(database: Database, some: Sequence[DetachedTask], until: float) -> None:
    """Keep the claims of these until then, if they are still ours."""
    moved = [{"task": task.id, "tries": task.attempts, "until": until} for task in some]
    with database.writing() as connection:
        connection.execute(_GOES_ON, moved)


def done(database: Database, task: DetachedTask) -> None:
    """Forget it."""
    with database.writing() as connection:
        connection.execute(delete(tasks).where(tasks.c.id == task.id, tasks.c.key == task.key))


def failed(database: Database, task: DetachedTask, reason: str, due_at: float) -> None:
    """Have it done later."""
    with database.writing() as connection:
        connection.execute(
            update(tasks)
            # Another worker may have claimed it meanwhile, because this one was paused.
            .where(
                tasks.c.id == task.id, tasks.c.key == task.key, tasks.c.attempts == task.attempts
            )
            .values(due_at=due_at, error=reason)
        )


def _due(asked: Asked, now: float) -> Select[Any]:
    wanted: ColumnElement[bool] = (tasks.c.number < _NONE) & tasks.c.name.in_(sorted(asked.leases))
    wanted &= or_(tasks.c.due_at <= now, tasks.c.due_at > now + LONGEST_WAIT)
    if asked.batch is not None:
        wanted &= batches.c.name == asked.batch
    return (
        select(tasks, flows.c.uid, flows.c.name.label("flow"), batches.c.name.label("batch"))
        .join(flows, tasks.c.flow_id == flows.c.id)
        .join(batches, flows.c.batch_id == batches.c.id)
        .where(wanted)
        .order_by(tasks.c.due_at)
    )


def _move(
    connection: Connection, rows: Sequence[Any], leases: Mapping[str, float], now: float
) -> None:
    moved = [{"task": row.id, "until": now + leases[row.name]} for row in rows]
    if moved:
        connection.execute(_CLAIM, moved)


def _opened(key: bytes, row: Any) -> DetachedTask | None:
    try:
        if columns := unsound(row, tasks):
            raise Unreadable(f"{', '.join(columns)} of a task of flow {row.uid} was altered")
        arguments = open_detached(key, row.uid, row.number, row.arguments)
    except Unreadable as error:
        _log.error("{error}; 'holdfast purge' removes it with its flow", error=error)
        return None
    return DetachedTask(
        id=row.id,
        uid=row.uid,
        batch=row.batch,
        flow=row.flow,
        name=row.name,
        key=row.key,
        arguments=arguments,
        attempts=row.attempts + 1,
    )
