"""Taking flows, giving them back, and what other processes ask of their owner."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from attrs import evolve, field, frozen
from sqlalchemy import bindparam, case, insert, select, update
from sqlalchemy.engine import Connection

from holdfast_journal.commits.values import Task
from holdfast_journal.errors import Unreadable
from holdfast_journal.keys.ring import KeyRing
from holdfast_journal.keys.sealing import unseal
from holdfast_journal.ownership.due import CROWD, Due, Wanted
from holdfast_journal.ownership.suspects import clear, counted, mark_alone, wave
from holdfast_journal.ownership.watching import NO_WATCH
from holdfast_journal.store.database import Database
from holdfast_journal.store.many import chunks
from holdfast_journal.store.schema import DAMAGED, entries, flows, tasks, workers
from holdfast_journal.store.values import altered, is_number, unsound
from holdfast_journal.workers.registration import Registration

OF_LATE = 3600.0
"""Seconds after which a flow's failures are forgotten."""

LONGEST_TROUBLE = 4000
"""Characters of what is kept about a failure."""

# A finished flow has no request; see `due` for why the query does not say so.
_REQUESTS = select(flows.c.id, flows.c.request).where(
    flows.c.owner == bindparam("owner"), flows.c.request.is_not(None)
)

# Made once: making them costs more than executing them.
_OWN = (
    update(flows)
    .where(flows.c.id.in_(bindparam("ids", expanding=True)))
    .values(
        owner=bindparam("worker"),
        epoch=flows.c.epoch + 1,
        wake_at=None,
        deaths=counted(bindparam("worker")),
        **NO_WATCH,
    )
)
_TASKS = (
    select(tasks)
    .where(tasks.c.flow_id.in_(bindparam("ids", expanding=True)), tasks.c.number > 0)
    .order_by(tasks.c.number)
)


@frozen
class Taken:
    """A flow just taken, opened."""

    row: Any
    """Its row as it was before, with the batch's name as `batch_name`."""
    epoch: int
    data_key: bytes = field(repr=False)
    params: bytes = field(repr=False)
    checkpoint: bytes | None = field(repr=False)
    tasks: Sequence[Task]


def take(
    database: Database,
    keys: KeyRing,
    workers: Registration,
    due: Due,
    wanted: Wanted,
    *,
    expected: bool,
) -> list[Taken]:
    """Take flows that are due, longest waiting first, in one transaction.

    Unless there are `expected` to be some, it looks before it begins one that writes.
    One that cannot be read is ended as DAMAGED, with everything that is left of it; one whose
    master key is not here is left alone, for workers that have it.
    """
    candidates: list[int] = []
    if not expected:
        with database.reading() as connection:
            candidates = due.find(connection, wanted)
        if not candidates:
            return []  # the usual answer to a worker that looks around costs no write lock
    with database.writing() as connection:
        workers.see_that_it_knows_us(connection)
        due = _without_the_living(connection, workers, due)
        if expected:
            candidates = due.find(connection, wanted)
        some = _wave if wanted.suspects else _all
        left = len(candidates) if wanted.limit is None else wanted.limit
        taken = some(connection, keys, due, candidates, left)
    place = {flow: number for number, flow in enumerate(candidates)}
    return sorted(taken, key=lambda flow: place[flow.row.id])


def _without_the_living(connection: Connection, workers: Registration, due: Due) -> Due:
    """Leave out workers that were only paused and are back: they found their flows untouched."""
    if not due.dead:
        return due
    back = workers.alive(due.dead, connection)
    return evolve(due, dead=[dead for dead in due.dead if dead not in back])


def _all(
    connection: Connection, keys: KeyRing, due: Due, candidates: Sequence[int], left: int
) -> list[Taken]:
    """Take those candidates that are still due, `left` at most."""
    taken: list[Taken] = []
    for chunk in chunks(candidates):
        if not left:
            break
        rows = due.lock(connection, chunk[: left * CROWD], left)
        left -= len(rows)
        taken += _own(connection, keys, due, rows)
    return taken


def _wave(
    connection: Connection, keys: KeyRing, due: Due, candidates: Sequence[int], left: int
) -> list[Taken]:
    """Take those suspects that may be tried together; see `suspects`."""
    for chunk in chunks(candidates):
        rows = wave(due.lock(connection, chunk[: left * CROWD], left), due.worker)
        taken = _own(connection, keys, due, rows)
        if len(taken) == 1:
            mark_alone(connection, taken[0].row.id)
        return taken
    return []


def _own(connection: Connection, keys: KeyRing, due: Due, rows: Sequence[Any]) -> list[Taken]:
    """Open these flows and become their owner; end those that cannot be read."""
    # A flow that has not begun has none.
    open_tasks = _open_tasks(connection, [row.id for row in rows if row.checkpoint is not None])
    taken = []
    for row in rows:
        try:
            taken.append(_opened(keys, row, open_tasks.get(row.id, ())))
        except Unreadable as error:
            _end_damaged(connection, row, due.worker, due.now, str(error))
    connection.execute(_OWN, {"worker": due.worker, "ids": [flow.row.id for flow in taken]})
    return taken


def give_back(
    database: Database, worker: int, ids: Collection[int], wake_at: float | None = None
) -> None:
    """Let other workers take the flows: at once, or not before `wake_at`."""
    with database.writing() as connection:
        for chunk in chunks(sorted(ids)):
            connection.execute(
                update(flows)
                .where(flows.c.id.in_(chunk), flows.c.owner == worker)
                .values(owner=None, wake_at=wake_at, deaths=None)
            )


def survived(database: Database, worker: int, ids: Collection[int]) -> None:
    """Clear these flows: they did not end the worker that took them; see `suspects`."""
    with database.writing() as connection:
        for chunk in chunks(sorted(ids)):
            clear(connection, worker, chunk)


def give_back_failed(
    database: Database, worker: int, flow: int, trouble: str, wake_at: float, now: float
) -> int:
    """Give back a flow whose own code failed. Return how often recently; 0 if it is not ours."""
    of_late = flows.c.failed_at > now - OF_LATE
    statement = (
        update(flows)
        .where(flows.c.id == flow, flows.c.owner == worker)
        .values(
            owner=None,
            wake_at=wake_at,
            failures=case((of_late, flows.c.failures + 1), else_=1),
            failed_at=now,
            trouble=trouble[:LONGEST_TROUBLE],
            deaths=None,
            **NO_WATCH,  # what comes must not shorten the pause
        )
        .returning(flows.c.failures)
    )
    with database.writing() as connection:
        return connection.execute(statement).scalar() or 0


def give_back_unloaded(database: Database, worker: int, flow: int, reason: str) -> None:
    """Give back a flow that could not be loaded, which is not counted as a failure of its own."""
    with database.writing() as connection:
        connection.execute(
            update(flows)
            .where(flows.c.id == flow, flows.c.owner == worker)
            .values(owner=None, wake_at=None, trouble=reason[:LONGEST_TROUBLE], deaths=None)
        )


def forget_trouble(database: Database, worker: int, flow: int) -> None:
    """Forget why a flow could not be loaded: it is running now."""
    with database.writing() as connection:
        connection.execute(
            update(flows).where(flows.c.id == flow, flows.c.owner == worker).values(trouble=None)
        )


def tell(database: Database, worker: int, notice: str | None) -> None:
    """Note what a worker has to say of itself."""
    with database.writing() as connection:
        connection.execute(update(workers).where(workers.c.id == worker).values(notice=notice))


def epochs(database: Database, ids: Collection[int]) -> Mapping[int, int]:
    """Under which epoch each of the flows may be written. Raises SQLAlchemy's errors."""
    query = select(flows.c.id, flows.c.epoch)
    # `Registration.keep` asks when it renews the lease, and tries again after these errors.
    with database.transaction(writes=False) as connection:
        return {
            row.id: row.epoch
            for chunk in chunks(ids)
            for row in connection.execute(query.where(flows.c.id.in_(chunk)))
        }


def requests(database: Database, worker: int) -> list[tuple[int, str]]:
    """What was asked of unfinished flows that `worker` owns: (flow id, request)."""
    with database.reading() as connection:
        return [(row.id, row.request) for row in connection.execute(_REQUESTS, {"owner": worker})]


def _open_tasks(connection: Connection, ids: Sequence[int]) -> Mapping[int, list[Any]]:
    found: dict[int, list[Any]] = {}
    if ids:
        for row in connection.execute(_TASKS, {"ids": ids}):
            found.setdefault(row.flow_id, []).append(row)
    return found


def _end_damaged(connection: Connection, row: Any, worker: int, now: float, why: str) -> None:
    """End a flow whose row was altered: it must not keep a worker from all the others."""
    # Its own seq may be what was altered.
    found = connection.scalars(select(entries.c.seq).where(entries.c.flow_id == row.id))
    seq = max(each for each in (0, row.seq, *found) if is_number(each)) + 1
    connection.execute(
        insert(entries).values(
            flow_id=row.id,
            seq=seq,
            at=now,
            worker=worker,
            kind="damaged",
            heard=f"journal: {why}",
            said="[]",
            event=b"",  # there may be no key to seal it with
        )
    )
    connection.execute(
        update(flows)
        .where(flows.c.id == row.id)
        .values(
            status=DAMAGED,
            seq=seq,
            epoch=flows.c.epoch + 1,
            owner=None,
            request=None,
            wake_at=None,
            updated_at=now,
            finished_at=now,
            **NO_WATCH,
        )
    )


def _opened(keys: KeyRing, row: Any, task_rows: Sequence[Any]) -> Taken:
    columns = unsound(row, flows)
    columns += [name for each in task_rows for name in unsound(each, tasks)]
    if columns:
        raise Unreadable(f"flow {row.uid}: {altered(columns)}")
    if row.data_key is None or row.params is None:
        raise Unreadable(f"flow {row.name!r} is not finished, and yet its key is deleted")
    key = keys.open_data_key(row.uid, row.data_key)
    checkpoint = row.checkpoint
    if checkpoint is not None:
        checkpoint = unseal(key, row.uid, "checkpoint", row.seq, checkpoint)
    return Taken(
        row=row,
        epoch=row.epoch + 1,
        data_key=key,
        params=unseal(key, row.uid, "params", 0, row.params),
        checkpoint=checkpoint,
        tasks=[
            Task(
                number=task.number,
                name=task.name,
                arguments=unseal(key, row.uid, "arguments", task.number, task.arguments),
                key=task.key,
                due_at=task.due_at,
                attempts=task.attempts,
                error=task.error,
            )
            for task in task_rows
        ],
    )
